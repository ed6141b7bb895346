package sequencer

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	"gatehouse.internal/shared/contract"
	"gatehouse.internal/shared/revocation"
)

// flight is a batch on its way into the stream.
type flight struct {
	epoch, first, last uint64
	landed             func(ctx context.Context) error // waits for the stream's acknowledgement
}

// seal signs a payload with the events key.
func (s *Sequencer) seal(ctx context.Context, purpose revocation.Purpose, payload []byte) ([]byte, error) {
	kid, key, err := s.Signer.EventSigner(ctx)
	if err != nil {
		return nil, fmt.Errorf("get the events key: %w", err)
	}
	return revocation.Seal(purpose, kid, key, payload), nil
}

// publish sends a batch. Nodes that listen get it at once; whether the stream
// has kept it too is found out later, by land. Without a broker it is not an
// error: the batch is in the database, and a backlog until the stream has it.
//
// from is the lowest number that is settled by it: the batch's first one, or a
// lower one if those in between no longer matter.
func (s *Sequencer) publish(ctx context.Context, b contract.Batch, from uint64) error {
	message, err := s.seal(ctx, revocation.PurposeBatch, b.Encode())
	if err != nil {
		return err
	}
	// The id derives from the content, so that only a true repetition is
	// dropped as a duplicate.
	sum := sha256.Sum256(message)
	s.lastTry = s.Now()
	landed, err := s.road.StoreAsync(s.road.Subjects().Batches(), hex.EncodeToString(sum[:]), message)
	if err != nil {
		s.Log.Warn("revocation batch not published; it stays in the backlog", "first", b.First, "last", b.Last(), "error", err)
		return nil
	}
	s.metrics.published.Add(float64(len(b.Entries)))
	select {
	case s.flights <- flight{b.Epoch, from, b.Last(), landed}:
	default: // the backlog finds out
	}
	return nil
}

// land waits for the acknowledgements in order, and notes in the database how
// far the stream is complete, for many batches at once.
func (s *Sequencer) land(ctx context.Context) {
	ticker := time.NewTicker(headPeriod)
	defer ticker.Stop()
	l := landing{s: s}
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			l.note(ctx)
		case f := <-s.flights:
			l.take(ctx, f)
		}
	}
}

// landing joins the flights that have landed and are not noted yet.
type landing struct {
	s    *Sequencer
	done flight
}

// take waits for a flight and adds it to those that have landed.
func (l *landing) take(ctx context.Context, f flight) {
	if err := l.s.landed(ctx, f); err != nil {
		if ctx.Err() == nil {
			l.s.Log.Warn("revocation batch not acknowledged by the stream; it will be sent again", "first", f.first, "last", f.last, "error", err)
		}
		return
	}
	if l.done.last == 0 || l.done.epoch != f.epoch || f.first > l.done.last+1 {
		l.note(ctx)
		l.done = f
	}
	l.done.first, l.done.last = min(l.done.first, f.first), max(l.done.last, f.last)
}

// note writes down what has landed.
func (l *landing) note(ctx context.Context) {
	if l.done.last == 0 {
		return
	}
	if err := l.s.log.markPublished(ctx, l.done); err != nil && ctx.Err() == nil {
		l.s.Log.Warn("published revocations not noted; they will be sent again", "error", err)
	}
	l.done = flight{}
}

func (s *Sequencer) landed(ctx context.Context, f flight) error {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	return f.landed(ctx)
}

// backlog sends again what the stream has not acknowledged for a while, and
// prunes now and then.
func (s *Sequencer) backlog(ctx context.Context, current state) error {
	now := s.Now()
	if now.Sub(s.lastPrune) > prunePeriod {
		s.lastPrune = now
		if err := s.log.prune(ctx, now); err != nil {
			return err
		}
	}
	if now.Sub(s.lastTry) <= retryPeriod {
		return nil
	}
	for from := current.Published + 1; from <= current.Last; {
		b, err := s.log.batch(ctx, from, current.Last)
		if err != nil || len(b.Entries) == 0 {
			return err
		}
		if err := s.publish(ctx, b, from); err != nil {
			return err
		}
		from = b.Last() + 1
	}
	return nil
}
