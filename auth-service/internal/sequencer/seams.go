package sequencer

import (
	"context"
	"time"

	"gatehouse.internal/shared/bus"
	"gatehouse.internal/shared/contract"
)

// revocationLog is the log in the database. Each call is one transaction, or
// one statement; between two of them anything may happen.
type revocationLog interface {
	// look reads the state.
	look(ctx context.Context) (state, error)
	// number gives committed rows the next numbers, at most a batch of them,
	// and returns them in order with the state after it, but for those that are
	// pruned meanwhile. If another incarnation
	// of the database numbered last, it opens a new epoch first and returns a
	// state that is Moved.
	number(ctx context.Context) (state, []row, error)
	// numbersOf gives the numbers of rows that have one.
	numbersOf(ctx context.Context, ids []string) (map[string]uint64, error)
	// batch reads the numbers from..to, at most a batch of them, and the epoch
	// to which they belong.
	batch(ctx context.Context, from, to uint64) (contract.Batch, error)
	// markPublished notes that the stream has the numbers of a flight, if it
	// has those before them too.
	markPublished(ctx context.Context, f flight) error
	// rewind notes that the stream ends with the number last, though it had
	// acknowledged more.
	rewind(ctx context.Context, epoch, last uint64) error
	// openEpoch starts an epoch newer than seen, unless there is one already.
	openEpoch(ctx context.Context, seen uint64) error
	// prune deletes the oldest numbers below a limit that no longer matter to
	// anyone, and tells how many.
	prune(ctx context.Context, now time.Time, below uint64) (deleted int, err error)
}

// road is what the sequencer's steps need of the broker; *bus.Bus is one.
type road interface {
	Subjects() contract.Subjects
	// Publish sends a message that is not kept.
	Publish(subject string, data []byte) error
	// StoreAsync sends a message that the stream keeps, and returns what waits
	// for its word that it does.
	StoreAsync(subject, msgID string, data []byte) (acknowledged func(ctx context.Context) (bus.Receipt, error), err error)
	// EnsureStream makes the stream if it is not there.
	EnsureStream(ctx context.Context, s bus.Stream) error
	// StreamExtent tells how far the stream reaches, and whether it has forked
	// since it had an earlier extent.
	StreamExtent(ctx context.Context, stream string, before bus.Extent) (bus.Extent, error)
	// LastInStream gives the stream's newest message on a subject.
	LastInStream(ctx context.Context, stream, subject string) ([]byte, bool, error)
}
