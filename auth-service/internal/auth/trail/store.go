package trail

import (
	"context"
	"time"

	"gatehouse.internal/auth-service/internal/auth"
)

// State is what one look at the trail has shown.
type State struct {
	Start, Head Mark
	Last        uint64    // the highest number of any entry
	Waiting     int       // events that have no number yet
	Oldest      time.Time // the first of them, zero if there is none
	Kept        Kept
	EraserKey   []byte // encrypted; empty until there is one
}

// Step is what a change of the trail adds, in one transaction.
type Step struct {
	New         []auth.AuditEvent // to be added before anything is numbered
	Entries     []Entry           // to be numbered, by their ids
	Start, Head Mark
	Kept        Kept
	EraserKey   []byte
}

// Store is the storage that Keeper and Verify need. A database that is away is
// fault.Unavailable.
type Store interface {
	// TrailState looks at the trail in one statement.
	TrailState(ctx context.Context) (State, error)
	// TrailEntries returns entries with numbers above after, in order.
	TrailEntries(ctx context.Context, after uint64, limit int) ([]Entry, error)
	// ChangeTrail calls change with the state and at most limit events that have
	// no number, oldest first, and stores what it returns, in one transaction.
	// Calls follow one another, from whatever process; change may be called
	// again after a conflict. With an error of change nothing is stored.
	ChangeTrail(ctx context.Context, limit int, change func(State, []auth.AuditEvent) (Step, error)) error
	// CutTrail calls cut with the state and the oldest entries, at most limit,
	// in order, deletes those up to the number of the mark that cut returns, and
	// stores it as the start, in one transaction. It returns how many went. A
	// mark of the number where the trail starts already changes nothing, and
	// with an error of cut nothing is deleted. Calls follow one another and those
	// of ChangeTrail; cut may be called again after a conflict.
	CutTrail(ctx context.Context, limit int, cut func(s State, oldest []Entry) (Mark, error)) (int, error)

	// Erasures returns the accounts that are to be erased, at most limit, in the
	// order of time and id from the one after the given one on.
	Erasures(ctx context.Context, after auth.Erasure, limit int) ([]auth.Erasure, error)
	// EraseTrail shows erase at most limit entries with numbers above after which
	// name the user, in order, and stores those that it says it has changed, in one
	// transaction. It returns the number of the last, and zero if there are no
	// more than these.
	EraseTrail(ctx context.Context, userID string, after uint64, limit int, erase func(*Entry) bool) (last uint64, err error)
	// FinishErasure forgets the user's id, adding the event in the same
	// transaction.
	FinishErasure(ctx context.Context, userID string, e auth.AuditEvent) error
}
