package auth

import (
	"context"
	"fmt"

	"gatehouse.internal/shared/contract"
	"gatehouse.internal/shared/fault"
)

// VerifyEmail is ConfirmEmail without a password.
func (s *Service) VerifyEmail(ctx context.Context, c Caller, token string) error {
	return s.ConfirmEmail(ctx, c, Confirmation{Token: token})
}

// verifyAddress marks the address as proven, unless it is contested.
func (w *work) verifyAddress(ctx context.Context, u User, address string) error {
	if u.Email != address {
		return badToken(nil) // the account has moved since
	}
	if !u.EmailVerified {
		contested, err := w.Contested(ctx, u.ID)
		if err != nil {
			return fmt.Errorf("look whether the address is contested: %w", err)
		}
		if contested {
			return fault.Invalid(fault.Field{Field: "new_password",
				Message: "is required: the address was registered more than once, so whoever confirms it says which password holds"})
		}
	}
	before := u.EmailVerified
	if err := w.proven(ctx, &u); err != nil || before {
		return err
	}
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
	for _, purpose := range []string{PurposeChangeEmail, PurposeResetPassword} {
		if err := w.DropMailTokens(ctx, u.ID, purpose); err != nil {
			return fmt.Errorf("drop mail tokens: %w", err)
		}
	}
	before := u
	u.Email = address
	if err := w.proven(ctx, &u); err != nil {
		return err
	}
	if err := w.save(ctx, &u, contract.AccountEmailChanged); err != nil {
		if fault.Is(err, fault.Conflict) {
			return badToken(err)
		}
		return err
	}
	err := w.notice(ctx, before, Mail{Template: MailEmailChanged, Data: map[string]string{DataNewEmail: address}})
	if err != nil {
		return err
	}
	return w.record(ctx, AuditEvent{Event: EventEmailChanged, TargetID: u.ID})
}

// ResendVerification mails another link to the caller's address, if it is not
// verified and not too many were sent. Fault: RateLimited.
func (s *Service) ResendVerification(ctx context.Context, c Caller) error {
	if _, _, err := s.self(ctx, c); err != nil {
		return err
	}
	if err := s.attemptLetter(ctx, c, EventVerificationSent); err != nil {
		return err
	}
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
// confirmed with VerifyEmail. Faults: InvalidCredentials, MFARequired, RateLimited.
func (s *Service) ChangeEmail(ctx context.Context, c Caller, newEmail, currentPassword string) error {
	address, err := parseEmail("new_email", newEmail)
	if err != nil {
		return err
	}
	hash, err := s.confirm(ctx, c, EventEmailChangeRequested, currentPassword)
	if err != nil {
		return err
	}
	if err := s.attemptLetter(ctx, c, EventEmailChangeRequested); err != nil {
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
