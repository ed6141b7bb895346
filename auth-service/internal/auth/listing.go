package auth

import (
	"context"
	"fmt"
)

// Sessions lists the caller's live sessions, newest first.
// With ended, those that have ended or expired, as long as they are remembered.
func (s *Service) Sessions(ctx context.Context, c Caller, ended bool, p PageRequest) (Page[SessionInfo], error) {
	u, _, err := s.self(ctx, c)
	if err != nil {
		return Page[SessionInfo]{}, err
	}
	return s.listSessions(ctx, c, LiveQuery{UserID: u.ID, Ended: ended}, p)
}

func (s *Service) listSessions(ctx context.Context, c Caller, q LiveQuery, p PageRequest) (Page[SessionInfo], error) {
	limit, err := p.limit()
	if err != nil {
		return Page[SessionInfo]{}, err
	}
	after, err := openCursor(sessionList(q), p.Cursor)
	if err != nil {
		return Page[SessionInfo]{}, err
	}
	q.At, q.After, q.Limit = s.now(), after.id, limit+1
	found, err := s.store.LiveSessions(ctx, q)
	if err != nil {
		return Page[SessionInfo]{}, fmt.Errorf("list sessions: %w", err)
	}
	page := cut(found, limit, func(x Session) cursor { return cursor{list: sessionList(q), id: x.ID} })
	out := Page[SessionInfo]{Next: page.Next, Items: make([]SessionInfo, 0, len(page.Items))}
	for _, x := range page.Items {
		endedAt, cause := x.over(q.At)
		out.Items = append(out.Items, SessionInfo{
			ID: x.ID, Current: c.Claims != nil && x.ID == c.Claims.SessionID, CreatedAt: x.CreatedAt,
			LastSeenAt: x.LastSeenAt, ExpiresAt: x.IdleExpiresAt, Address: x.Address, UserAgent: x.UserAgent,
			Methods: x.Methods, EndedAt: endedAt, EndCause: cause,
		})
	}
	return out, nil
}
