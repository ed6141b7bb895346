package auth

import (
	"context"
	"fmt"
	"time"

	"gatehouse.internal/shared/contract"
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
	device  string        // token of the device, where a session was opened
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
	if err := w.tellNewDevice(ctx, u); err != nil {
		return issued{}, err
	}
	if err := w.makeRoom(ctx, u); err != nil {
		return issued{}, err
	}
	if err := w.AddSession(ctx, s); err != nil {
		return issued{}, fmt.Errorf("add session: %w", err)
	}
	out.session, out.device = s, w.signedInHere(u)
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
	told := *s // the session keeps what was shown in it
	told.Methods = methodsNow(u, told)
	roles, withheld := w.split(u, told)
	return issued{refresh: t, session: *s, user: u, idle: s.IdleExpiresAt.Sub(w.now), claims: contract.Claims{
		Issuer: w.svc.config.Issuer, Audience: w.svc.config.Audience, ClientID: s.ClientID,
		Subject: u.ID, SessionID: s.ID, TokenID: w.newID(),
		IssuedAt: from, NotBefore: from, ExpiresAt: until,
		Roles: roles, Withheld: withheld, Version: u.TokenVersion(), EmailVerified: u.EmailVerified, Methods: told.Methods,
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
		SessionID: i.session.ID, DeviceToken: i.device, Account: i.user.account(),
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

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}
