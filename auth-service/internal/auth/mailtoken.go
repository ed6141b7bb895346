package auth

import (
	"context"
	"fmt"
	"slices"
	"time"

	"gatehouse.internal/shared/fault"
)

// openToken reads a mail token that is good for one of the purposes, and its
// user.
func openToken(ctx context.Context, r Reader, raw string, now time.Time, purposes ...string) (User, MailToken, error) {
	t, err := r.MailToken(ctx, mailHash(raw))
	if err != nil {
		return User{}, MailToken{}, badToken(err)
	}
	if !slices.Contains(purposes, t.Purpose) || !now.Before(t.ExpiresAt) {
		return User{}, MailToken{}, badToken(nil)
	}
	u, err := r.User(ctx, t.UserID)
	if err != nil {
		return User{}, MailToken{}, badToken(err)
	}
	return u, t, nil
}

// badToken is the one answer to every mail token that is not good. Other
// failures to read it stay what they are.
func badToken(err error) error {
	if err != nil && !fault.Is(err, fault.NotFound) && !fault.Is(err, fault.Conflict) {
		return fmt.Errorf("read mail token: %w", err)
	}
	return fault.Invalid(fault.Field{Field: "token", Message: "is unknown, used or expired"})
}

// takeToken uses a mail token up and returns it with its user, locked.
func (w *work) takeToken(ctx context.Context, raw string, purposes ...string) (User, MailToken, error) {
	u, t, err := openToken(ctx, w, raw, w.now, purposes...)
	if err != nil {
		return User{}, MailToken{}, err
	}
	if u, err = w.LockUser(ctx, u.ID); err != nil {
		return User{}, MailToken{}, badToken(err)
	}
	taken, err := w.TakeMailToken(ctx, t.Hash)
	if err != nil {
		return User{}, MailToken{}, fmt.Errorf("take mail token: %w", err)
	}
	if !taken {
		return User{}, MailToken{}, badToken(nil)
	}
	return u, t, nil
}
