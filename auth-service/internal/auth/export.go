package auth

import (
	"context"
	"fmt"
)

// ExportedAccount is a part of what is kept of an account: one of its fields is
// set.
type ExportedAccount struct {
	Account *Account
	Session *SessionInfo
	Event   *AuditEvent
}

// ExportAccount gives the caller all that is kept of the account, part by part:
// the account, its sessions that are remembered, and the audit events that tell
// of it, newest first. Of what others did to the account, who and from where is
// left out: that is theirs. An error of emit ends it. The export is audited
// before it begins. Fault: RateLimited.
func (s *Service) ExportAccount(ctx context.Context, c Caller, emit func(ExportedAccount) error) error {
	u, _, err := s.self(ctx, c)
	if err != nil {
		return err
	}
	if err := s.attemptChange(ctx, c, EventAccountExported); err != nil {
		return err
	}
	if err := s.note(ctx, c, AuditEvent{Event: EventAccountExported, TargetID: u.ID}, nil); err != nil {
		return err
	}
	if err := emit(ExportedAccount{Account: new(u.account())}); err != nil {
		return err
	}
	for _, ended := range []bool{false, true} {
		err := walk(func(p PageRequest) (Page[SessionInfo], error) {
			return s.listSessions(ctx, c, LiveQuery{UserID: u.ID, Ended: ended}, p)
		}, func(x SessionInfo) error { return emit(ExportedAccount{Session: &x}) })
		if err != nil {
			return fmt.Errorf("export sessions: %w", err)
		}
	}
	err = walk(func(p PageRequest) (Page[AuditEvent], error) {
		return s.auditPage(ctx, AuditQuery{AuditFilter: AuditFilter{UserID: u.ID}, Page: p})
	}, func(e AuditEvent) error { return emit(ExportedAccount{Event: new(e.seenBy(u.ID))}) })
	if err != nil {
		return fmt.Errorf("export audit events: %w", err)
	}
	return nil
}

// seenBy is what a user may see of an event that names the user.
func (e AuditEvent) seenBy(userID string) AuditEvent {
	switch e.ActorID {
	case userID:
		if e.TargetID != userID { // somebody else's account is theirs
			e.TargetID = ""
		}
	case "": // somebody who tried to be the user, or the user before signing in
	default:
		e.ActorID, e.SessionID, e.Address, e.UserAgent, e.RequestID = "", "", "", "", ""
	}
	return e
}

// walk calls visit with every item of a list that is read page by page.
func walk[T any](read func(PageRequest) (Page[T], error), visit func(T) error) error {
	for cursor := ""; ; {
		page, err := read(PageRequest{Cursor: cursor, Limit: maxLimit})
		if err != nil {
			return err
		}
		for _, item := range page.Items {
			if err := visit(item); err != nil {
				return err
			}
		}
		if cursor = page.Next; cursor == "" {
			return nil
		}
	}
}
