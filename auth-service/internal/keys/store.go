package keys

import (
	"context"
	"time"
)

// States of a key.
const (
	StateNext     = "next"     // published, does not sign yet
	StateActive   = "active"   // signs
	StateRetiring = "retiring" // verifies what it has signed
	StateRetired  = "retired"  // is of no more use; kept for the record
	StateRevoked  = "revoked"  // was taken out at once
)

// Record is a key as it is stored. A time that has not come is zero.
type Record struct {
	KeyID       string
	Use         string // contract.KeyUseSignature or contract.KeyUseEvents
	Algorithm   string
	State       string
	Sealed      []byte // the encrypted private key; empty once retired or revoked
	PublicJWK   []byte // for people to read; verifiers get what Sealed holds
	CreatedAt   time.Time
	ActivatedAt time.Time
	RetiredAt   time.Time // when it was retired or revoked
	NotAfter    time.Time // when a retiring key may be retired
}

// Store is the storage that Manager needs, and no more. Package keystest has
// the suite that every Store passes.
type Store interface {
	// Keys returns all records, oldest first by CreatedAt, then by KeyID.
	Keys(ctx context.Context) ([]Record, error)
	// SaveKeys calls decide with all records, in the order of Keys, and
	// stores those that it returns, by KeyID, in the order given. It does so
	// in one transaction, and calls for the same database run one after
	// another, from whatever process. An error of decide is returned and
	// nothing is stored. decide may be called again after a conflict.
	SaveKeys(ctx context.Context, decide func(existing []Record) (changed []Record, err error)) error
}
