package auth

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"gatehouse.internal/shared/contract"
	"gatehouse.internal/shared/fault"
)

// rememberedPasswords is how many earlier passwords cannot be chosen again.
const rememberedPasswords = 5

// ChangePassword sets a new password, ends every session of the user and opens
// a fresh one for the caller. Faults: InvalidCredentials for a wrong current
// password, WeakPassword, PasswordReused.
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
	past, err := s.store.PastPasswords(ctx, u.ID, rememberedPasswords)
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

// setPassword replaces the password and ends every session. The caller saves
// the user.
func (w *work) setPassword(ctx context.Context, u *User, hash, cause string) error {
	if err := w.AddPastPassword(ctx, PastPassword{ID: w.newID(), UserID: u.ID, Hash: u.PasswordHash,
		At: w.now, Keep: rememberedPasswords}); err != nil {
		return fmt.Errorf("remember password: %w", err)
	}
	u.PasswordHash = hash
	if err := w.signOut(ctx, u, cause); err != nil {
		return err
	}
	if err := w.DropMailTokens(ctx, u.ID, PurposeResetPassword); err != nil {
		return fmt.Errorf("drop mail tokens: %w", err)
	}
	return w.notice(ctx, *u, Mail{Template: MailPasswordChanged})
}

// ForgotPassword mails a link for a new password if the address has an account.
// The answer never tells.
func (s *Service) ForgotPassword(ctx context.Context, c Caller, email string) error {
	address, err := parseEmail("email", email)
	if err != nil {
		return nil //nolint:nilerr // the answer is one for every address
	}
	_, err = s.do(ctx, c, func(w *work) error {
		e := AuditEvent{Event: EventPasswordForgotten}
		u, err := w.UserByEmail(ctx, address)
		if err == nil {
			u, err = w.LockUser(ctx, u.ID)
		}
		switch {
		case fault.Is(err, fault.NotFound):
			e.Outcome, e.Reason = OutcomeFailure, "unknown_address"
			return w.record(ctx, e)
		case err != nil:
			return fmt.Errorf("find user: %w", err)
		}
		if u.Email != address {
			return w.record(ctx, e) // it moved just now
		}
		e.TargetID = u.ID
		l := link{template: MailResetPassword, purpose: PurposeResetPassword, address: u.Email, ttl: resetPasswordTTL}
		if err := w.sendLink(ctx, u, l); err != nil {
			return err
		}
		return w.record(ctx, e)
	})
	return err
}

// ResetPassword sets a new password by a mailed token and ends every session.
// Faults: ValidationFailed for a bad token, WeakPassword, PasswordReused; the
// last two leave the token good.
func (s *Service) ResetPassword(ctx context.Context, c Caller, token, next string) error {
	u, _, err := openToken(ctx, s.store, token, s.now(), PurposeResetPassword)
	if err != nil {
		return err
	}
	hash, err := s.newPassword(ctx, u.ID, next)
	if err != nil {
		return err
	}
	_, err = s.do(ctx, c, func(w *work) error {
		u, t, err := w.takeToken(ctx, token, PurposeResetPassword)
		if err != nil {
			return err
		}
		if u.Email != t.Address {
			return badToken(nil)
		}
		events := []string{contract.AccountPasswordChanged}
		if !u.EmailVerified { // who reads the mail owns the address
			u.EmailVerified = true
			events = append(events, contract.AccountEmailVerified)
		}
		if err := w.setPassword(ctx, &u, hash, CausePasswordReset); err != nil {
			return err
		}
		if err := w.save(ctx, &u, events...); err != nil {
			return err
		}
		return w.record(ctx, AuditEvent{Event: EventPasswordReset, ActorID: u.ID, TargetID: u.ID})
	})
	return err
}

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

// weakness tells why a password cannot be chosen by this user, or nil.
func (s *Service) weakness(field, password string, u User) error {
	local, domain, _ := strings.Cut(u.Email, "@")
	if dot := strings.LastIndexByte(domain, '.'); dot >= 0 {
		domain = domain[:dot]
	}
	problems := s.rules.Problems(password, u.Email, local, domain, u.FirstName, u.LastName)
	if len(problems) == 0 {
		return nil
	}
	fields := make([]fault.Field, 0, len(problems))
	for _, p := range problems {
		fields = append(fields, fault.Field{Field: field, Message: p})
	}
	return invalid(fault.WeakPassword, "The password is too easy to guess.", fields...)
}

func invalid(kind fault.Kind, detail string, fields ...fault.Field) error {
	f := fault.New(kind, detail)
	f.Fields = fields
	return f
}

func fieldsOf(err error) []fault.Field {
	if f, ok := errors.AsType[*fault.Error](err); ok {
		return f.Fields
	}
	return nil
}
