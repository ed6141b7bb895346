package auth

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"time"

	"gatehouse.internal/shared/contract"
	"gatehouse.internal/shared/fault"
)

// NewSecret asks for a secret of a service account.
type NewSecret struct {
	Lifetime time.Duration // 0 for ever
	// RetireOthersAfter is when the account's other secrets expire, unless they
	// do earlier: a rotation with overlap. Nil leaves them as they are.
	RetireOthersAfter *time.Duration
}

// IssuedSecret is a secret at the one moment when it is known.
type IssuedSecret struct {
	ServiceSecret
	Text string
}

// NewServiceAccount asks for a service account.
type NewServiceAccount struct {
	Name, Description string
	Roles             []string
	Secret            NewSecret
}

// asAdministrator runs a change that administrators alone may make.
func (s *Service) asAdministrator(ctx context.Context, c Caller, change func(*work) error) error {
	if err := s.administrator(ctx, c); err != nil {
		return err
	}
	_, err := s.do(ctx, c, func(w *work) error {
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
		return change(w)
	})
	return err
}

// CreateServiceAccount makes a service account with its first secret. Faults:
// InsufficientRole, ValidationFailed, Conflict for a taken name; so for the
// methods below, with NotFound.
func (s *Service) CreateServiceAccount(ctx context.Context, c Caller, n NewServiceAccount) (ServiceAccount, IssuedSecret, error) {
	name, err := cleanAccountName(n.Name)
	if err != nil {
		return ServiceAccount{}, IssuedSecret{}, err
	}
	roles, err := s.machineRoles(n.Roles)
	if err == nil && (len(n.Description) > maxAccountText || strings.ContainsFunc(n.Description, contract.IsControl)) {
		err = fault.Invalid(fault.Field{Field: "description", Message: "must be a line of at most 500 bytes"})
	}
	if err != nil {
		return ServiceAccount{}, IssuedSecret{}, err
	}
	var (
		made   ServiceAccount
		secret IssuedSecret
	)
	err = s.asAdministrator(ctx, c, func(w *work) error {
		made = ServiceAccount{ID: w.newID(), Name: name, Description: n.Description, Roles: roles, Version: 1, CreatedAt: w.now, UpdatedAt: w.now}
		if err := w.AddServiceAccount(ctx, made); err != nil {
			return fmt.Errorf("add service account: %w", err)
		}
		if err := w.record(ctx, AuditEvent{Event: EventServiceAccountCreated, TargetID: made.ID, Reason: strings.Join(roles, ",")}); err != nil {
			return err
		}
		secret, err = w.addSecret(ctx, made.ID, n.Secret)
		return err
	})
	if err != nil {
		return ServiceAccount{}, IssuedSecret{}, err
	}
	return made, secret, nil
}

func cleanAccountName(name string) (string, error) {
	name = strings.TrimSpace(name)
	if name == "" || len(name) > maxAccountName || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789-_.") != "" {
		return "", fault.Invalid(fault.Field{Field: "name", Message: "must be 1 to 64 small letters, digits, dots, dashes and underscores"})
	}
	return name, nil
}

// addSecret draws a secret for an account whose row the transaction holds.
func (w *work) addSecret(ctx context.Context, accountID string, n NewSecret) (IssuedSecret, error) {
	if n.Lifetime < 0 || n.Lifetime > maxSecretLifetime || n.RetireOthersAfter != nil && (*n.RetireOthersAfter < 0 || *n.RetireOthersAfter > maxSecretLifetime) {
		return IssuedSecret{}, fault.Invalid(fault.Field{Field: "expires_in", Message: "must be within 0 and 10 years"})
	}
	others, err := w.ServiceSecrets(ctx, accountID)
	if err != nil {
		return IssuedSecret{}, fmt.Errorf("read secrets: %w", err)
	}
	live := 0
	for _, x := range others {
		if !x.live(w.now) {
			if err := w.DeleteServiceSecret(ctx, x.ID); err != nil {
				return IssuedSecret{}, fmt.Errorf("remove expired secret: %w", err)
			}
			continue
		}
		live++
		if err := w.retire(ctx, x, n.RetireOthersAfter); err != nil {
			return IssuedSecret{}, err
		}
	}
	if live >= maxSecrets {
		return IssuedSecret{}, fault.New(fault.Conflict, fmt.Sprintf("The account has %d secrets; remove one first.", live))
	}
	random := make([]byte, secretSize)
	w.fill(random)
	out := IssuedSecret{Text: SecretPrefix + base64.RawURLEncoding.EncodeToString(random)}
	sum := sha256.Sum256([]byte(out.Text))
	out.ServiceSecret = ServiceSecret{ID: w.newID(), AccountID: accountID, Hash: sum[:], CreatedAt: w.now}
	if n.Lifetime > 0 {
		out.ExpiresAt = w.now.Add(n.Lifetime)
	}
	if err := w.AddServiceSecret(ctx, out.ServiceSecret); err != nil {
		return IssuedSecret{}, fmt.Errorf("add secret: %w", err)
	}
	return out, w.record(ctx, AuditEvent{Event: EventSecretAdded, TargetID: accountID, Reason: out.ID})
}

// retire has a secret expire after a time, unless it does earlier.
func (w *work) retire(ctx context.Context, x ServiceSecret, after *time.Duration) error {
	if after == nil {
		return nil
	}
	if end := w.now.Add(*after); x.ExpiresAt.IsZero() || end.Before(x.ExpiresAt) {
		x.ExpiresAt = end
		if err := w.SaveServiceSecret(ctx, x); err != nil {
			return fmt.Errorf("retire secret: %w", err)
		}
	}
	if *after > 0 || x.ExpiresAt.Before(w.now.Add(-longestAccess)) {
		return nil
	}
	// At once means its tokens, too.
	return w.revocation(ctx, Revocation{Kind: contract.RevokeSession, Subject: x.ID, Cause: CauseAdministrator}, w.lastMachineAccess())
}

// longestAccess is the most that an access token may be told to live.
const longestAccess = time.Hour

// lastMachineAccess is when the last token of a service account expires that
// can have been made by now, with whatever lifetime tokens had then.
func (w *work) lastMachineAccess() time.Time {
	return w.lastAccess(w.now.Add(longestAccess))
}

// onAccount runs a change of a service account, whose row it locks.
func (s *Service) onAccount(ctx context.Context, c Caller, id string, change func(*work, ServiceAccount) error) error {
	return s.asAdministrator(ctx, c, func(w *work) error {
		a, err := w.LockServiceAccount(ctx, id)
		if fault.Is(err, fault.NotFound) {
			w.repeated(id)
			return noAccount(err)
		}
		if err != nil {
			return fmt.Errorf("lock service account: %w", err)
		}
		return change(w, a)
	})
}

func noAccount(err error) error {
	return fault.Wrap(fault.NotFound, "There is no such service account.", err)
}

// AddServiceSecret gives a service account another secret.
func (s *Service) AddServiceSecret(ctx context.Context, c Caller, id string, n NewSecret) (out IssuedSecret, err error) {
	err = s.onAccount(ctx, c, id, func(w *work, a ServiceAccount) error {
		out, err = w.addSecret(ctx, a.ID, n)
		return err
	})
	return out, err
}

// RevokeServiceSecret removes a secret, and revokes all tokens that were issued
// for it.
func (s *Service) RevokeServiceSecret(ctx context.Context, c Caller, id, secretID string) error {
	return s.onAccount(ctx, c, id, func(w *work, a ServiceAccount) error {
		x, err := w.ServiceSecret(ctx, secretID)
		if err != nil && !fault.Is(err, fault.NotFound) {
			return fmt.Errorf("read secret: %w", err)
		}
		if err != nil || x.AccountID != a.ID {
			w.repeated(secretID)
			return fault.New(fault.NotFound, "The account has no such secret.")
		}
		if err := w.DeleteServiceSecret(ctx, x.ID); err != nil {
			return fmt.Errorf("remove secret: %w", err)
		}
		r := Revocation{Kind: contract.RevokeSession, Subject: x.ID, Cause: CauseAdministrator}
		if err := w.revocation(ctx, r, w.lastMachineAccess()); err != nil {
			return err
		}
		return w.record(ctx, AuditEvent{Event: EventSecretRevoked, TargetID: a.ID, Reason: x.ID})
	})
}

// SetServiceRoles replaces the roles of a service account. Its tokens are stale
// at once: it asks for another.
func (s *Service) SetServiceRoles(ctx context.Context, c Caller, id string, roles []string) (ServiceAccount, error) {
	roles, err := s.machineRoles(roles)
	if err != nil {
		return ServiceAccount{}, err
	}
	var out ServiceAccount
	err = s.onAccount(ctx, c, id, func(w *work, a ServiceAccount) error {
		out = a
		if slices.Equal(a.Roles, roles) {
			w.repeated(a.ID)
			return nil
		}
		out.Roles, out.UpdatedAt = roles, w.now
		if err := w.outdate(ctx, &out, contract.RevokeUserStale, CauseRolesChanged); err != nil {
			return err
		}
		if err := w.SaveServiceAccount(ctx, out); err != nil {
			return fmt.Errorf("save service account: %w", err)
		}
		return w.record(ctx, AuditEvent{Event: EventRolesChanged, TargetID: a.ID, Reason: strings.Join(roles, ",")})
	})
	return out, err
}

// outdate makes every token of the account that exists so far bad, as raise
// does for users.
func (w *work) outdate(ctx context.Context, a *ServiceAccount, kind contract.RevocationKind, cause string) error {
	a.Version = a.TokenVersion() + 1
	r := Revocation{Kind: kind, Subject: a.ID, MinVersion: a.Version, Cause: cause}
	return w.revocation(ctx, r, w.lastMachineAccess())
}

// DeleteServiceAccount removes a service account and revokes all its tokens.
func (s *Service) DeleteServiceAccount(ctx context.Context, c Caller, id string) error {
	return s.onAccount(ctx, c, id, func(w *work, a ServiceAccount) error {
		if err := w.outdate(ctx, &a, contract.RevokeUser, CauseDeleted); err != nil {
			return err
		}
		if err := w.DeleteServiceAccount(ctx, a.ID); err != nil {
			return fmt.Errorf("delete service account: %w", err)
		}
		return w.record(ctx, AuditEvent{Event: EventServiceAccountDeleted, TargetID: a.ID})
	})
}

// serviceList names the list of service accounts for cursors.
const serviceList = "service-accounts"

// ServiceAccounts lists the service accounts, oldest first.
func (s *Service) ServiceAccounts(ctx context.Context, c Caller, p PageRequest) (Page[ServiceAccount], error) {
	if err := s.administrator(ctx, c); err != nil {
		return Page[ServiceAccount]{}, err
	}
	limit, err := p.limit()
	if err != nil {
		return Page[ServiceAccount]{}, err
	}
	after, err := openCursor(serviceList, p.Cursor)
	if err != nil {
		return Page[ServiceAccount]{}, err
	}
	found, err := s.store.ServiceAccounts(ctx, after.id, limit+1)
	if err != nil {
		return Page[ServiceAccount]{}, fmt.Errorf("list service accounts: %w", err)
	}
	return cut(found, limit, func(a ServiceAccount) cursor { return cursor{list: serviceList, id: a.ID} }), nil
}

// ServiceAccount returns a service account with its secrets.
func (s *Service) ServiceAccount(ctx context.Context, c Caller, id string) (ServiceAccount, []ServiceSecret, error) {
	if err := s.administrator(ctx, c); err != nil {
		return ServiceAccount{}, nil, err
	}
	a, err := s.store.ServiceAccount(ctx, id)
	if fault.Is(err, fault.NotFound) {
		return ServiceAccount{}, nil, noAccount(err)
	}
	if err != nil {
		return ServiceAccount{}, nil, fmt.Errorf("read service account: %w", err)
	}
	secrets, err := s.store.ServiceSecrets(ctx, id)
	if err != nil {
		return ServiceAccount{}, nil, fmt.Errorf("read secrets: %w", err)
	}
	return a, secrets, nil
}
