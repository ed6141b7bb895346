package auth

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"gatehouse.internal/shared/contract"
	"gatehouse.internal/shared/fault"
)

// Bounds of Config.PasswordHistory, how many earlier passwords cannot be chosen
// again. Each is compared when a password is chosen, with the parameters that it
// was hashed with.
const (
	DefaultPasswordHistory = 5
	MaxPasswordHistory     = 24
)

// ChangePassword sets a new password, ends every session of the user and opens
// a fresh one for the caller. Faults: InvalidCredentials for a wrong current
// password, MFARequired, WeakPassword, PasswordReused.
func (s *Service) ChangePassword(ctx context.Context, c Caller, current, next string) (Tokens, error) {
	old, err := s.confirm(ctx, c, EventPasswordChanged, current)
	if err != nil {
		return Tokens{}, err
	}
	hash, err := s.newPassword(ctx, c.Claims.Subject, next)
	if err != nil {
		return Tokens{}, err
	}
	var out issued
	_, err = s.do(ctx, c, func(w *work) error {
		u, session, err := w.confirmed(ctx, old)
		if err != nil {
			return err
		}
		if err := w.setPassword(ctx, &u, hash, CausePasswordChanged); err != nil {
			return err
		}
		if err := w.save(ctx, &u, contract.AccountPasswordChanged); err != nil {
			return err
		}
		if out, err = w.open(ctx, u, session.Methods...); err != nil {
			return err
		}
		return w.record(ctx, AuditEvent{Event: EventPasswordChanged, TargetID: u.ID})
	})
	if err != nil {
		return Tokens{}, err
	}
	return s.tokens(ctx, out)
}

// newPassword hashes a password that the user may choose.
func (s *Service) newPassword(ctx context.Context, userID, password string) (string, error) {
	u, err := s.store.User(ctx, userID)
	if err != nil {
		return "", fmt.Errorf("read user: %w", err)
	}
	if err := s.weakness("new_password", password, u); err != nil {
		return "", err
	}
	past, err := s.store.PastPasswords(ctx, u.ID, s.config.PasswordHistory)
	if err != nil {
		return "", fmt.Errorf("read earlier passwords: %w", err)
	}
	for _, hash := range slices.Concat([]string{u.PasswordHash}, past) {
		used, err := s.hash.Matches(ctx, hash, password)
		if err != nil {
			return "", err
		}
		if used {
			return "", invalid(fault.PasswordReused, "The password was used before.",
				fault.Field{Field: "new_password", Message: "was used before"})
		}
	}
	return s.hash.Hash(ctx, password)
}

// setPassword replaces the password and ends every session. One that is set
// without the one before also keeps passkeys from signing in alone: whoever had
// the account may have added one. As a second factor they stay, because whoever
// reads the mail may not be the owner either. The caller saves the user.
func (w *work) setPassword(ctx context.Context, u *User, hash, cause string) error {
	if err := w.AddPastPassword(ctx, PastPassword{ID: w.newID(), UserID: u.ID, Hash: u.PasswordHash,
		At: w.now, Keep: w.svc.config.PasswordHistory}); err != nil {
		return fmt.Errorf("remember password: %w", err)
	}
	u.PasswordHash = hash
	if err := w.signOut(ctx, u, cause); err != nil {
		return err
	}
	// A change of address that was asked for with the old password must not take
	// the account away after all.
	for _, purpose := range []string{PurposeResetPassword, PurposeChangeEmail} {
		if err := w.DropMailTokens(ctx, u.ID, purpose); err != nil {
			return fmt.Errorf("drop mail tokens: %w", err)
		}
	}
	m := Mail{Template: MailPasswordChanged}
	if cause == CausePasswordReset {
		held, err := w.HoldPasskeys(ctx, u.ID)
		if err != nil {
			return fmt.Errorf("hold passkeys: %w", err)
		}
		if held > 0 {
			m.Data = map[string]string{DataPasskeys: strconv.Itoa(held)}
		}
	}
	return w.notice(ctx, *u, m)
}
