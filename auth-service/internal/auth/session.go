package auth

import (
	"context"
	"fmt"
	"time"

	"gatehouse.internal/shared/contract"
	"gatehouse.internal/shared/fault"
)

// live reports whether the session can still be refreshed.
func (s *Session) live(now time.Time) bool {
	return s.EndedAt.IsZero() && now.Before(s.IdleExpiresAt) && now.Before(s.ExpiresAt)
}

// issued is a token that is to be signed once the transaction is committed.
type issued struct {
	claims  contract.Claims
	refresh refreshToken
	session Session
	user    User
	idle    time.Duration // how long the refresh token is good
}

// open adds a session of the user for the caller, with its first tokens.
func (w *work) open(ctx context.Context, u User, methods ...string) (issued, error) {
	s := Session{
		ID: w.newID(), UserID: u.ID, ClientID: contract.ClientPeople, Methods: methods,
		CreatedAt: w.now, ExpiresAt: w.now.Add(w.svc.config.SessionTTL),
	}
	var secret [refreshSecretSize]byte
	w.fill(secret[:])
	token := firstRefreshToken(s.ID, secret)
	s.Refresh = token.hash()
	w.touch(&s)
	out := w.issue(u, &s, token)
	if err := w.AddSession(ctx, s); err != nil {
		return issued{}, fmt.Errorf("add session: %w", err)
	}
	out.session = s
	return out, nil
}

// touch notes that the session was used now.
func (w *work) touch(s *Session) {
	s.LastSeenAt = w.now
	s.IdleExpiresAt = earlier(w.now.Add(w.svc.config.RefreshTTL), s.ExpiresAt)
	s.Address = plain(w.caller.Address, 64)
	s.UserAgent = plain(w.caller.UserAgent, maxUserAgent)
}

// issue prepares an access token for the session as the transaction sees it,
// and notes in the session how long it will live: revocations of the session
// must outlive it.
func (w *work) issue(u User, s *Session, t refreshToken) issued {
	from := w.now.Truncate(time.Second) // tokens tell whole seconds
	until := earlier(from.Add(w.svc.config.AccessTTL), s.IdleExpiresAt)
	if until.After(s.AccessExpiresAt) {
		s.AccessExpiresAt = until
	}
	return issued{refresh: t, session: *s, user: u, idle: s.IdleExpiresAt.Sub(w.now), claims: contract.Claims{
		Issuer: w.svc.config.Issuer, Audience: w.svc.config.Audience, ClientID: s.ClientID,
		Subject: u.ID, SessionID: s.ID, TokenID: w.newID(),
		IssuedAt: from, NotBefore: from, ExpiresAt: until,
		Roles: u.Roles, Version: u.Version, EmailVerified: u.EmailVerified, Methods: s.Methods,
	}}
}

// tokens signs what a committed transaction issued.
func (s *Service) tokens(ctx context.Context, i issued) (Tokens, error) {
	access, err := s.sign.Sign(ctx, i.claims)
	if err != nil {
		return Tokens{}, fmt.Errorf("sign access token: %w", err)
	}
	return Tokens{
		AccessToken: access, ExpiresIn: i.claims.ExpiresAt.Sub(i.claims.IssuedAt),
		RefreshToken: s.refreshKeys.encode(i.refresh), RefreshExpiresIn: i.idle,
		SessionID: i.session.ID, Account: i.user.account(),
	}, nil
}

// lockSession returns a session and its user, whose lock the transaction then
// holds.
func (w *work) lockSession(ctx context.Context, id string) (User, Session, error) {
	s, err := w.Session(ctx, id)
	if err != nil {
		return User{}, Session{}, fmt.Errorf("read session: %w", err)
	}
	u, err := w.LockUser(ctx, s.UserID)
	if err != nil {
		return User{}, Session{}, fmt.Errorf("lock user of session: %w", err)
	}
	s, err = w.Session(ctx, id) // as it is now that nobody else can change it
	if err != nil {
		return User{}, Session{}, fmt.Errorf("read session: %w", err)
	}
	return u, s, nil
}

// alive says whether the session of a verified token has not ended.
func alive(c *contract.Claims, s Session, now time.Time) error {
	if s.UserID != c.Subject || !s.EndedAt.IsZero() || !now.Before(s.ExpiresAt) {
		return fault.New(fault.TokenRevoked, "The session has ended.")
	}
	return nil
}

// current says whether a verified token tells the truth about its user. Where
// its session lives, an older version means that roles changed.
func current(c *contract.Claims, u User) error {
	switch {
	case u.Status != contract.StatusActive || c.Version > u.Version:
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

// judge asks r whether the token is still good in every way.
func judge(ctx context.Context, r Reader, c *contract.Claims, now time.Time) (User, Session, error) {
	u, s, err := known(ctx, r, c)
	if err == nil {
		err = alive(c, s, now)
	}
	if err == nil {
		err = current(c, u)
	}
	if err != nil {
		return User{}, Session{}, err
	}
	revoked, err := r.TokenRevoked(ctx, c.TokenID)
	if err != nil {
		return User{}, Session{}, fmt.Errorf("look for revoked token: %w", err)
	}
	if revoked {
		return User{}, Session{}, fault.New(fault.TokenRevoked, "The token was revoked.")
	}
	return u, s, nil
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
	if _, err := w.LockUser(ctx, c.Subject); err != nil {
		return User{}, Session{}, gone(err)
	}
	return judge(ctx, w, c, w.now)
}

func noToken() error { return fault.New(fault.TokenMissing, "An access token is needed.") }

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// Check asks the database whether a verified token is still good: its session
// lives, its user is active and its version is the user's. Faults:
// TokenRevoked, TokenStale.
func (s *Service) Check(ctx context.Context, claims *contract.Claims) error {
	_, _, err := s.self(ctx, Caller{Claims: claims})
	return err
}
