package auth

import (
	"context"
	"fmt"

	"gatehouse.internal/shared/contract"
	"gatehouse.internal/shared/fault"
)

// ForgotPassword mails a link for a new password if the address has an account.
// The answer never tells. Fault: RateLimited.
func (s *Service) ForgotPassword(ctx context.Context, c Caller, email string) error {
	address, err := parseEmail("email", email)
	if err != nil {
		return nil //nolint:nilerr // the answer is one for every address
	}
	if err := s.attemptLetter(ctx, c, EventPasswordForgotten); err != nil {
		return err
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
			if err := w.sendNothing(ctx, PurposeResetPassword, address); err != nil {
				return err
			}
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
// last two leave the token good. It returns a device token, and frees the tries
// that wrong passwords have used up: whoever reads the mail is let in although
// somebody floods the account with guesses.
func (s *Service) ResetPassword(ctx context.Context, c Caller, token, next string) (device string, err error) {
	u, _, err := openToken(ctx, s.store, token, s.now(), PurposeResetPassword)
	if err != nil {
		return "", err
	}
	hash, err := s.newPassword(ctx, u.ID, next)
	if err != nil {
		return "", err
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
			if err := w.disown(ctx, &u); err != nil {
				return err
			}
			if err := w.proven(ctx, &u); err != nil {
				return err
			}
			events = append(events, contract.AccountEmailVerified)
		}
		if err := w.setPassword(ctx, &u, hash, CausePasswordReset); err != nil {
			return err
		}
		if err := w.save(ctx, &u, events...); err != nil {
			return err
		}
		device = w.signedInHere(u)
		return w.record(ctx, AuditEvent{Event: EventPasswordReset, ActorID: u.ID, TargetID: u.ID})
	})
	if err != nil {
		return "", err
	}
	l := s.config.Limits
	s.throttle.Forget(context.WithoutCancel(ctx), s.bounds(
		s.bound(BoundAccount, l.Account, u.Email), s.bound(BoundPair, l.Pair, u.Email, network(c.Address))))
	return device, nil
}
