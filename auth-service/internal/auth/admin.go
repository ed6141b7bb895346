package auth

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"gatehouse.internal/auth-service/internal/auth/role"
	"gatehouse.internal/shared/contract"
	"gatehouse.internal/shared/fault"
)

// administer runs what an administrator does to a user, who is locked. Changes
// by administrators follow one another, and each is refused if the caller is
// none any more.
func (s *Service) administer(ctx context.Context, c Caller, userID string, change func(*work, User) error) (Propagation, error) {
	if err := s.administrator(ctx, c); err != nil {
		return Propagation{}, err
	}
	return s.do(ctx, c, func(w *work) error {
		if err := w.LockAdministrators(ctx); err != nil {
			return fmt.Errorf("lock administrators: %w", err)
		}
		actor, err := w.User(ctx, c.Claims.Subject)
		if err != nil {
			return gone(err)
		}
		if !actor.administrator() {
			return notAdministrator()
		}
		u, err := w.LockUser(ctx, userID)
		if fault.Is(err, fault.NotFound) {
			w.repeated(userID)
			return fault.Wrap(fault.NotFound, "There is no such user.", err)
		}
		if err != nil {
			return fmt.Errorf("lock user: %w", err)
		}
		return change(w, u)
	})
}

// SetRoles replaces a user's roles. The role user always stays. Faults:
// InsufficientRole, NotFound, ValidationFailed, Conflict for the last
// administrator; so for the methods below.
func (s *Service) SetRoles(ctx context.Context, c Caller, userID string, roles []string) (Account, error) {
	roles, err := s.cleanRoles(roles)
	if err != nil {
		return Account{}, err
	}
	var out Account
	_, err = s.administer(ctx, c, userID, func(w *work, u User) error {
		if slices.Equal(u.Roles, roles) {
			w.repeated(u.ID)
		} else if err := w.setRoles(ctx, &u, roles); err != nil {
			return err
		}
		out = u.account()
		return nil
	})
	if err != nil {
		return Account{}, err
	}
	return out, nil
}

func (w *work) setRoles(ctx context.Context, u *User, roles []string) error {
	if !slices.Contains(roles, contract.RoleAdmin) {
		if err := w.spare(ctx, *u); err != nil {
			return err
		}
	}
	u.Roles = roles
	if err := w.raise(ctx, u, contract.RevokeUserStale, CauseRolesChanged); err != nil {
		return err
	}
	if err := w.save(ctx, u, contract.AccountRolesChanged); err != nil {
		return err
	}
	return w.record(ctx, AuditEvent{Event: EventRolesChanged, TargetID: u.ID, Reason: strings.Join(roles, ",")})
}

const maxRoles = 16

// Roles lists the roles that there are, by name. They must not be changed.
func (s *Service) Roles() []*role.Role { return s.config.Roles.Roles() }

// cleanRoles gives the roles sorted, each once, with the role user. Faults:
// ValidationFailed for a name that is none and for a role that there is not.
func (s *Service) cleanRoles(roles []string) ([]string, error) {
	out := append(slices.Clone(roles), contract.RoleUser)
	slices.Sort(out)
	out = slices.Compact(out)
	if len(out) > maxRoles {
		return nil, fault.Invalid(fault.Field{Field: "roles", Message: fmt.Sprintf("must be at most %d", maxRoles)})
	}
	for _, r := range out {
		if !role.IsName(r) {
			return nil, fault.Invalid(fault.Field{Field: "roles",
				Message: "must be names of 1 to 32 small letters, digits, dashes and underscores that start with a letter"})
		}
		if !s.config.Roles.Knows(r) {
			return nil, fault.Invalid(fault.Field{Field: "roles", Message: "there is no role " + r})
		}
	}
	return out, nil
}

// LockUser locks an account and ends its sessions. Locking it again is no error.
func (s *Service) LockUser(ctx context.Context, c Caller, userID string) error {
	_, err := s.administer(ctx, c, userID, func(w *work, u User) error {
		if u.Status == contract.StatusLocked {
			w.repeated(u.ID)
			return nil
		}
		if err := w.spare(ctx, u); err != nil {
			return err
		}
		u.Status = contract.StatusLocked
		if err := w.signOut(ctx, &u, CauseLocked); err != nil {
			return err
		}
		if err := w.save(ctx, &u, contract.AccountStatusChanged); err != nil {
			return err
		}
		return w.record(ctx, AuditEvent{Event: EventLocked, TargetID: u.ID})
	})
	return err
}

// UnlockUser lets a locked account sign in again. Its old sessions stay ended.
func (s *Service) UnlockUser(ctx context.Context, c Caller, userID string) error {
	_, err := s.administer(ctx, c, userID, func(w *work, u User) error {
		if u.Status == contract.StatusActive {
			return nil
		}
		u.Status = contract.StatusActive
		u.Version = u.TokenVersion() + 1 // what was revoked by the lock stays revoked
		if err := w.save(ctx, &u, contract.AccountStatusChanged); err != nil {
			return err
		}
		return w.record(ctx, AuditEvent{Event: EventUnlocked, TargetID: u.ID})
	})
	return err
}

// LogoutUser ends every session of a user.
func (s *Service) LogoutUser(ctx context.Context, c Caller, userID string) error {
	_, err := s.administer(ctx, c, userID, func(w *work, u User) error {
		return w.logoutAll(ctx, u, CauseAdministrator)
	})
	return err
}

// DeleteUser removes an account and everything that belongs to it.
func (s *Service) DeleteUser(ctx context.Context, c Caller, userID string) error {
	_, err := s.administer(ctx, c, userID, func(w *work, u User) error { return w.remove(ctx, u) })
	return err
}

// UserSessions lists a user's live sessions, or ended ones, newest first.
func (s *Service) UserSessions(ctx context.Context, c Caller, userID string, ended bool, p PageRequest) (Page[SessionInfo], error) {
	if err := s.administrator(ctx, c); err != nil {
		return Page[SessionInfo]{}, err
	}
	if _, err := s.store.User(ctx, userID); err != nil {
		if fault.Is(err, fault.NotFound) {
			return Page[SessionInfo]{}, fault.Wrap(fault.NotFound, "There is no such user.", err)
		}
		return Page[SessionInfo]{}, fmt.Errorf("read user: %w", err)
	}
	return s.listSessions(ctx, c, LiveQuery{UserID: userID, Ended: ended}, p)
}

// EndAnySession ends a session of any user and tells how far that has come.
func (s *Service) EndAnySession(ctx context.Context, c Caller, sessionID string) (Propagation, error) {
	if err := s.administrator(ctx, c); err != nil {
		return Propagation{}, err
	}
	x, err := s.store.Session(ctx, sessionID)
	if fault.Is(err, fault.NotFound) {
		return Propagation{}, noSession()
	}
	if err != nil {
		return Propagation{}, fmt.Errorf("read session: %w", err)
	}
	return s.administer(ctx, c, x.UserID, func(w *work, u User) error {
		x, err := w.Session(ctx, sessionID)
		if err != nil && !fault.Is(err, fault.NotFound) {
			return fmt.Errorf("read session: %w", err)
		}
		if err != nil || !x.live(w.now) {
			w.repeated(sessionID, u.ID)
			return noSession()
		}
		return w.endOne(ctx, x, CauseAdministrator)
	})
}
