package auth

import (
	"context"
	"fmt"
	"time"

	"gatehouse.internal/shared/contract"
	"gatehouse.internal/shared/fault"
)

// Logout ends the caller's session on every node. It judges the access token
// itself, which may be out of date with its user: one of a session that has
// ended, or that was revoked, is TokenRevoked, once the nodes know of that too.
func (s *Service) Logout(ctx context.Context, c Caller) error {
	if c.Claims == nil {
		return noToken()
	}
	if c.Claims.OfServiceAccount() {
		return noPerson()
	}
	_, err := s.do(ctx, c, func(w *work) error {
		u, x, err := w.self(ctx)
		if err != nil && !fault.Is(err, fault.TokenStale) {
			return err
		}
		if err := w.endSession(ctx, x, CauseLogout); err != nil {
			return err
		}
		return w.record(ctx, AuditEvent{Event: EventLogout, ActorID: u.ID, TargetID: u.ID, SessionID: x.ID})
	})
	return err
}

// LogoutByRefreshToken ends the session that a refresh token belongs to. Ending
// it again is no error; a token that was never made is InvalidRefreshToken.
func (s *Service) LogoutByRefreshToken(ctx context.Context, c Caller, refreshToken string) error {
	t, ok := s.refreshKeys.decode(refreshToken)
	if !ok {
		return badRefresh()
	}
	_, err := s.do(ctx, c, func(w *work) error { return w.logout(ctx, t.sessionID()) })
	return err
}

// LogoutLost revokes the session of a verified token if the database knows no
// such session, and does nothing if it does.
func (s *Service) LogoutLost(ctx context.Context, c Caller) error {
	if c.Claims == nil {
		return noToken()
	}
	if c.Claims.OfServiceAccount() {
		return noPerson()
	}
	_, err := s.do(ctx, c, func(w *work) error {
		_, err := w.Session(ctx, c.Claims.SessionID)
		if fault.Is(err, fault.NotFound) {
			return w.endUnknown(ctx, c.Claims.SessionID, CauseLogout)
		}
		if err != nil {
			return fmt.Errorf("read session: %w", err)
		}
		return nil
	})
	return err
}

// endUnknown revokes a session of which the caller has a genuine token, though
// the database does not know it: a history that was lost may have made it, and
// gateways would go on to accept its access tokens.
func (w *work) endUnknown(ctx context.Context, sessionID, cause string) error {
	// There is no row to lock: who calls at once would each revoke it.
	if err := w.LockLostSessions(ctx); err != nil {
		return fmt.Errorf("lock sessions that are not known: %w", err)
	}
	earlier, err := w.Revocations(ctx, RevocationQuery{Subject: sessionID, At: w.now, Limit: 1})
	if err != nil {
		return fmt.Errorf("look for earlier revocations: %w", err)
	}
	if len(earlier) > 0 {
		w.repeated(sessionID)
		return nil
	}
	r := Revocation{Kind: contract.RevokeSession, Subject: sessionID, Cause: cause}
	if err := w.revocation(ctx, r, w.lastAccess(time.Time{})); err != nil {
		return err
	}
	return w.record(ctx, AuditEvent{Event: EventSessionEnded, SessionID: sessionID, Reason: cause})
}

// logout ends a session. One that has ended is left alone.
func (w *work) logout(ctx context.Context, sessionID string) error {
	u, s, err := w.lockSession(ctx, sessionID)
	if fault.Is(err, fault.NotFound) {
		return w.endUnknown(ctx, sessionID, CauseLogout)
	}
	if err != nil {
		return err
	}
	if !s.EndedAt.IsZero() {
		w.repeated(s.ID, u.ID)
		return nil
	}
	if err := w.endSession(ctx, s, CauseLogout); err != nil {
		return err
	}
	return w.record(ctx, AuditEvent{Event: EventLogout, ActorID: u.ID, TargetID: u.ID, SessionID: s.ID})
}

// LogoutAll ends every session of the caller's user.
func (s *Service) LogoutAll(ctx context.Context, c Caller) error {
	_, err := s.do(ctx, c, func(w *work) error {
		u, _, err := w.self(ctx)
		if err != nil {
			return err
		}
		return w.logoutAll(ctx, u, CauseLogoutAll)
	})
	return err
}

func (w *work) logoutAll(ctx context.Context, u User, cause string) error {
	if err := w.signOut(ctx, &u, cause); err != nil {
		return err
	}
	if err := w.save(ctx, &u); err != nil {
		return err
	}
	return w.record(ctx, AuditEvent{Event: EventLogoutAll, TargetID: u.ID, Reason: cause})
}

// EndSession ends one of the caller's own sessions. One of somebody else is
// NotFound.
func (s *Service) EndSession(ctx context.Context, c Caller, sessionID string) error {
	_, err := s.do(ctx, c, func(w *work) error {
		u, _, err := w.self(ctx)
		if err != nil {
			return err
		}
		x, err := w.Session(ctx, sessionID)
		if err != nil && !fault.Is(err, fault.NotFound) {
			return fmt.Errorf("read session: %w", err)
		}
		if err != nil || x.UserID != u.ID {
			return noSession()
		}
		if !x.live(w.now) {
			w.repeated(x.ID, u.ID)
			return noSession()
		}
		return w.endOne(ctx, x, CauseSessionEnded)
	})
	return err
}

func (w *work) endOne(ctx context.Context, s Session, cause string) error {
	if err := w.endSession(ctx, s, cause); err != nil {
		return err
	}
	return w.record(ctx, AuditEvent{Event: EventSessionEnded, TargetID: s.UserID, SessionID: s.ID, Reason: cause})
}

func noSession() error { return fault.New(fault.NotFound, "There is no such session.") }
