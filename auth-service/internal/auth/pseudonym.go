package auth

import (
	"context"
	"encoding/base64"
	"fmt"
)

// PseudonymPrefix begins what stands in the audit trail for an account that was
// deleted.
const PseudonymPrefix = "erased-"

// pseudonymise has the user's id, and from where the user called, taken out of
// the audit trail, and announces there what stands for it. The pseudonym is
// random: nobody can work it out from the id, and once the trail is done the id
// is forgotten.
func (w *work) pseudonymise(ctx context.Context, userID string) error {
	random := make([]byte, 16)
	w.fill(random)
	pseudonym := PseudonymPrefix + base64.RawURLEncoding.EncodeToString(random)
	if err := w.AddErasure(ctx, userID, pseudonym, w.now); err != nil {
		return fmt.Errorf("note the account for pseudonymisation: %w", err)
	}
	return w.record(ctx, AuditEvent{Event: EventPseudonymised, TargetID: pseudonym})
}

// SystemEvent completes an audit event of the system itself with an id and the
// time.
func (s *Service) SystemEvent(e AuditEvent) (AuditEvent, error) {
	w := work{svc: s, now: s.now().UTC()}
	e.ID, e.At = w.newID(), w.now
	return e, w.broken
}
