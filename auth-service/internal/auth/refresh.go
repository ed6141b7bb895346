package auth

import (
	"context"
	"crypto/subtle"
	"fmt"
	"time"

	"gatehouse.internal/shared/contract"
	"gatehouse.internal/shared/fault"
)

// Refresh gives the one successor of a refresh token; see the package comment.
// Faults: InvalidRefreshToken, one answer for every cause; RateLimited.
func (s *Service) Refresh(ctx context.Context, c Caller, refreshToken string) (Tokens, error) {
	t, ok := s.refreshKeys.decode(refreshToken)
	if !ok {
		return Tokens{}, badRefresh() // not ours: nothing is touched
	}
	if err := s.attemptRefresh(ctx, c, t.sessionID()); err != nil {
		return Tokens{}, err
	}
	var out issued
	_, err := s.do(ctx, c, func(w *work) (err error) {
		out, err = w.refresh(ctx, t)
		return err
	})
	if err != nil {
		return Tokens{}, err
	}
	return s.tokens(ctx, out)
}

// attemptRefresh counts a refresh of a session, each of which leaves an event in
// the audit trail. What is beyond the bound changes nothing: the token stays as
// good as it was. A client whose session is over learns that instead, however
// often it asks, or it would come again for ever. Fault: RateLimited.
func (s *Service) attemptRefresh(ctx context.Context, c Caller, sessionID string) error {
	limit := s.config.Limits.Refresh
	limit.Per = min(limit.Per, s.config.AccessTTL*time.Duration(limit.Tries)/4)
	v := s.throttle.Take(ctx, s.bounds(s.bound(BoundRefresh, limit, sessionID)))
	if v.Allowed {
		return nil
	}
	session, err := s.store.Session(ctx, sessionID)
	switch {
	case fault.Is(err, fault.NotFound) || err == nil && !session.live(s.now()):
		return nil
	case err != nil:
		return fmt.Errorf("read session: %w", err)
	case !v.Fresh:
		return tooMany(v)
	}
	return s.note(ctx, c, AuditEvent{Event: EventRefresh, TargetID: session.UserID, SessionID: session.ID,
		Reason: throttled(v)}, tooMany(v))
}

func badRefresh() error {
	return fault.New(fault.InvalidRefreshToken, "The refresh token is not good; sign in again.")
}

// refresh judges a token that this server made once.
func (w *work) refresh(ctx context.Context, t refreshToken) (issued, error) {
	u, s, err := w.lockSession(ctx, t.sessionID())
	if fault.Is(err, fault.NotFound) {
		return issued{}, badRefresh()
	}
	if err != nil {
		return issued{}, err
	}
	switch {
	case !s.live(w.now) || u.Status != contract.StatusActive:
		w.repeated(s.ID, u.ID) // what ended it may have been a reuse of this token
		return issued{}, w.refuse(ctx, s, "session_over")
	case t.generation == s.Generation && same(t.hash(), s.Refresh):
		return w.rotate(ctx, u, s, t)
	case w.retry(s, t):
		return w.repeat(ctx, u, s, t)
	case t.generation < s.Generation:
		return issued{}, w.stolen(ctx, u, s)
	}
	// A number that was never given out: the database lost commits.
	return issued{}, w.refuse(ctx, s, "unknown_generation")
}

// retry reports whether t is the newest retired token within the grace
// interval. Its successor, being the newest token, has not been used.
func (w *work) retry(s Session, t refreshToken) bool {
	return t.generation < s.Generation && t.generation == s.Generation-1 &&
		w.svc.config.RefreshGrace > 0 && same(t.hash(), s.Retired) && w.now.Sub(s.RotatedAt) < w.svc.config.RefreshGrace
}

// rotate retires t in favour of its successor.
func (w *work) rotate(ctx context.Context, u User, s Session, t refreshToken) (issued, error) {
	next := w.svc.refreshKeys.next(t)
	s.Generation, s.Refresh, s.Retired, s.RotatedAt = next.generation, next.hash(), s.Refresh, w.now
	w.touch(&s)
	out := w.issue(u, &s, next)
	if err := w.SaveSession(ctx, s); err != nil {
		return issued{}, err
	}
	return out, w.record(ctx, AuditEvent{Event: EventRefresh, ActorID: u.ID, TargetID: u.ID, SessionID: s.ID})
}

// repeat answers a retry: the same successor, with a fresh access token. It
// writes nothing if that token need not live longer than the one before, so
// that many retries at once cost little.
func (w *work) repeat(ctx context.Context, u User, s Session, t refreshToken) (issued, error) {
	known := s.AccessExpiresAt
	out := w.issue(u, &s, w.svc.refreshKeys.again(t, s.Refresh))
	if enough := w.svc.config.AccessTTL * 9 / 10; known.Sub(w.now) >= enough {
		out.claims.ExpiresAt = earlier(out.claims.ExpiresAt, known.Truncate(time.Second))
		return out, nil
	}
	return out, w.SaveSession(ctx, s)
}

// stolen ends a session one of whose retired tokens was used again: of the two
// that hold it, nobody can tell who is honest.
func (w *work) stolen(ctx context.Context, u User, s Session) error {
	if err := w.endSession(ctx, s, CauseTokenReused); err != nil {
		return err
	}
	w.verdict = badRefresh()
	if err := w.notice(ctx, u, Mail{Template: MailTokenReused}); err != nil {
		return err
	}
	return w.record(ctx, AuditEvent{Event: EventRefresh, TargetID: u.ID, SessionID: s.ID,
		Outcome: OutcomeFailure, Reason: CauseTokenReused})
}

// refuse notes why a token was refused and leaves everything as it is. The
// answer stays the same however often that is: a client that is told to come
// again later would.
func (w *work) refuse(ctx context.Context, s Session, reason string) error {
	w.verdict = badRefresh()
	_, err := w.recordBounded(ctx, w.svc.config.Limits.Confirm, s.ID, AuditEvent{Event: EventRefresh, TargetID: s.UserID,
		SessionID: s.ID, Outcome: OutcomeFailure, Reason: reason})
	return err
}

func same(a, b []byte) bool { return len(b) > 0 && subtle.ConstantTimeCompare(a, b) == 1 }
