package authapp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"gatehouse.internal/auth-service/internal/auth"
	"gatehouse.internal/auth-service/internal/auth/trail"
	"gatehouse.internal/auth-service/internal/keys"
	"gatehouse.internal/auth-service/internal/sqlstore"
	"gatehouse.internal/shared/fault"
)

// errKeyNeeded is why "keys reseal" exits with 1 after it has said what hangs on
// AUTH_ENCRYPTION_KEY_OTHERS still.
var errKeyNeeded = errors.New("AUTH_ENCRYPTION_KEY_OTHERS is needed still")

// keysReseal is the command "keys reseal": it encrypts and seals with
// AUTH_ENCRYPTION_KEY what is with one of AUTH_ENCRYPTION_KEY_OTHERS, and says
// whether anything hangs on those still. It may run beside the service, and again.
func keysReseal(ctx context.Context, cfg *Config, args []string, stdout io.Writer) error {
	if len(args) > 0 {
		return fmt.Errorf("keys reseal: unknown argument %q", args[0])
	}
	store, db, err := openDatabase(ctx, cfg)
	if err != nil {
		return fmt.Errorf("keys reseal: %w", err)
	}
	defer func() { _ = db.Close() }() // everything is committed by then
	text, needed, err := cfg.reseal(ctx, store)
	if err != nil {
		return fmt.Errorf("keys reseal: %w", err)
	}
	if _, err := io.WriteString(stdout, text); err != nil {
		return fmt.Errorf("keys reseal: %w", err)
	}
	if needed {
		return errKeyNeeded
	}
	return nil
}

// reseal does the work, and reports whether the other keys are needed still.
func (c *Config) reseal(ctx context.Context, store *sqlstore.Store) (text string, needed bool, err error) {
	var out strings.Builder
	key, others, err := c.subkeys(purposeSigningKeys)
	if err != nil {
		return "", false, err
	}
	stored, anew, err := keys.Reseal(ctx, keyStore{store}, key, others)
	if err != nil {
		return "", false, err
	}
	fmt.Fprintf(&out, "signing keys: %d, encrypted anew: %d\n", stored, anew)
	operator, err := c.operator(store)
	if err != nil {
		return "", false, err
	}
	factors, err := operator.ResealFactors(ctx)
	if err != nil {
		return "", false, err
	}
	fmt.Fprintf(&out, "secrets of second factors: %d, encrypted anew: %d\n", factors.Secrets, factors.Anew)
	if factors.Lost > 0 {
		fmt.Fprintf(&out, "%d of them open with none of the keys: their owners need a reset\n", factors.Lost)
	}
	sealer, err := c.sealer()
	if err != nil {
		return "", false, err
	}
	if err := (&trail.Keeper{Store: store, Seal: sealer}).Reseal(ctx); err != nil {
		return "", false, err
	}
	out.WriteString("audit trail: sealed\n")
	if c.EncryptionKeyOthers == "" {
		return out.String(), factors.Lost > 0, nil
	}
	older, err := c.older(ctx, store, operator)
	if err != nil {
		return "", false, err
	}
	out.WriteString(older)
	needed = factors.Lost > 0 || older != ""
	if !needed {
		out.WriteString("nothing hangs on AUTH_ENCRYPTION_KEY_OTHERS any more\n")
	}
	return out.String(), needed, nil
}

// older says what was made with another key and cannot be made anew, if
// anything was: its time comes by itself.
func (c *Config) older(ctx context.Context, store *sqlstore.Store, operator *auth.Operator) (string, error) {
	name, err := c.keyName()
	if err != nil {
		return "", err
	}
	inUse, since, err := store.EncryptionKey(ctx)
	if fault.Is(err, fault.NotFound) || err == nil && inUse != name {
		return "the service has not started with this AUTH_ENCRYPTION_KEY yet\n", nil
	}
	if err != nil {
		return "", err
	}
	tokens, until, err := operator.OlderTokens(ctx, since)
	if err != nil {
		return "", err
	}
	accounts, err := store.ErasuresBefore(ctx, since.Add(auth.LongestRollout))
	if err != nil {
		return "", err
	}
	var out strings.Builder
	at := since.UTC().Format(time.RFC3339)
	if tokens > 0 {
		fmt.Fprintf(&out, "refresh tokens: %d sessions were not refreshed since %s, when this AUTH_ENCRYPTION_KEY came into use; the last of them ends by %s\n",
			tokens, at, until.UTC().Format(time.RFC3339))
	}
	if accounts > 0 {
		fmt.Fprintf(&out, "audit trail: %d accounts that were deleted before %s are in it still, for a day at most\n", accounts, at)
	}
	return out.String(), nil
}
