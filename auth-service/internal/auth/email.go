package auth

import (
	"context"
	"fmt"

	"gatehouse.internal/shared/contract"
	"gatehouse.internal/shared/fault"
)

// VerifyEmail takes a token from a mail: it verifies the address of an account,
// or makes a changed address take effect. A token that is unknown, used,
// expired or for another purpose or address is fault.ValidationFailed.
func (s *Service) VerifyEmail(ctx context.Context, c Caller, token string) error {
	_, err := s.do(ctx, c, func(w *work) error {
		u, t, err := w.takeToken(ctx, token, PurposeVerifyEmail, PurposeChangeEmail)
		if err != nil {
			return err
		}
		if t.Purpose == PurposeChangeEmail {
			return w.moveAddress(ctx, u, t.Address)
		}
		return w.verifyAddress(ctx, u, t.Address)
	})
	return err
}

// verifyAddress marks the address as proven.
func (w *work) verifyAddress(ctx context.Context, u User, address string) error {
	if u.Email != address {
		return badToken(nil) // the account has moved since
	}
	if err := w.DropMailTokens(ctx, u.ID, PurposeVerifyEmail); err != nil {
		return fmt.Errorf("drop mail tokens: %w", err)
	}
	if u.EmailVerified {
		return nil
	}
	u.EmailVerified = true
	if err := w.save(ctx, &u, contract.AccountEmailVerified); err != nil {
		return err
	}
	return w.record(ctx, AuditEvent{Event: EventEmailVerified, TargetID: u.ID})
}

// moveAddress makes a proven new address the account's own.
func (w *work) moveAddress(ctx context.Context, u User, address string) error {
	switch _, err := w.UserByEmail(ctx, address); {
	case err == nil:
		return badToken(nil) // somebody else got it meanwhile
	case !fault.Is(err, fault.NotFound):
		return fmt.Errorf("look for the new address: %w", err)
	}
	for _, purpose := range []string{PurposeVerifyEmail, PurposeChangeEmail, PurposeResetPassword} {
		if err := w.DropMailTokens(ctx, u.ID, purpose); err != nil {
			return fmt.Errorf("drop mail tokens: %w", err)
		}
	}
	old := u.Email
	u.Email, u.EmailVerified = address, true
	if err := w.save(ctx, &u, contract.AccountEmailChanged); err != nil {
		if fault.Is(err, fault.Conflict) {
			return badToken(err)
		}
		return err
	}
	err := w.notice(ctx, u, Mail{Template: MailEmailChanged, To: old, Data: map[string]string{DataNewEmail: address}})
	if err != nil {
		return err
	}
	return w.record(ctx, AuditEvent{Event: EventEmailChanged, TargetID: u.ID})
}

// ResendVerification mails another link to the caller's address, if it is not
// verified and not too many were sent.
func (s *Service) ResendVerification(ctx context.Context, c Caller) error {
	_, err := s.do(ctx, c, func(w *work) error {
		u, _, err := w.self(ctx)
		if err != nil || u.EmailVerified {
			return err
		}
		if err := w.sendVerification(ctx, u); err != nil {
			return err
		}
		return w.record(ctx, AuditEvent{Event: EventVerificationSent, TargetID: u.ID})
	})
	return err
}

// ChangeEmail mails a link to a new address; the change takes effect when it is
// confirmed with VerifyEmail. Fault: InvalidCredentials.
func (s *Service) ChangeEmail(ctx context.Context, c Caller, newEmail, currentPassword string) error {
	address, err := parseEmail("new_email", newEmail)
	if err != nil {
		return err
	}
	hash, err := s.confirm(ctx, c, EventEmailChangeRequested, currentPassword)
	if err != nil {
		return err
	}
	_, err = s.do(ctx, c, func(w *work) error {
		u, _, err := w.confirmed(ctx, hash)
		if err != nil {
			return err
		}
		if address == u.Email {
			return fault.Invalid(fault.Field{Field: "new_email", Message: "is the account's address already"})
		}
		if err := w.askAddress(ctx, u, address); err != nil {
			return err
		}
		return w.record(ctx, AuditEvent{Event: EventEmailChangeRequested, TargetID: u.ID})
	})
	return err
}

// askAddress mails a link to the new address, unless it has an account: then
// its owner is told, and nobody else can tell the difference.
func (w *work) askAddress(ctx context.Context, u User, address string) error {
	switch owner, err := w.UserByEmail(ctx, address); {
	case err == nil:
		err = w.tellTaken(ctx, owner)
		if err != nil {
			return err
		}
	case fault.Is(err, fault.NotFound):
		if err := w.DropMailTokens(ctx, u.ID, PurposeChangeEmail); err != nil {
			return fmt.Errorf("drop mail tokens: %w", err)
		}
		l := link{template: MailChangeEmail, purpose: PurposeChangeEmail, address: address, ttl: changeEmailTTL}
		if err := w.sendLink(ctx, u, l); err != nil {
			return err
		}
	default:
		return fmt.Errorf("look for the new address: %w", err)
	}
	return w.notice(ctx, u, Mail{Template: MailEmailChangeRequested, Data: map[string]string{DataNewEmail: address}})
}
