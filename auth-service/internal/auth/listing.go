package auth

import (
	"context"
	"fmt"
)

// Sessions lists the caller's live sessions, newest first.
func (s *Service) Sessions(ctx context.Context, c Caller, p PageRequest) (Page[SessionInfo], error) {
	u, _, err := s.self(ctx, c)
	if err != nil {
		return Page[SessionInfo]{}, err
	}
	return s.listSessions(ctx, c, u.ID, p)
}

func (s *Service) listSessions(ctx context.Context, c Caller, userID string, p PageRequest) (Page[SessionInfo], error) {
	limit, err := p.limit()
	if err != nil {
		return Page[SessionInfo]{}, err
	}
	after, err := openCursor(sessionList(userID), p.Cursor)
	if err != nil {
		return Page[SessionInfo]{}, err
	}
	found, err := s.store.LiveSessions(ctx, LiveQuery{UserID: userID, At: s.now(), After: after.id, Limit: limit + 1})
	if err != nil {
		return Page[SessionInfo]{}, fmt.Errorf("list sessions: %w", err)
	}
	page := cut(found, limit, func(x Session) cursor { return cursor{list: sessionList(userID), id: x.ID} })
	out := Page[SessionInfo]{Next: page.Next, Items: make([]SessionInfo, 0, len(page.Items))}
	for _, x := range page.Items {
		out.Items = append(out.Items, SessionInfo{
			ID: x.ID, Current: c.Claims != nil && x.ID == c.Claims.SessionID, CreatedAt: x.CreatedAt,
			LastSeenAt: x.LastSeenAt, ExpiresAt: x.IdleExpiresAt, Address: x.Address, UserAgent: x.UserAgent,
		})
	}
	return out, nil
}
