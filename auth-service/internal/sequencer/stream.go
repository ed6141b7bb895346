package sequencer

import (
	"context"
	"fmt"
	"time"

	"gatehouse.internal/shared/bus"
	"gatehouse.internal/shared/contract"
	"gatehouse.internal/shared/revocation"
)

// streamAge is how long the stream keeps a batch: longer than any access token
// may live, with the margins that entries have.
const streamAge = 2 * time.Hour

// streamRepeats is how long the stream drops a batch as a repetition. It must be
// less than retryPeriod: what is published again after a loss is no repetition,
// though it may be the same batch. One that is kept twice harms nobody.
const streamRepeats = retryPeriod / 2

// keepStream makes sure every checkPeriod that the stream exists, that it has
// what it acknowledged, and that neither it nor a node is ahead of the
// database.
func (s *Sequencer) keepStream(ctx context.Context) {
	ticker := time.NewTicker(checkPeriod)
	defer ticker.Stop()
	ensured := false
	for {
		if s.active() || !ensured {
			err := s.inspect(ctx)
			ensured = err == nil
			if err != nil && ctx.Err() == nil {
				s.Log.Warn("revocation stream not inspected", "error", err)
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
	subjects := s.road.Subjects()
	err := s.road.EnsureStream(ctx, bus.Stream{
		Name: subjects.RevocationStream(), Subjects: []string{subjects.Batches()}, MaxAge: streamAge, Duplicates: streamRepeats,
	})
	if err != nil {
		return fmt.Errorf("ensure the revocation stream: %w", err)
	}
	// What others hold is read between two looks: what the first one shows as
	// acknowledged the stream must have, and nobody can hold more than the
	// second one shows.
	before, err := s.log.look(ctx)
	if err != nil {
		return err
	}
	extent, err := s.road.StreamExtent(ctx, subjects.RevocationStream(), s.extent)
	if err != nil {
		return fmt.Errorf("read the extent of the revocation stream: %w", err)
	}
	epoch, last, err := s.streamEnd(ctx)
	if err != nil {
		return err
	}
	nodes := s.Presence.snapshot()
	after, err := s.log.look(ctx)
	if err != nil {
		return err
	}
	if ahead(after, epoch, last) || ahead(after, nodes.epoch, nodes.furthest) && nodes.epoch <= after.Epoch+2*epochStep {
		return s.newEpoch(ctx, max(epoch, nodes.epoch))
	}
	if before.Epoch != after.Epoch {
		return nil // the next look compares like with like
	}
	if kept := s.kept(&extent, before, epoch, last); kept < before.Published {
		s.Log.Warn("the revocation stream has lost messages; publishing again", "acknowledged", before.Published, "kept", kept)
		defer s.poke()
		if err := s.log.rewind(ctx, before.Epoch, kept); err != nil {
			return err
		}
	}
	s.extent = extent
	return nil
}

// kept gives the number up to which the stream, which ends with the number last
// of an epoch, is taken to have what it has acknowledged. Its end alone does not
// tell: a revocation that came after a loss hides what is missing before it. So
// a stream that has lost anything since the last look gets everything again.
func (s *Sequencer) kept(extent *bus.Extent, before state, epoch, last uint64) uint64 {
	switch {
	case s.extent != (bus.Extent{}) && extent.LostSince(&s.extent, streamAge/2):
		return before.Oldest - 1
	case epoch < before.Epoch && before.Published >= before.Oldest:
		return 0
	case epoch == before.Epoch:
		return last
	}
	return before.Published
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
func (s *Sequencer) streamEnd(ctx context.Context) (epoch, last uint64, err error) {
	subjects := s.road.Subjects()
	message, found, err := s.road.LastInStream(ctx, subjects.RevocationStream(), subjects.Batches())
	if err != nil {
		return 0, 0, fmt.Errorf("read the end of the revocation stream: %w", err)
	}
	if !found {
		return 0, 0, nil
	}
	payload, err := revocation.Open(revocation.PurposeBatch, s.Keys, message)
	if err != nil {
		s.Log.Error("the last message of the revocation stream is refused", "reason", revocation.Reason(err))
		return 0, 0, nil
	}
	b, err := contract.DecodeBatch(payload)
	if err != nil {
		return 0, 0, fmt.Errorf("decode the end of the revocation stream: %w", err)
	}
	return b.Epoch, b.Last(), nil
}
