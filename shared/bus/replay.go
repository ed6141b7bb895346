package bus

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Bounds of Replay.
const (
	replayBatch    = 256
	replayWait     = 2 * time.Second // for the next message of a batch
	replayBegin    = 2 * time.Second // to get a consumer; a cluster without a leader does not answer, and forgets the question
	replayFailures = 5               // without a message between them
	replayIdle     = 30 * time.Second
)

// Replay hands over the messages of a stream from the oldest to the one that
// was newest at the call, in order, and returns. An error of handle ends it.
// After a disturbance it goes on behind the last message handed over; it gives
// up when it makes no progress, or when ctx ends.
func (b *Bus) Replay(ctx context.Context, stream string, handle func(data []byte) error) error {
	attempted := "replay stream " + stream
	if !b.connected.Load() {
		return b.failure(attempted, nats.ErrDisconnected)
	}
	call, cancel := withCallTimeout(ctx)
	s, err := b.js.Stream(call, stream)
	cancel()
	if err != nil {
		return b.failure(attempted, err)
	}
	state := s.CachedInfo().State
	r := replay{bus: b, stream: s, next: state.FirstSeq, last: state.LastSeq, handle: handle}
	for failures := 0; state.Msgs > 0 && r.next <= r.last; {
		before := r.next
		done, err := r.run(ctx)
		if done || r.handlerFailed {
			return err
		}
		if err == nil || r.next > before {
			failures = 0
			continue
		}
		if failures++; failures >= replayFailures || ctx.Err() != nil {
			return b.failure(attempted, err)
		}
		if err := pause(ctx, time.Duration(failures)*50*time.Millisecond); err != nil {
			return b.failure(attempted, err)
		}
	}
	return nil
}

// replay is where a Replay has come to.
type replay struct {
	bus           *Bus
	stream        jetstream.Stream
	next, last    uint64 // sequence numbers in the stream
	handle        func(data []byte) error
	handlerFailed bool
}

// run reads with one consumer from next on, until the end or a disturbance. It
// reports done when nothing is left up to last.
func (r *replay) run(ctx context.Context) (done bool, err error) {
	call, cancel := context.WithTimeout(ctx, replayBegin)
	defer cancel()
	consumer, err := r.stream.CreateConsumer(call, jetstream.ConsumerConfig{
		DeliverPolicy:     jetstream.DeliverByStartSequencePolicy,
		OptStartSeq:       max(1, r.next),
		AckPolicy:         jetstream.AckNonePolicy,
		MemoryStorage:     true,
		Replicas:          1,
		InactiveThreshold: replayIdle,
	})
	if err != nil {
		return false, err
	}
	info := consumer.CachedInfo()
	defer func() {
		clean, cancel := context.WithTimeout(context.WithoutCancel(ctx), connectTimeout)
		defer cancel()
		// If this fails the server forgets the consumer after a while.
		_ = r.stream.DeleteConsumer(clean, info.Name)
	}()
	// What is missing between next and last was deleted.
	left := info.NumPending
	var delivered uint64
	for left > 0 && r.next <= r.last {
		before := delivered
		batch, err := consumer.Fetch(int(min(left, replayBatch)), jetstream.FetchMaxWait(replayWait))
		if err != nil {
			return false, err
		}
		for msg := range batch.Messages() {
			meta, err := msg.Metadata()
			if err != nil {
				return false, err
			}
			// Nothing is sent twice to this consumer, so a hole is a loss.
			if delivered++; meta.Sequence.Consumer != delivered {
				return false, fmt.Errorf("message %d was lost on the way", delivered)
			}
			if meta.Sequence.Stream > r.last {
				return true, nil
			}
			if err := r.handle(msg.Data()); err != nil {
				r.handlerFailed = true
				return false, err
			}
			if r.next, left = meta.Sequence.Stream+1, meta.NumPending; r.next > r.last {
				return true, nil
			}
		}
		if err := batch.Error(); err != nil {
			return false, err
		}
		if err := ctx.Err(); err != nil {
			return false, err
		}
		if delivered == before {
			return false, nats.ErrTimeout
		}
	}
	// The last of the messages were deleted meanwhile. That is believed of a new
	// consumer only, which has just counted.
	return delivered == 0, nil
}

// pause waits unless ctx ends first.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}
