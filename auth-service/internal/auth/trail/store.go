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
}

// Step is what a change of the trail adds, in one transaction.
type Step struct {
	Entries     []Entry // to be numbered, by their ids
	Start, Head Mark
}

// Erasure is an account whose events are to be pseudonymised.
type Erasure struct {
	UserID    string
	Pseudonym string
	At        time.Time // when the account was deleted
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

	// Erasures returns the accounts that are to be erased.
	Erasures(ctx context.Context, limit int) ([]Erasure, error)
	// EraseTrail has erase change at most limit numbered entries which name the
	// user, and returns how many it has changed.
	EraseTrail(ctx context.Context, userID string, limit int, erase func(*Entry)) (int, error)
	// FinishErasure forgets the user's id, adding the event in the same
	// transaction.
	FinishErasure(ctx context.Context, userID string, e auth.AuditEvent) error
}
