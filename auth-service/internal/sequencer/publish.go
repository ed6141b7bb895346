package sequencer

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	"gatehouse.internal/shared/bus"
	"gatehouse.internal/shared/contract"
	"gatehouse.internal/shared/revocation"
)

// flight is a batch on its way into the stream.
type flight struct {
	epoch, first, last uint64
	sent               time.Time
	landed             func(ctx context.Context) (bus.Receipt, error) // waits for the stream's acknowledgement
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
	_, err := s.store(ctx, b, from, "")
	return err
}

// store sends a batch as publish does, and reports whether there was a broker to
// take it. Another repetition is another message to the stream, even if it is the
// same batch.
func (s *Sequencer) store(ctx context.Context, b contract.Batch, from uint64, repetition string) (sent bool, err error) {
	message, err := s.seal(ctx, revocation.PurposeBatch, b.Encode())
	if err != nil {
		return false, err
	}
	// The id derives from the content, so that only a true duplicate is dropped
	// as one.
	sum := sha256.New()
	sum.Write(message)
	sum.Write([]byte(repetition))
	landed, err := s.road.StoreAsync(s.road.Subjects().Batches(), hex.EncodeToString(sum.Sum(nil)), message)
	if err != nil {
		s.Log.Warn("revocation batch not published; it stays in the backlog", "first", b.First, "last", b.Last(), "error", err)
		return false, nil
	}
	s.metrics.published.Add(float64(len(b.Entries)))
	select {
	case s.flights <- flight{b.Epoch, from, b.Last(), s.Now(), landed}:
	default: // the backlog finds out
	}
	return true, nil
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
	receipt, err := l.s.landed(ctx, f)
	if err != nil {
		if ctx.Err() == nil {
			l.s.Log.Warn("revocation batch not acknowledged by the stream; it will be sent again", "first", f.first, "last", f.last, "error", err)
		}
		return
	}
	l.compare(ctx, f, receipt)
	if l.done.last == 0 || l.done.epoch != f.epoch || f.first > l.done.last+1 || f.last+1 < l.done.first {
		l.note(ctx)
		l.done = f
	}
	l.done.first, l.done.last = min(l.done.first, f.first), max(l.done.last, f.last)
}

// compare notices that the stream has gone back since the last receipt: what it
// acknowledged meanwhile is lost, even if nobody has looked between.
func (l *landing) compare(ctx context.Context, f flight, receipt bus.Receipt) {
	if receipt.Duplicate {
		return
	}
	before := l.s.receipt.Swap(receipt.Number)
	if receipt.Number > before {
		return
	}
	l.s.Log.Warn("the revocation stream has gone back; publishing again", "from", before, "to", receipt.Number)
	l.s.metrics.losses.Inc()
	l.done = flight{}
	l.s.refill.notice(place{f.epoch, 1})
	defer l.s.poke()
	if err := l.s.log.rewind(ctx, f.epoch, 0); err != nil && ctx.Err() == nil {
		l.s.Log.Warn("what the revocation stream has lost is not noted; it will be sent again all the same", "error", err)
	}
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

// landed waits for a flight, as long as it may take since it was sent: those that
// were lost together must not be waited for one after another.
func (s *Sequencer) landed(ctx context.Context, f flight) (bus.Receipt, error) {
	ctx, cancel := context.WithTimeout(ctx, max(storeTimeout-s.Now().Sub(f.sent), lateTimeout))
	defer cancel()
	return f.landed(ctx)
}
