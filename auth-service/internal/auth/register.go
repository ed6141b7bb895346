package auth

import (
	"context"
	"fmt"

	"gatehouse.internal/shared/contract"
	"gatehouse.internal/shared/fault"
)

// Register asks for a new account and mails a link that verifies the address.
// For an address that has an account it does the same work, gives the same
// answer and mails its owner instead; see ConfirmEmail for one that nobody has
// confirmed. Faults: ValidationFailed,
// WeakPassword, RateLimited.
func (s *Service) Register(ctx context.Context, c Caller, r Registration) error {
	r, err := s.checkRegistration(r)
	if err != nil {
		return err
	}
	if err := s.attemptLetter(ctx, c, EventRegistered); err != nil {
		return err
	}
	hash, err := s.hash.Hash(ctx, r.Password)
	if err != nil {
		return err
	}
	_, err = s.do(ctx, c, func(w *work) error {
		u := w.newUser(r, hash)
		err := w.AddUser(ctx, u)
		if fault.Is(err, fault.Conflict) {
			return w.registerAgain(ctx, r.Email)
		}
		if err != nil {
			return fmt.Errorf("add user: %w", err)
		}
		if err := w.tell(ctx, u, contract.AccountRegistered); err != nil {
			return err
		}
		if err := w.sendVerification(ctx, u); err != nil {
			return err
		}
		return w.record(ctx, AuditEvent{Event: EventRegistered, TargetID: u.ID})
	})
	return err
}

// registerAgain tells the owner of an address that somebody registered it.
func (w *work) registerAgain(ctx context.Context, email string) error {
	owner, err := w.UserByEmail(ctx, email)
	if err == nil {
		owner, err = w.LockUser(ctx, owner.ID)
	}
	if fault.Is(err, fault.NotFound) { // gone at this very moment
		return fault.Wrap(fault.Conflict, "The address is being given up; try again.", err)
	}
	if err != nil {
		return fmt.Errorf("find owner of address: %w", err)
	}
	reason := "address_taken"
	if owner.EmailVerified || owner.Email != email {
		err = w.tellTaken(ctx, owner)
	} else {
		reason = "address_contested"
		err = w.contest(ctx, owner)
	}
	if err != nil {
		return err
	}
	return w.record(ctx, AuditEvent{Event: EventRegistered, TargetID: owner.ID, Outcome: OutcomeFailure, Reason: reason})
}

func (w *work) newUser(r Registration, hash string) User {
	return User{
		ID: w.newID(), Email: r.Email, Roles: []string{contract.RoleUser}, Status: contract.StatusActive,
		PasswordHash: hash, FirstName: r.FirstName, LastName: r.LastName,
		Version: 1, Revision: 1, CreatedAt: w.now, UpdatedAt: w.now,
	}
}

// checkRegistration gives the registration in the form in which it is stored,
// or every problem of it at once.
func (s *Service) checkRegistration(r Registration) (Registration, error) {
	var fields []fault.Field
	email, err := parseEmail("email", r.Email)
	if err != nil {
		fields = append(fields, fieldsOf(err)...)
	}
	r.Email = email
	for _, n := range []struct {
		field string
		name  *string
	}{{"first_name", &r.FirstName}, {"last_name", &r.LastName}} {
		if *n.name, err = contract.CheckName(*n.name); err != nil {
			fields = append(fields, fault.Field{Field: n.field, Message: err.Error()})
		}
	}
	weak := s.weakness("password", r.Password, User{Email: r.Email, FirstName: r.FirstName, LastName: r.LastName})
	if len(fields) > 0 {
		return r, fault.Invalid(append(fields, fieldsOf(weak)...)...)
	}
	return r, weak
}
