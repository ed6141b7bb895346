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

// endAtOnce is how many sessions of a user one transaction ends at most: it
// holds the user's lock meanwhile.
const endAtOnce = 200

// EndOtherSessions ends every session of the caller's user but the caller's
// own, and returns how many there were. If it fails, some may have ended.
func (s *Service) EndOtherSessions(ctx context.Context, c Caller) (ended int, err error) {
	for more := true; more; {
		n := 0
		_, err := s.do(ctx, c, func(w *work) error {
			n, more, err = w.endOthers(ctx, ended == 0)
			return err
		})
		if err != nil {
			return 0, err
		}
		ended += n
	}
	return ended, nil
}

// endOthers ends some of the sessions beside the caller's own, and reports
// whether there may be more.
func (w *work) endOthers(ctx context.Context, first bool) (ended int, more bool, err error) {
	u, own, err := w.self(ctx)
	if err != nil {
		return 0, false, err
	}
	page, err := w.LiveSessions(ctx, LiveQuery{UserID: u.ID, At: w.now, Limit: endAtOnce + 1})
	if err != nil {
		return 0, false, fmt.Errorf("list sessions: %w", err)
	}
	for _, x := range page {
		if x.ID == own.ID || ended == endAtOnce {
			continue
		}
		if err := w.endOne(ctx, x, CauseSessionEnded); err != nil {
			return 0, false, err
		}
		ended++
	}
	if first && ended == 0 {
		w.repeated(u.ID)
	}
	return ended, len(page) > endAtOnce, nil
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
