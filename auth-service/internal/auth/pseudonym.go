package auth

import (
	"context"
	"crypto/hmac"
	"encoding/base64"
	"fmt"
	"slices"
	"time"
)

// PseudonymPrefix begins what stands in the audit trail for an account that was
// deleted.
const PseudonymPrefix = "erased-"

// Erasure is the order to take a deleted account out of the audit trail. Its
// seal is by the service: an order that somebody has written into the database
// is none, or he would be rid of his own name there.
type Erasure struct {
	UserID    string
	Pseudonym string
	At        time.Time // when the account was deleted
	Seal      []byte
}

// purposeErasures is that of the key which seals erasures.
const purposeErasures = "gatehouse auth: erasures from the audit trail, 1"

// sealedWith gives the seal of an erasure with a secret of the service.
func (e Erasure) sealedWith(secret []byte) []byte {
	return keyed(keyed(secret, purposeErasures), fmt.Sprintf("%q %q %d", e.UserID, e.Pseudonym, e.At.UnixMicro()))
}

// Ordered reports whether the service has ordered an erasure.
func (s *Service) Ordered(e Erasure) bool {
	secrets := append([][]byte{s.config.RefreshKey}, s.config.EarlierRefreshKeys...)
	return slices.ContainsFunc(secrets, func(secret []byte) bool { return hmac.Equal(e.Seal, e.sealedWith(secret)) })
}

// pseudonymise has the user's id, and from where the user called, taken out of
// the audit trail, and announces there what stands for it. The pseudonym is
// random: nobody can work it out from the id, and once the trail is done the id
// is forgotten.
func (w *work) pseudonymise(ctx context.Context, userID string) error {
	random := make([]byte, 16)
	w.fill(random)
	e := Erasure{UserID: userID, Pseudonym: PseudonymPrefix + base64.RawURLEncoding.EncodeToString(random), At: w.now}
	e.Seal = e.sealedWith(w.svc.config.RefreshKey)
	if err := w.AddErasure(ctx, e); err != nil {
		return fmt.Errorf("note the account for pseudonymisation: %w", err)
	}
	return w.record(ctx, AuditEvent{Event: EventPseudonymised, TargetID: e.Pseudonym})
}
