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

// keepStream makes sure every two seconds that the stream exists, that it has
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
		Name: subjects.RevocationStream(), Subjects: []string{subjects.Batches()}, MaxAge: streamAge,
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
	if before.Epoch == after.Epoch && (epoch < before.Epoch && before.Published >= before.Oldest || epoch == before.Epoch && last < before.Published) {
		s.Log.Warn("the revocation stream has lost messages; publishing again", "acknowledged", before.Published, "found", last)
		if epoch < before.Epoch {
			last = 0
		}
		defer s.poke()
		return s.log.rewind(ctx, before.Epoch, last)
	}
	return nil
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
