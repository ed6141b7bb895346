package auth

import (
	"context"
	"fmt"
	"time"

	"gatehouse.internal/shared/contract"
	"gatehouse.internal/shared/fault"
)

// An address that is registered again before anybody has confirmed it is
// contested: one of those who registered is not its owner, and nobody can tell
// which. The account keeps its first password meanwhile, so that registering an
// address again takes nothing from anybody; but whoever confirms the address
// must say which password holds, and with another one than the first everything
// that was set up before is gone. So nobody can register somebody else's
// address in advance, and have the owner confirm his password.

// ContestReader reads which addresses are contested.
type ContestReader interface {
	// Contested reports whether the account's address was registered again
	// before it was confirmed.
	Contested(ctx context.Context, userID string) (bool, error)
}

// ContestTx notes which addresses are contested.
type ContestTx interface {
	// Contest notes that the account's address was registered again. Noting it
	// again is no error.
	Contest(ctx context.Context, userID string, at time.Time) error
	// Uncontest takes the note back, if there is one.
	Uncontest(ctx context.Context, userID string) error
}

// Confirmation is what confirms an address.
type Confirmation struct {
	Token string // from the letter
	// Password is the account's password from now on. It may be missing where
	// the address was registered once.
	Password string
	// Keep refuses, with fault.InvalidCredentials, a password that is not the
	// account's already.
	Keep bool
}

// Confirming tells what confirming an address with a mail token asks for.
type Confirming struct {
	Registration bool // the address of a new account: a password may be given
	Contested    bool // it must be
}

// LookAtConfirmation tells what a mail token asks for, without using it up. One
// that is not good asks for nothing: that comes out when it is used.
func (s *Service) LookAtConfirmation(ctx context.Context, token string) (Confirming, error) {
	u, t, err := openToken(ctx, s.store, token, s.now(), PurposeVerifyEmail, PurposeChangeEmail)
	if fault.Is(err, fault.ValidationFailed) {
		return Confirming{}, nil
	}
	if err != nil || t.Purpose == PurposeChangeEmail {
		return Confirming{}, err
	}
	contested, err := s.store.Contested(ctx, u.ID)
	if err != nil {
		return Confirming{}, fmt.Errorf("look whether the address is contested: %w", err)
	}
	return Confirming{Registration: true, Contested: contested}, nil
}

// ConfirmEmail takes a token from a mail: it verifies the address of an
// account, or makes a changed address take effect. With a password, the account
// has that one from then on, and if it had another, all that was signed in with
// it is signed out. Faults: ValidationFailed for a token that is unknown, used,
// expired or for another purpose or address, and for a missing password of a
// contested address; WeakPassword, PasswordReused.
func (s *Service) ConfirmEmail(ctx context.Context, c Caller, in Confirmation) error {
	u, t, err := openToken(ctx, s.store, in.Token, s.now(), PurposeVerifyEmail, PurposeChangeEmail)
	if err != nil {
		return err
	}
	next := ""
	if t.Purpose == PurposeVerifyEmail && in.Password != "" {
		if next, err = s.confirmedPassword(ctx, u, in); err != nil {
			return err
		}
	}
	_, err = s.do(ctx, c, func(w *work) error {
		now, t, err := w.takeToken(ctx, in.Token, PurposeVerifyEmail, PurposeChangeEmail)
		if err != nil {
			return err
		}
		if t.Purpose == PurposeChangeEmail {
			return w.moveAddress(ctx, now, t.Address)
		}
		if in.Password == "" {
			return w.verifyAddress(ctx, now, t.Address)
		}
		if now.PasswordHash != u.PasswordHash || now.EmailVerified {
			return fault.New(fault.Conflict, "The account was changed meanwhile; try again.")
		}
		return w.claim(ctx, now, t.Address, next)
	})
	return err
}

// confirmedPassword hashes the password of a confirmation, or gives "" if it is
// the account's already.
func (s *Service) confirmedPassword(ctx context.Context, u User, in Confirmation) (string, error) {
	same, err := s.hash.Matches(ctx, u.PasswordHash, in.Password)
	switch {
	case err != nil || same:
		return "", err
	case in.Keep:
		return "", fault.New(fault.InvalidCredentials, "The address was registered with another password.")
	}
	return s.newPassword(ctx, u.ID, in.Password)
}

// claim verifies an address for whoever reads its mail and knows its password,
// or sets another one, which is given as its hash.
func (w *work) claim(ctx context.Context, u User, address, hash string) error {
	if u.Email != address {
		return badToken(nil)
	}
	events := []string{contract.AccountEmailVerified}
	reason := ""
	if hash != "" {
		events, reason = append(events, contract.AccountPasswordChanged), "password_chosen"
		if err := w.setPassword(ctx, &u, hash, CauseAddressClaimed); err != nil {
			return err
		}
		if err := w.disown(ctx, &u); err != nil {
			return err
		}
	}
	if err := w.proven(ctx, &u); err != nil {
		return err
	}
	if err := w.save(ctx, &u, events...); err != nil {
		return err
	}
	return w.record(ctx, AuditEvent{Event: EventEmailVerified, ActorID: u.ID, TargetID: u.ID, Reason: reason})
}

// CauseAddressClaimed is why sessions end that were opened with the password of
// somebody who registered another's address.
const CauseAddressClaimed = "address_claimed"

// proven marks the user's address as confirmed: its links for that and the
// dispute over it are done with. The caller saves the user.
func (w *work) proven(ctx context.Context, u *User) error {
	u.EmailVerified = true
	if err := w.DropMailTokens(ctx, u.ID, PurposeVerifyEmail); err != nil {
		return fmt.Errorf("drop mail tokens: %w", err)
	}
	if err := w.Uncontest(ctx, u.ID); err != nil {
		return fmt.Errorf("settle who the address belongs to: %w", err)
	}
	return nil
}

// disown takes away what somebody set up who registered the address, and would
// let him in again once its owner has it. The caller saves the user.
func (w *work) disown(ctx context.Context, u *User) error {
	if err := w.dropFactors(ctx, u.ID); err != nil {
		return err
	}
	u.MFAEnabled = false
	return nil
}

// contest notes that somebody registered the address of an account which
// nobody has confirmed yet, and mails another link.
func (w *work) contest(ctx context.Context, u User) error {
	if err := w.Contest(ctx, u.ID, w.now); err != nil {
		return fmt.Errorf("note that the address is contested: %w", err)
	}
	l := verification(u)
	l.again = true
	return w.sendLink(ctx, u, l)
}
