package auth

import (
	"context"
	"fmt"
	"slices"

	"gatehouse.internal/shared/contract"
	"gatehouse.internal/shared/fault"
)

// account is what may be shown of a user.
func (u User) account() Account {
	return Account{
		ID: u.ID, Email: u.Email, EmailVerified: u.EmailVerified, Roles: slices.Clone(u.Roles),
		Status: u.Status, MFAEnabled: u.MFAEnabled, CreatedAt: u.CreatedAt, LastLoginAt: u.LastLoginAt,
	}
}

// event is the user's state as other services learn it.
func (u User) event() contract.Account {
	a := contract.Account{
		ID: u.ID, Version: u.Revision, Email: u.Email, EmailVerified: u.EmailVerified,
		Roles: slices.Clone(u.Roles), Status: u.Status, FirstName: u.FirstName, LastName: u.LastName,
		CreatedAt: u.CreatedAt,
	}
	if !u.LastLoginAt.IsZero() {
		at := u.LastLoginAt
		a.LastLoginAt = &at
	}
	return a
}

// administrator reports whether the user can do an administrator's work.
func (u User) administrator() bool {
	return u.Status == contract.StatusActive && slices.Contains(u.Roles, contract.RoleAdmin)
}

// Me returns the caller's account.
func (s *Service) Me(ctx context.Context, c Caller) (Account, error) {
	u, _, err := s.self(ctx, c)
	if err != nil {
		return Account{}, err
	}
	return u.account(), nil
}

// DeleteAccount removes the caller's account and everything that belongs to it.
// Faults: InvalidCredentials, MFARequired, Conflict for the last administrator.
func (s *Service) DeleteAccount(ctx context.Context, c Caller, password string) error {
	hash, err := s.confirm(ctx, c, EventDeleted, password)
	if err != nil {
		return err
	}
	_, err = s.do(ctx, c, func(w *work) error {
		if err := w.LockAdministrators(ctx); err != nil {
			return fmt.Errorf("lock administrators: %w", err)
		}
		u, _, err := w.confirmed(ctx, hash)
		if err != nil {
			return err
		}
		return w.remove(ctx, u)
	})
	return err
}

// remove deletes a user. The transaction holds the administrators' lock.
func (w *work) remove(ctx context.Context, u User) error {
	if err := w.spare(ctx, u); err != nil {
		return err
	}
	if err := w.signOut(ctx, &u, CauseDeleted); err != nil {
		return err
	}
	if err := w.notice(ctx, u, Mail{Template: MailAccountDeleted}); err != nil {
		return err
	}
	// What is told of an account that is gone is its id and nothing else.
	last := User{ID: u.ID, Revision: u.Revision + 1, Status: contract.StatusDeleted, CreatedAt: u.CreatedAt}
	if err := w.tell(ctx, last, contract.AccountDeleted); err != nil {
		return err
	}
	if err := w.DeleteUser(ctx, u.ID); err != nil {
		return fmt.Errorf("delete user: %w", err)
	}
	if err := w.record(ctx, AuditEvent{Event: EventDeleted, TargetID: u.ID}); err != nil {
		return err
	}
	return w.pseudonymise(ctx, u.ID)
}

// spare refuses to take the last administrator away. The transaction holds the
// administrators' lock, so two that take each other away follow one another.
func (w *work) spare(ctx context.Context, u User) error {
	if !u.administrator() {
		return nil
	}
	others, err := w.OtherAdministrators(ctx, u.ID)
	if err != nil {
		return fmt.Errorf("count administrators: %w", err)
	}
	if others == 0 {
		return fault.New(fault.Conflict, "This is the last administrator who is not locked.")
	}
	return nil
}

// confirm checks the caller's password again before something grave, and
// returns the hash that it matched. A session that has not shown the second
// factor of the account does not come so far: the password alone must not take
// away what it does not open. Fault: MFARequired.
func (s *Service) confirm(ctx context.Context, c Caller, event, password string) (string, error) {
	u, session, err := s.self(ctx, c)
	if err == nil {
		err = unshown(u, session)
	}
	if err != nil {
		return "", err
	}
	return u.PasswordHash, s.confirmPassword(ctx, c, u, event, password)
}

// confirmPassword checks the password of the caller, who is u. A failure is
// recorded under the event.
func (s *Service) confirmPassword(ctx context.Context, c Caller, u User, event, password string) error {
	try, err := s.attemptConfirm(ctx, c, event)
	if err != nil {
		return err
	}
	matches, err := s.hash.Matches(ctx, u.PasswordHash, password)
	if err == nil && !matches {
		err = s.note(ctx, c, AuditEvent{Event: event, TargetID: u.ID, Reason: "wrong_password"},
			fault.New(fault.InvalidCredentials, "The password is wrong."))
	}
	try.settle(ctx, err)
	return err
}

// confirmed is the caller's user, locked, and session, if what confirm has found
// is so still.
func (w *work) confirmed(ctx context.Context, hash string) (User, Session, error) {
	u, s, err := w.unchanged(ctx, hash)
	if err == nil {
		err = unshown(u, s)
	}
	if err != nil {
		return User{}, Session{}, err
	}
	return u, s, nil
}

// unchanged is the caller's user, locked, and session, if the password is still
// the one that was confirmed.
func (w *work) unchanged(ctx context.Context, hash string) (User, Session, error) {
	u, s, err := w.self(ctx)
	if err != nil {
		return User{}, Session{}, err
	}
	if u.PasswordHash != hash {
		return User{}, Session{}, fault.New(fault.Conflict, "The account was changed meanwhile; try again.")
	}
	return u, s, nil
}
