package auth

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"

	"gatehouse.internal/shared/contract"
	"gatehouse.internal/shared/fault"
)

// Client is a program that may introspect tokens (RFC 7662) and revoke those
// that were issued to it (RFC 7009).
type Client struct {
	ID string
	// SecretHash is the SHA-256 of the client's secret, which must be random
	// with at least 128 bits: it is not stretched.
	SecretHash []byte
	// AnyClient lets it revoke tokens that were issued to others, too.
	AnyClient bool
	// OwnOnly has it introspect nothing but tokens that were issued to itself:
	// others are inactive to it (RFC 7662 section 4).
	OwnOnly bool
}

// AuthenticateClient returns the client with this id and secret. Faults:
// InvalidCredentials, RateLimited after many wrong ones from one network address.
func (s *Service) AuthenticateClient(ctx context.Context, c Caller, id, secret string) (Client, error) {
	sum := sha256.Sum256([]byte(secret))
	var found Client
	for _, client := range s.config.Clients {
		match := subtle.ConstantTimeCompare(sum[:], client.SecretHash)
		if client.ID == id && match == 1 {
			found = client
		}
	}
	if found.ID == "" {
		a, _, err := machine(ctx, s.store, id, secret, s.now())
		if err == nil {
			return Client{ID: a.ID, OwnOnly: true}, nil
		}
		if !fault.Is(err, fault.InvalidCredentials) {
			return Client{}, err
		}
		return Client{}, s.refuseClient(ctx, c)
	}
	return found, nil
}

// Introspect tells a client about an access or refresh token (RFC 7662). A
// token that is not good for any reason is inactive, without an error.
func (s *Service) Introspect(ctx context.Context, client Client, token string) (Introspection, error) {
	out, err := s.introspect(ctx, token)
	if err != nil || client.OwnOnly && out.ClientID != client.ID {
		return Introspection{}, err
	}
	return out, nil
}

func (s *Service) introspect(ctx context.Context, token string) (Introspection, error) {
	if t, ok := s.refreshKeys.decode(token); ok {
		return s.introspectRefresh(ctx, t)
	}
	claims, err := s.verify.Verify(ctx, token)
	if bad, err := notGood(err); bad || err != nil {
		return Introspection{}, err
	}
	if claims.OfServiceAccount() {
		if len(s.unsuitable(claims.Roles)) > 0 {
			return Introspection{}, nil // another token would not name them
		}
		err = judgeMachine(ctx, s.store, claims)
	} else {
		_, _, err = judge(ctx, s.store, claims, s.now())
	}
	if bad, err := notGood(err); bad || err != nil {
		return Introspection{}, err
	}
	return Introspection{
		Active: true, TokenUse: TokenUseAccess, ClientID: claims.ClientID, Subject: claims.Subject,
		SessionID: claims.SessionID, TokenID: claims.TokenID, Issuer: claims.Issuer, Audience: claims.Audience,
		Roles: claims.Roles, IssuedAt: claims.IssuedAt, NotBefore: claims.NotBefore, ExpiresAt: claims.ExpiresAt,
	}, nil
}

// notGood splits failures of a check into what says that the token is bad, and
// what says that nobody can tell.
func notGood(err error) (bad bool, failure error) {
	switch fault.KindOf(err) {
	case "":
		return false, nil
	case fault.TokenInvalid, fault.TokenExpired, fault.TokenRevoked, fault.TokenStale, fault.TokenMissing, fault.Malformed:
		return true, nil
	}
	return false, fmt.Errorf("check token: %w", err)
}

func (s *Service) introspectRefresh(ctx context.Context, t refreshToken) (Introspection, error) {
	x, err := s.store.Session(ctx, t.sessionID())
	if fault.Is(err, fault.NotFound) {
		return Introspection{}, nil
	}
	if err != nil {
		return Introspection{}, fmt.Errorf("read session: %w", err)
	}
	if !x.live(s.now()) || t.generation != x.Generation || !same(t.hash(), x.Refresh) {
		return Introspection{}, nil
	}
	return Introspection{
		Active: true, TokenUse: TokenUseRefresh, ClientID: x.ClientID, Subject: x.UserID, SessionID: x.ID,
		Issuer: s.config.Issuer, Audience: s.config.Audience, IssuedAt: x.LastSeenAt, ExpiresAt: x.IdleExpiresAt,
	}, nil
}

// Revoke revokes an access token by itself, or the whole session of a refresh
// token (RFC 7009). An unknown token is no error; one that was issued to
// another client is fault.InvalidCredentials.
func (s *Service) Revoke(ctx context.Context, c Caller, client Client, token string) error {
	if t, ok := s.refreshKeys.decode(token); ok {
		_, err := s.do(ctx, c, func(w *work) error { return w.revokeSession(ctx, client, t.sessionID()) })
		return err
	}
	claims, err := s.verify.Verify(ctx, token)
	if bad, err := notGood(err); bad || err != nil {
		return err // a bad token has nothing left to revoke
	}
	if !client.mayRevoke(claims.ClientID) {
		return notYours()
	}
	_, err = s.do(ctx, c, func(w *work) error { return w.revokeToken(ctx, claims) })
	return err
}

func (w *work) revokeSession(ctx context.Context, client Client, id string) error {
	_, x, err := w.lockSession(ctx, id)
	if fault.Is(err, fault.NotFound) {
		return w.endUnknown(ctx, id, CauseClientRevoked)
	}
	if err != nil {
		return err
	}
	if !client.mayRevoke(x.ClientID) {
		return notYours()
	}
	if !x.EndedAt.IsZero() {
		w.repeated(x.ID, x.UserID)
		return nil
	}
	return w.endOne(ctx, x, CauseClientRevoked)
}

func (w *work) revokeToken(ctx context.Context, claims *contract.Claims) error {
	revoked, err := w.TokenRevoked(ctx, claims.TokenID)
	if err != nil {
		return fmt.Errorf("look for revoked token: %w", err)
	}
	if revoked {
		w.repeated(claims.TokenID)
		return nil
	}
	r := Revocation{Kind: contract.RevokeToken, Subject: claims.TokenID, Cause: CauseClientRevoked}
	if err := w.revocation(ctx, r, claims.ExpiresAt); err != nil {
		return err
	}
	return w.record(ctx, AuditEvent{Event: EventTokenRevoked, TargetID: claims.Subject, SessionID: claims.SessionID,
		Reason: CauseClientRevoked})
}

func (c Client) mayRevoke(issuedTo string) bool { return c.AnyClient || c.ID == issuedTo }

func notYours() error {
	return fault.New(fault.InvalidCredentials, "The token was issued to another client.")
}
