package auth

import (
	"context"
	"fmt"
	"time"

	"gatehouse.internal/shared/contract"
	"gatehouse.internal/shared/fault"
)

// Check asks the database whether a verified token is still good: its session
// lives, its user is active and its version is the user's. Faults:
// TokenRevoked, once every live gateway refuses the token or after a bounded
// wait, because a caller who repeats a logout takes it for success; TokenStale.
func (s *Service) Check(ctx context.Context, claims *contract.Claims) error {
	_, _, err := s.self(ctx, Caller{Claims: claims})
	if fault.Is(err, fault.TokenRevoked) {
		_, _ = s.settle(ctx, nil, []string{claims.SessionID, claims.Subject, claims.TokenID}) // it is revoked in any case
	}
	return err
}

// alive says whether the session of a verified token has not ended.
func alive(c *contract.Claims, s Session, now time.Time) error {
	if s.UserID != c.Subject || !s.EndedAt.IsZero() || !now.Before(s.ExpiresAt) {
		return fault.New(fault.TokenRevoked, "The session has ended.")
	}
	return nil
}

// current says whether a verified token tells the truth about its user. Where
// its session lives, an older version means that roles changed. One above what
// is given out now comes from a history that the database has lost.
func current(c *contract.Claims, u User) error {
	switch {
	case u.Status != contract.StatusActive || c.Version > u.TokenVersion():
		return fault.New(fault.TokenRevoked, "The token was revoked.")
	case c.Version < u.Version:
		return fault.New(fault.TokenStale, "The account has changed; refresh the token.")
	}
	return nil
}

// known reads session and user of the claims from r, a user or session that is
// gone being a revoked token.
func known(ctx context.Context, r Reader, c *contract.Claims) (User, Session, error) {
	s, err := r.Session(ctx, c.SessionID)
	if err != nil {
		return User{}, Session{}, gone(err)
	}
	u, err := r.User(ctx, s.UserID)
	return u, s, gone(err)
}

// gone turns NotFound into the answer for a token whose session is no more.
func gone(err error) error {
	if fault.Is(err, fault.NotFound) {
		return fault.Wrap(fault.TokenRevoked, "The session has ended.", err)
	}
	if err != nil {
		return fmt.Errorf("read session of token: %w", err)
	}
	return nil
}

// judge asks r whether the token is still good in every way. Of one that is only
// out of date with its user, both are returned with the failure, TokenStale.
func judge(ctx context.Context, r Reader, c *contract.Claims, now time.Time) (User, Session, error) {
	if c.OfServiceAccount() {
		if err := judgeMachine(ctx, r, c); err != nil {
			return User{}, Session{}, err
		}
		return User{}, Session{}, noPerson()
	}
	u, s, err := known(ctx, r, c)
	if err == nil {
		err = alive(c, s, now)
	}
	if err == nil {
		err = current(c, u)
	}
	if err != nil && !fault.Is(err, fault.TokenStale) {
		return User{}, Session{}, err
	}
	revoked, lookErr := r.TokenRevoked(ctx, c.TokenID)
	if lookErr != nil {
		return User{}, Session{}, fmt.Errorf("look for revoked token: %w", lookErr)
	}
	if revoked {
		return User{}, Session{}, fault.New(fault.TokenRevoked, "The token was revoked.")
	}
	return u, s, err
}

// self is the caller's user and session for a read.
func (s *Service) self(ctx context.Context, c Caller) (User, Session, error) {
	if c.Claims == nil {
		return User{}, Session{}, noToken()
	}
	return judge(ctx, s.store, c.Claims, s.now())
}

// self is the caller's user, locked, and session for a change.
func (w *work) self(ctx context.Context) (User, Session, error) {
	c := w.caller.Claims
	if c == nil {
		return User{}, Session{}, noToken()
	}
	var (
		u User
		s Session
	)
	_, err := w.LockUser(ctx, c.Subject)
	if err = gone(err); err == nil {
		u, s, err = judge(ctx, w, c, w.now)
	}
	if fault.Is(err, fault.TokenRevoked) {
		w.repeated(c.SessionID, c.Subject, c.TokenID)
	}
	return u, s, err
}

func noToken() error { return fault.New(fault.TokenMissing, "An access token is needed.") }
