package auth

import (
	"context"
	"fmt"

	"gatehouse.internal/shared/contract"
	"gatehouse.internal/shared/fault"
)

// HasAdministrator reports whether there is an administrator, so that a first
// start can be told from a later one.
func (s *Service) HasAdministrator(ctx context.Context) (bool, error) {
	has, err := s.store.HasAdministrator(ctx)
	if err != nil {
		return false, fmt.Errorf("look for an administrator: %w", err)
	}
	return has, nil
}

// EnsureAdministrator creates the first administrator, with a verified address,
// and reports whether it did: it does nothing when there is one already.
func (s *Service) EnsureAdministrator(ctx context.Context, email, password string) (bool, error) {
	if has, err := s.HasAdministrator(ctx); has || err != nil {
		return false, err
	}
	r, err := s.checkRegistration(Registration{Email: email, Password: password})
	if err != nil {
		return false, fmt.Errorf("first administrator: %w", err)
	}
	hash, err := s.hash.Hash(ctx, r.Password)
	if err != nil {
		return false, fmt.Errorf("first administrator: %w", err)
	}
	created := false
	_, err = s.do(ctx, Caller{}, func(w *work) error {
		if err := w.LockAdministrators(ctx); err != nil {
			return fmt.Errorf("lock administrators: %w", err)
		}
		has, err := w.HasAdministrator(ctx)
		if created = !has; has || err != nil {
			return err // another replica was faster
		}
		return w.addAdministrator(ctx, r, hash)
	})
	return created && err == nil, err
}

func (w *work) addAdministrator(ctx context.Context, r Registration, hash string) error {
	u := w.newUser(r, hash)
	u.Roles, u.EmailVerified = []string{contract.RoleAdmin, contract.RoleUser}, true
	if err := w.AddUser(ctx, u); err != nil {
		if fault.Is(err, fault.Conflict) {
			return fmt.Errorf("the first administrator's address belongs to an account without that role: %w", err)
		}
		return fmt.Errorf("add administrator: %w", err)
	}
	if err := w.tell(ctx, u, contract.AccountRegistered); err != nil {
		return err
	}
	return w.record(ctx, AuditEvent{Event: EventAdministratorCreated, TargetID: u.ID})
}
