package sequencer

import (
	"context"
	"fmt"
	"time"

	"gatehouse.internal/shared/bus"
	"gatehouse.internal/shared/contract"
	"gatehouse.internal/shared/fault"
	"gatehouse.internal/shared/revocation"
)

// streamAge is how long the stream keeps a batch: longer than any access token
// may live, with the margins that entries have.
const streamAge = 2 * time.Hour

// streamRepeats is how long the stream drops a batch as a repetition. It must be
// less than retryPeriod: what is published again after a loss is no repetition,
// though it may be the same batch. One that is kept twice harms nobody.
const streamRepeats = retryPeriod / 2

// The periods of keepStream.
const (
	checkPeriod  = 250 * time.Millisecond // between comparisons with what the stream and the nodes hold
	ensurePeriod = time.Second            // between looks at the stream's settings
	// extentTimeout is for a broker to say how far the stream reaches. One that
	// has no leader yet does not answer at all, so asking again soon is what finds
	// the leader once there is one.
	extentTimeout = 500 * time.Millisecond
)

// streamSeen is the stream as keepStream last saw it.
type streamSeen struct {
	extent  bus.Extent
	end     place // of its last batch
	ensured time.Time
}

// keepStream makes sure every checkPeriod that the stream exists, that it has
// what it acknowledged, and that neither it nor a node is ahead of the
// database.
func (s *Sequencer) keepStream(ctx context.Context) {
	ticker := time.NewTicker(checkPeriod)
	defer ticker.Stop()
	inspected := false
	for {
		if s.active() || !inspected {
			err := s.inspect(ctx)
			inspected = err == nil
			if err != nil && ctx.Err() == nil {
				if leftOut, write := s.seldom.Next("stream not inspected", s.Now()); write {
					s.Log.Warn("revocation stream not inspected", "error", err, "left_out", leftOut)
				}
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		case <-s.doubt:
		}
	}
}

// compare makes keepStream hold the database against what others have, at once.
func (s *Sequencer) compare() {
	select {
	case s.doubt <- struct{}{}:
	default:
	}
}

func (s *Sequencer) inspect(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, roundTimeout)
	defer cancel()
	// What others hold is read between two looks: what the first one shows as
	// acknowledged the stream must have, and nobody can hold more than the
	// second one shows.
	before, err := s.log.look(ctx)
	if err != nil {
		return err
	}
	found, err := s.seeStream(ctx)
	if err != nil {
		return err
	}
	nodes := s.Presence.snapshot()
	after, err := s.log.look(ctx)
	if err != nil {
		return err
	}
	if ahead(after, found.end.epoch, found.end.number) || ahead(after, nodes.epoch, nodes.furthest) && nodes.epoch <= after.Epoch+2*epochStep {
		return s.newEpoch(ctx, max(found.end.epoch, nodes.epoch))
	}
	if before.Epoch != after.Epoch {
		return nil // the next look compares like with like
	}
	if err := s.heal(ctx, before, &found); err != nil {
		return err
	}
	s.stream.extent, s.stream.end = found.extent, found.end
	// Last, because a cluster that is still without the leader whom this needs
	// may have its streams already.
	if s.Now().Sub(s.stream.ensured) < ensurePeriod {
		return nil
	}
	return s.ensureStream(ctx)
}

// seeStream reads how far the stream reaches and what is at its end, and makes
// it if it is not there.
func (s *Sequencer) seeStream(ctx context.Context) (found streamSeen, err error) {
	found.extent, err = s.streamExtent(ctx)
	if fault.Is(err, fault.NotFound) {
		if err := s.ensureStream(ctx); err != nil {
			return streamSeen{}, err
		}
		found.extent, err = s.streamExtent(ctx)
	}
	if err != nil {
		return streamSeen{}, err
	}
	if found.end = s.stream.end; !found.extent.Same(&s.stream.extent) {
		found.end, err = s.streamEnd(ctx)
	}
	return found, err
}

func (s *Sequencer) streamExtent(ctx context.Context) (bus.Extent, error) {
	ctx, cancel := context.WithTimeout(ctx, extentTimeout)
	defer cancel()
	extent, err := s.road.StreamExtent(ctx, s.road.Subjects().RevocationStream(), s.stream.extent)
	if err != nil {
		return bus.Extent{}, fmt.Errorf("read the extent of the revocation stream: %w", err)
	}
	return extent, nil
}

func (s *Sequencer) ensureStream(ctx context.Context) error {
	subjects := s.road.Subjects()
	err := s.road.EnsureStream(ctx, bus.Stream{
		Name: subjects.RevocationStream(), Subjects: []string{subjects.Batches()}, MaxAge: streamAge, Duplicates: streamRepeats,
	})
	if err != nil {
		return fmt.Errorf("ensure the revocation stream: %w", err)
	}
	s.stream.ensured = s.Now()
	return nil
}

// heal has the rounds send again what the stream was found to have lost.
func (s *Sequencer) heal(ctx context.Context, before state, found *streamSeen) error {
	kept := s.kept(before, found)
	if kept >= before.Last {
		return nil
	}
	s.Log.Warn("the revocation stream has lost messages; publishing again", "acknowledged", before.Published, "kept", kept)
	s.metrics.losses.Inc()
	s.receipt.Store(0)
	s.refill.notice(place{before.Epoch, kept + 1})
	defer s.poke()
	if kept >= before.Published {
		return nil
	}
	return s.log.rewind(ctx, before.Epoch, kept)
}

// kept gives the number up to which the stream is taken to have what it has
// acknowledged, or the last one if nothing speaks against it. Its end alone does
// not tell: a revocation that came after a loss hides what is missing before it.
// So a stream that has lost anything since the last look gets everything again.
func (s *Sequencer) kept(before state, found *streamSeen) uint64 {
	switch {
	case s.stream.extent != (bus.Extent{}) && found.extent.LostSince(&s.stream.extent, streamAge/2):
		return before.Oldest - 1
	case found.end.epoch < before.Epoch && before.Published >= before.Oldest:
		return 0
	case found.end.epoch == before.Epoch && found.end.number < before.Published:
		return found.end.number
	}
	return before.Last
}

// ahead is true if somebody holds a number which the database does not.
func ahead(s state, epoch, last uint64) bool {
	return epoch > s.Epoch || epoch == s.Epoch && last > s.Last
}

func (s *Sequencer) newEpoch(ctx context.Context, seen uint64) error {
	s.Log.Error("the database has lost revocations that others hold; opening a new epoch", "after", seen)
	s.metrics.epochs.Inc()
	defer s.poke()
	return s.log.openEpoch(ctx, seen)
}

// streamEnd gives epoch and number of the stream's last batch, 0 and 0 if it
// has none. A last message that is not ours is no evidence of anything.
func (s *Sequencer) streamEnd(ctx context.Context) (place, error) {
	subjects := s.road.Subjects()
	message, found, err := s.road.LastInStream(ctx, subjects.RevocationStream(), subjects.Batches())
	if err != nil {
		return place{}, fmt.Errorf("read the end of the revocation stream: %w", err)
	}
	if !found {
		return place{}, nil
	}
	payload, err := revocation.Open(revocation.PurposeBatch, s.Keys, message)
	if err != nil {
		s.Log.Error("the last message of the revocation stream is refused", "reason", revocation.Reason(err))
		return place{}, nil
	}
	b, err := contract.DecodeBatch(payload)
	if err != nil {
		return place{}, fmt.Errorf("decode the end of the revocation stream: %w", err)
	}
	return place{b.Epoch, b.Last()}, nil
}
