package auth

import (
	"context"
	"fmt"

	"gatehouse.internal/shared/contract"
	"gatehouse.internal/shared/fault"
)

// Names of audit events.
const (
	EventRegistered           = "registered"
	EventEmailVerified        = "email_verified"
	EventVerificationSent     = "verification_sent"
	EventEmailChangeRequested = "email_change_requested"
	EventEmailChanged         = "email_changed"
	EventLogin                = "login"
	EventRefresh              = "refresh"
	EventLogout               = "logout"
	EventLogoutAll            = "logout_all"
	EventSessionEnded         = "session_ended"
	EventPasswordChanged      = "password_changed"
	EventPasswordForgotten    = "password_reset_requested"
	EventPasswordReset        = "password_reset"
	EventDeleted              = "account_deleted"
	EventRolesChanged         = "roles_changed"
	EventLocked               = "locked"
	EventUnlocked             = "unlocked"
	EventTokenRevoked         = "token_revoked"
	EventClientRefused        = "client_refused"
	EventAdministratorCreated = "administrator_created"
	EventKeyRotated           = "signing_key_rotated"
	EventKeyRevoked           = "signing_key_revoked"
)

// AuditEvents lists authentication events, newest first.
func (s *Service) AuditEvents(ctx context.Context, c Caller, q AuditQuery) (Page[AuditEvent], error) {
	if err := s.administrator(ctx, c); err != nil {
		return Page[AuditEvent]{}, err
	}
	limit, err := q.Page.limit()
	if err != nil {
		return Page[AuditEvent]{}, err
	}
	before, err := openCursor(auditList, q.Page.Cursor)
	if err != nil {
		return Page[AuditEvent]{}, err
	}
	events, err := s.store.Audit(ctx, AuditFilter{
		UserID: q.UserID, Event: q.Event, From: q.From, To: q.To,
		BeforeAt: before.at, BeforeID: before.id, Limit: limit + 1,
	})
	if err != nil {
		return Page[AuditEvent]{}, fmt.Errorf("read audit trail: %w", err)
	}
	return cut(events, limit, func(e AuditEvent) cursor { return cursor{list: auditList, at: e.At, id: e.ID} }), nil
}

// KeyRevoked records that the caller has taken a key out in an emergency.
func (s *Service) KeyRevoked(ctx context.Context, c Caller, keyID string) error {
	return s.note(ctx, c, AuditEvent{Event: EventKeyRevoked, Reason: keyID}, nil)
}

// KeyRotated records that the caller has made another key sign. The keys are
// not this package's; who changes them is.
func (s *Service) KeyRotated(ctx context.Context, c Caller, keyID string) error {
	return s.note(ctx, c, AuditEvent{Event: EventKeyRotated, Reason: keyID}, nil)
}

// administrator refuses a caller who is not an administrator now.
func (s *Service) administrator(ctx context.Context, c Caller) error {
	u, _, err := s.self(ctx, c)
	if err != nil {
		return err
	}
	if !u.administrator() || !c.Claims.HasRole(contract.RoleAdmin) {
		return notAdministrator()
	}
	return nil
}

func notAdministrator() error {
	return fault.New(fault.InsufficientRole, "The role admin is needed.")
}
