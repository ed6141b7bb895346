package authapp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"gatehouse.internal/auth-service/internal/auth"
)

// usersAnnounce is the command "users announce": it has the running service tell
// the state of every account, so that a user-service, or whoever else follows
// account events, can be filled from nothing.
func usersAnnounce(ctx context.Context, cfg *Config, args []string, stdout io.Writer) error {
	if len(args) > 0 {
		return fmt.Errorf("users announce: unknown argument %q", args[0])
	}
	store, db, err := openDatabase(ctx, cfg)
	if err != nil {
		return fmt.Errorf("users announce: %w", err)
	}
	defer func() { _ = db.Close() }() // everything is committed by then
	n, err := auth.AnnounceAccounts(ctx, store, time.Now)
	_, printErr := fmt.Fprintf(stdout, "%d accounts are announced as soon as the service delivers them\n", n)
	return errors.Join(err, printErr)
}
