package auth

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// CauseTooManySessions is why a session ended in favour of a newer one, where
// the sessions of one user are bounded (Config.MaxSessions).
const CauseTooManySessions = "too_many_sessions"

// CauseExpired is told of sessions that nobody ended: they were not used for
// too long, or reached the end of their life.
const CauseExpired = "expired"

// liveSessions reads all live sessions of a user, newest first.
func (w *work) liveSessions(ctx context.Context, userID string) ([]Session, error) {
	var all []Session
	q := LiveQuery{UserID: userID, At: w.now, Limit: maxLimit}
	for {
		page, err := w.LiveSessions(ctx, q)
		if err != nil {
			return nil, fmt.Errorf("list sessions: %w", err)
		}
		all = append(all, page...)
		if len(page) < q.Limit {
			return all, nil
		}
		q.After = page[len(page)-1].ID
	}
}

// makeRoom ends the sessions of the user that were not used for the longest
// time, so that one more is within the bound.
func (w *work) makeRoom(ctx context.Context, u User) error {
	most := w.svc.config.MaxSessions
	if most == 0 {
		return nil
	}
	all, err := w.liveSessions(ctx, u.ID)
	if err != nil || len(all) < most {
		return err
	}
	slices.SortStableFunc(all, func(a, b Session) int { return b.LastSeenAt.Compare(a.LastSeenAt) })
	for _, s := range all[most-1:] {
		if err := w.endOne(ctx, s, CauseTooManySessions); err != nil {
			return err
		}
	}
	return nil
}

// EndOtherSessions ends every session of the caller's user but the caller's
// own, and returns how many there were.
func (s *Service) EndOtherSessions(ctx context.Context, c Caller) (int, error) {
	ended := 0
	_, err := s.do(ctx, c, func(w *work) error {
		u, own, err := w.self(ctx)
		if err != nil {
			return err
		}
		all, err := w.liveSessions(ctx, u.ID)
		if err != nil {
			return err
		}
		ended = 0
		for _, x := range all {
			if x.ID == own.ID {
				continue
			}
			if err := w.endOne(ctx, x, CauseSessionEnded); err != nil {
				return err
			}
			ended++
		}
		if ended == 0 {
			w.repeated(u.ID)
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	return ended, nil
}

// over says when and why a session ended, or nothing of one that lives.
func (s *Session) over(now time.Time) (at time.Time, cause string) {
	switch {
	case !s.EndedAt.IsZero():
		return s.EndedAt, s.EndCause
	case s.live(now):
		return time.Time{}, ""
	}
	return earlier(s.IdleExpiresAt, s.ExpiresAt), CauseExpired
}
