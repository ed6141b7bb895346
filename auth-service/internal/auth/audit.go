package auth

import (
	"context"
	"fmt"

	"gatehouse.internal/shared/contract"
	"gatehouse.internal/shared/fault"
)

// Names of audit events.
const (
	EventRegistered            = "registered"
	EventEmailVerified         = "email_verified"
	EventVerificationSent      = "verification_sent"
	EventEmailChangeRequested  = "email_change_requested"
	EventEmailChanged          = "email_changed"
	EventLogin                 = "login"
	EventRefresh               = "refresh"
	EventLogout                = "logout"
	EventLogoutAll             = "logout_all"
	EventSessionEnded          = "session_ended"
	EventPasswordChanged       = "password_changed"
	EventPasswordForgotten     = "password_reset_requested"
	EventPasswordReset         = "password_reset"
	EventDeleted               = "account_deleted"
	EventRolesChanged          = "roles_changed"
	EventLocked                = "locked"
	EventUnlocked              = "unlocked"
	EventTokenRevoked          = "token_revoked"
	EventClientRefused         = "client_refused"
	EventAdministratorCreated  = "administrator_created"
	EventKeyRotated            = "signing_key_rotated"
	EventKeyRevoked            = "signing_key_revoked"
	EventServiceAccountCreated = "service_account_created"
	EventServiceAccountDeleted = "service_account_deleted"
	EventSecretAdded           = "service_secret_added"
	EventSecretRevoked         = "service_secret_revoked"
	EventClientToken           = "client_token"
	EventAccountExported       = "account_exported"
	EventPseudonymised         = "audit_pseudonymised"
	EventAuditExported         = "audit_exported"
	EventTrailResumed          = "audit_trail_resumed"
)

// AuditEvents lists authentication events, newest first.
func (s *Service) AuditEvents(ctx context.Context, c Caller, q AuditQuery) (Page[AuditEvent], error) {
	if err := s.administrator(ctx, c); err != nil {
		return Page[AuditEvent]{}, err
	}
	return s.auditPage(ctx, q)
}

func (s *Service) auditPage(ctx context.Context, q AuditQuery) (Page[AuditEvent], error) {
	limit, err := q.Page.limit()
	if err != nil {
		return Page[AuditEvent]{}, err
	}
	before, err := openCursor(auditList, q.Page.Cursor)
	if err != nil {
		return Page[AuditEvent]{}, err
	}
	f := q.AuditFilter
	f.BeforeAt, f.BeforeID, f.Limit = before.at, before.id, limit+1
	events, err := s.store.Audit(ctx, f)
	if err != nil {
		return Page[AuditEvent]{}, fmt.Errorf("read audit trail: %w", err)
	}
	return cut(events, limit, func(e AuditEvent) cursor { return cursor{list: auditList, at: e.At, id: e.ID} }), nil
}

// exportPage is how many events ExportAudit reads at once.
const exportPage = 500

// ExportAudit gives the events that the filter lets through to emit, in the
// order of the audit trail, from the one after the given number on. Events get
// their numbers a moment after they happened; those that have none yet are left
// to the next export, which begins after the last number of this one. The export
// itself is audited before it begins. An error of emit ends it.
func (s *Service) ExportAudit(ctx context.Context, c Caller, f AuditFilter, after uint64, emit func(NumberedEvent) error) error {
	if err := s.administrator(ctx, c); err != nil {
		return err
	}
	if err := s.note(ctx, c, AuditEvent{Event: EventAuditExported}, nil); err != nil {
		return err
	}
	f.Limit = exportPage
	for {
		events, err := s.store.NumberedAudit(ctx, f, after)
		if err != nil {
			return fmt.Errorf("read audit trail: %w", err)
		}
		for _, e := range events {
			if err := emit(e); err != nil {
				return err
			}
			after = e.Number
		}
		if len(events) < exportPage {
			return nil
		}
	}
}

// EventOf completes an audit event that the caller has caused and that somebody
// else stores: the signing keys are not this package's, but who changes them is
// written down with the change.
func (s *Service) EventOf(c Caller, e AuditEvent) (AuditEvent, error) {
	w := work{svc: s, caller: c, now: s.now().UTC()}
	e = w.filled(e)
	return e, w.broken
}

// SystemEvent completes an audit event of the system itself.
func (s *Service) SystemEvent(e AuditEvent) (AuditEvent, error) { return s.EventOf(Caller{}, e) }

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
