package auth

import (
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
	"time"

	"gatehouse.internal/shared/contract"
	"gatehouse.internal/shared/fault"
)

// MachineTokens is the answer to client credentials (RFC 6749 section 4.4.3):
// there is no refresh token.
type MachineTokens struct {
	AccessToken string
	ExpiresIn   time.Duration
	Roles       []string
}

// IssueMachineToken gives a service account an access token for its secret. With
// scope it has those of its roles alone. Faults: InvalidCredentials, RateLimited
// after many wrong ones from one network address, InvalidScope for a role that the account does not have.
func (s *Service) IssueMachineToken(ctx context.Context, c Caller, id, secret string, scope []string) (MachineTokens, error) {
	var claims *contract.Claims
	_, err := s.do(ctx, c, func(w *work) error {
		claims = nil
		a, x, err := w.lockMachine(ctx, id, secret)
		if err != nil {
			return err
		}
		a.Roles = s.machineNames(a.Roles)
		for _, role := range scope {
			if !slices.Contains(a.Roles, role) {
				return InvalidScope()
			}
		}
		claims = w.machineClaims(a, x, scope)
		return w.record(ctx, AuditEvent{Event: EventClientToken, ActorID: a.ID, TargetID: a.ID, SessionID: x.ID})
	})
	if fault.Is(err, fault.InvalidCredentials) {
		err = s.refuseClient(ctx, c)
	}
	if err != nil {
		return MachineTokens{}, err
	}
	access, err := s.sign.Sign(ctx, *claims)
	if err != nil {
		return MachineTokens{}, fmt.Errorf("sign access token: %w", err)
	}
	return MachineTokens{AccessToken: access, ExpiresIn: claims.ExpiresAt.Sub(claims.IssuedAt), Roles: claims.Roles}, nil
}

// InvalidScope refuses a scope (RFC 6749 section 5.2).
func InvalidScope() error {
	f := fault.New(fault.Malformed, "The scope names a role that the account does not have.")
	f.Extra = map[string]any{"error": "invalid_scope"}
	return f
}

// machine finds the service account that an id and a secret belong to.
func machine(ctx context.Context, r MachineReader, id, secret string, now time.Time) (ServiceAccount, ServiceSecret, error) {
	sum := sha256.Sum256([]byte(secret))
	x, err := r.ServiceSecretByHash(ctx, sum[:])
	if err == nil && (x.AccountID != id || !x.live(now)) {
		return ServiceAccount{}, ServiceSecret{}, badClient()
	}
	if err != nil {
		return ServiceAccount{}, ServiceSecret{}, unknownClient(err)
	}
	a, err := r.ServiceAccount(ctx, id)
	if err != nil {
		return ServiceAccount{}, ServiceSecret{}, unknownClient(err)
	}
	return a, x, nil
}

func unknownClient(err error) error {
	if fault.Is(err, fault.NotFound) {
		return badClient()
	}
	return fmt.Errorf("read service account: %w", err)
}

func badClient() error {
	return fault.New(fault.InvalidCredentials, "The client is unknown or its secret is wrong.")
}

// lockMachine is machine with the account locked: no token is issued beside a
// change that would have to revoke it.
func (w *work) lockMachine(ctx context.Context, id, secret string) (ServiceAccount, ServiceSecret, error) {
	if _, _, err := machine(ctx, w, id, secret, w.now); err != nil {
		return ServiceAccount{}, ServiceSecret{}, err // nothing is locked for a stranger
	}
	if _, err := w.LockServiceAccount(ctx, id); err != nil {
		return ServiceAccount{}, ServiceSecret{}, unknownClient(err)
	}
	return machine(ctx, w, id, secret, w.now)
}

func (w *work) machineClaims(a ServiceAccount, x ServiceSecret, scope []string) *contract.Claims {
	from := w.now.Truncate(time.Second) // tokens tell whole seconds
	until := from.Add(w.svc.config.AccessTTL)
	if !x.ExpiresAt.IsZero() {
		until = earlier(until, x.ExpiresAt.Add(time.Second).Truncate(time.Second))
	}
	roles := a.Roles
	if len(scope) > 0 {
		roles = slices.Compact(slices.Sorted(slices.Values(scope)))
	}
	return &contract.Claims{
		Issuer: w.svc.config.Issuer, Audience: w.svc.config.Audience, ClientID: a.ID, Subject: a.ID, SessionID: x.ID,
		TokenID: w.newID(), IssuedAt: from, NotBefore: from, ExpiresAt: until, Roles: roles, Version: a.TokenVersion(),
	}
}

// judgeMachine asks r whether the token of a service account is still good.
func judgeMachine(ctx context.Context, r Reader, c *contract.Claims) error {
	a, err := r.ServiceAccount(ctx, c.Subject)
	if err != nil {
		return gone(err)
	}
	x, err := r.ServiceSecret(ctx, c.SessionID)
	if err != nil {
		return gone(err)
	}
	switch {
	case x.AccountID != a.ID || c.Version > a.TokenVersion():
		return fault.New(fault.TokenRevoked, "The token was revoked.")
	case c.Version < a.Version:
		return fault.New(fault.TokenStale, "The account has changed; ask for another token.")
	}
	revoked, err := r.TokenRevoked(ctx, c.TokenID)
	if err != nil {
		return fmt.Errorf("look for revoked token: %w", err)
	}
	ofSecret, err := r.Revocations(ctx, RevocationQuery{Subject: x.ID, At: c.IssuedAt, Limit: 1})
	if err != nil {
		return fmt.Errorf("look for a secret that was retired at once: %w", err)
	}
	if revoked || len(ofSecret) > 0 {
		return fault.New(fault.TokenRevoked, "The token was revoked.")
	}
	return nil
}

// noPerson refuses a good token of a service account where a person is meant.
func noPerson() error {
	return fault.New(fault.InsufficientRole, "This is for people; the token is that of a service account.")
}
