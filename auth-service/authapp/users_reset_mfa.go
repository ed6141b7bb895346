package authapp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"gatehouse.internal/auth-service/internal/auth"
)

// usersResetMFA is the command "users reset-mfa": it takes the second factors of
// a user away who has lost them, which administrators do for everybody but the
// last of themselves.
func usersResetMFA(ctx context.Context, cfg *Config, args []string, stdout io.Writer) error {
	if len(args) != 1 || args[0] == "" {
		return errors.New("users reset-mfa: one USER is needed, an id or an e-mail address")
	}
	store, db, err := openDatabase(ctx, cfg)
	if err != nil {
		return fmt.Errorf("users reset-mfa: %w", err)
	}
	defer func() { _ = db.Close() }() // everything is committed by then
	operator, err := cfg.operator(store)
	if err != nil {
		return fmt.Errorf("users reset-mfa: %w", err)
	}
	id, had, err := operator.ResetFactors(ctx, args[0])
	if err != nil {
		return fmt.Errorf("users reset-mfa: %w", err)
	}
	said := "has no second factor; nothing was changed"
	if had {
		said = "has no second factor any more; the sessions end, and a letter goes out, as soon as the running service tells of it"
	}
	_, err = fmt.Fprintf(stdout, "user %s %s\n", id, said)
	return err
}

// operator does what commands may do.
func (c *Config) operator(store auth.Store) (*auth.Operator, error) {
	key, others, err := c.subkeys(purposeFactors)
	if err != nil {
		return nil, err
	}
	return auth.NewOperator(store, auth.Config{
		AccessTTL: c.AccessTTL, FactorKeys: append([][]byte{key}, others...), Limits: c.Limits.limits(),
	}, time.Now)
}
