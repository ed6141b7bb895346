package sequencer

import (
	"context"
	"strconv"
	"sync/atomic"
	"time"

	"gatehouse.internal/shared/contract"
)

// The bounds of what a round does beside numbering. It sends one batch again at
// most and deletes a few numbers, so that heads and new revocations never wait
// long for either; the next round goes on.
const (
	maxRefillFlights = 16                       // under way, beyond which nothing is sent again; a batch is up to half a megabyte
	pruneStep        = contract.MaxBatchEntries // numbers
)

// place is a number in an epoch.
type place struct{ epoch, number uint64 }

// refill is what the rounds remember of sending again what the stream lacks.
type refill struct {
	// lost is from where on the stream lacks something that it had, if that was
	// noticed since the last round.
	lost atomic.Pointer[place]

	// The rest is the rounds' own.
	next  place     // to be sent again; number 0: nothing is
	seen  place     // up to here the stream had acknowledged at the last round
	since time.Time // since when it has not acknowledged more, although there is more
	run   uint64
}

// notice has everything sent again from a number on.
func (r *refill) notice(from place) {
	for {
		before := r.lost.Load()
		if before != nil && (before.epoch > from.epoch || before.epoch == from.epoch && before.number <= from.number) {
			return
		}
		if r.lost.CompareAndSwap(before, &from) {
			return
		}
	}
}

// plan decides whether something is to be sent again, and from where on: after a
// loss, in a new epoch, or if the stream has not acknowledged for a while what it
// was sent.
func (r *refill) plan(current state, now time.Time) {
	if lost := r.lost.Swap(nil); lost != nil && lost.epoch == current.Epoch {
		r.begin(*lost)
	}
	if r.next.epoch != current.Epoch {
		r.next = place{}
	}
	acknowledged := place{current.Epoch, current.Published}
	switch {
	case r.next.number != 0: // under way
	case current.Published >= current.Last, r.seen == (place{}):
		r.since = now
	case r.seen.epoch != current.Epoch, r.seen == acknowledged && now.Sub(r.since) > retryPeriod:
		r.begin(place{current.Epoch, current.Published + 1})
	case r.seen != acknowledged:
		r.since = now
	}
	r.seen = acknowledged
}

func (r *refill) begin(from place) {
	r.next = from
	r.run++
}

// end waits for the stream to acknowledge, or for a broker.
func (r *refill) end(now time.Time) {
	r.next, r.since = place{}, now
}

// backlog sends again what the stream lacks, one batch in a round, and prunes now
// and then.
func (s *Sequencer) backlog(ctx context.Context, current state) error {
	now := s.Now()
	if err := s.prune(ctx, current, now); err != nil {
		return err
	}
	r := &s.refill
	r.plan(current, now)
	if r.next.number == 0 || len(s.flights) >= maxRefillFlights {
		return nil
	}
	b, err := s.log.batch(ctx, r.next.number, current.Last)
	if err != nil {
		return err
	}
	if b.Epoch != r.next.epoch || len(b.Entries) == 0 {
		r.end(now)
		return nil
	}
	sent, err := s.store(ctx, b, r.next.number, s.id+"/"+strconv.FormatUint(r.run, 10))
	if err != nil {
		return err
	}
	r.next.number = b.Last() + 1
	if !sent || b.Last() >= current.Last {
		r.end(now)
		return nil
	}
	s.poke()
	return nil
}

// prune deletes a step of what no longer matters, and the next one in the next
// round if there is more.
func (s *Sequencer) prune(ctx context.Context, current state, now time.Time) error {
	if now.Sub(s.lastPrune) <= prunePeriod {
		return nil
	}
	s.lastPrune = now
	deleted, err := s.log.prune(ctx, now, current.Oldest+pruneStep)
	if deleted == pruneStep {
		s.lastPrune = time.Time{}
	}
	return err
}
