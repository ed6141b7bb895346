package sequencer

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"

	"gatehouse.internal/shared/bus"
	"gatehouse.internal/shared/contract"
)

// planStep is what a round finds, and from where on it is to send again.
type planStep struct {
	name            string
	after           time.Duration // since the step before
	epoch           uint64
	published, last uint64
	lost            uint64 // noticed before the round; 0: nothing
	ended           bool   // all was sent again before the round
	want            uint64
}

func TestRefill_plan(t *testing.T) {
	for _, c := range []struct {
		name  string
		steps []planStep
	}{
		{"what a replica finds when it begins", []planStep{
			{name: "may have just been sent", epoch: 1, published: 2, last: 9},
			{name: "or not", after: 2 * retryPeriod, epoch: 1, published: 2, last: 9, want: 3},
			{name: "goes on", after: time.Minute, epoch: 1, published: 2, last: 9, want: 3},
			{name: "the stream has time to acknowledge", ended: true, epoch: 1, published: 2, last: 9},
			{name: "but not for ever", after: 2 * retryPeriod, epoch: 1, published: 2, last: 9, want: 3},
		}},
		{"a stream that keeps up with what is always more", []planStep{
			{epoch: 1},
			{after: retryPeriod * 3 / 4, epoch: 1, published: 0, last: 5},
			{after: retryPeriod * 3 / 4, epoch: 1, published: 5, last: 9},
			{after: retryPeriod * 3 / 4, epoch: 1, published: 9, last: 12},
			{name: "and then does not, though more keeps coming", after: retryPeriod * 3 / 4, epoch: 1, published: 9, last: 15},
			{after: retryPeriod / 2, epoch: 1, published: 9, last: 18, want: 10},
		}},
		{"a loss", []planStep{
			{epoch: 1, published: 9, last: 9},
			{name: "at once, whatever was acknowledged", lost: 4, epoch: 1, published: 9, last: 9, want: 4},
			{name: "and the next one", lost: 2, epoch: 1, published: 1, last: 9, want: 2},
			{name: "of another epoch", ended: true, epoch: 2, published: 9, last: 9, lost: 3},
		}},
		{"an epoch that was opened meanwhile", []planStep{
			{epoch: 1, published: 9, last: 9},
			{epoch: 7, published: 0, last: 9, want: 1},
			{name: "while it was being sent again", epoch: 9, published: 0, last: 9, want: 1},
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, now := refill{}, time.Unix(1000, 0)
			for i, step := range c.steps {
				now = now.Add(step.after)
				if step.ended {
					r.end(now)
				}
				if step.lost != 0 {
					r.notice(place{1, step.lost})
				}
				r.plan(state{Epoch: step.epoch, Published: step.published, Last: step.last}, now)
				if want := (place{step.epoch, step.want}); r.next != want && (r.next.number != 0 || step.want != 0) {
					t.Fatalf("step %d, %s: sends again from %+v, want %+v", i, step.name, r.next, want)
				}
			}
		})
	}
}

func TestRefill_of_two_losses_the_lower_counts(t *testing.T) {
	var r refill
	r.notice(place{1, 9})
	r.notice(place{1, 4})
	r.notice(place{1, 6})
	if got := *r.lost.Load(); got != (place{1, 4}) {
		t.Errorf("from %+v, want 4", got)
	}
	if r.notice(place{2, 8}); *r.lost.Load() != (place{2, 8}) {
		t.Errorf("from %+v, want the newer epoch's", *r.lost.Load())
	}
}

// backlogged is a replica, and a node that knows nothing yet, around several
// batches of numbers of which the stream has acknowledged all, and has none.
func backlogged(t *testing.T, batches int) (*world, *Sequencer) {
	t.Helper()
	w := newWorld(sabotage{})
	t.Cleanup(w.close)
	s := w.replicas[0].s
	for i := range batches * contract.MaxBatchEntries {
		w.database.insert(row{ID: fmt.Sprintf("row-%06d", i), Kind: byte(contract.RevokeSession), Subject: fmt.Sprintf("s-%d", i), ExpiresAt: micros(time.Hour)})
	}
	w.rounds(t, s, 1)
	land(t, s)
	if err := s.inspect(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.broker.purge(false)
	w.now += headPeriod
	return w, s
}

func (w *world) rounds(t *testing.T, s *Sequencer, n int) {
	t.Helper()
	for range n {
		w.now += headSpacing
		if err := s.round(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

// land takes what is under way, and notes it.
func land(t *testing.T, s *Sequencer) {
	t.Helper()
	l := landing{s: s}
	for len(s.flights) > 0 {
		l.take(t.Context(), <-s.flights)
	}
	l.note(t.Context())
}

// A large backlog is worked off a batch a round: each of the rounds between
// proves how fresh the views are, and serves who waits.
func TestSequencer_F3_a_backlog_holds_up_neither_heads_nor_new_revocations(t *testing.T) {
	const batches = 5
	w, s := backlogged(t, batches)
	if err := s.inspect(t.Context()); err != nil {
		t.Fatal(err)
	}
	for done := range batches {
		heads := w.heads()
		call := &waiter{open: map[string]bool{fmt.Sprintf("new-%d", done): true}, done: make(chan struct{})}
		s.waiting = append(s.waiting, call)
		w.database.insert(row{ID: fmt.Sprintf("new-%d", done), Kind: byte(contract.RevokeSession), Subject: "new", ExpiresAt: micros(time.Hour)})
		w.now += headPatience // for which what is new may put it off
		w.rounds(t, s, 1)
		if w.heads() == heads {
			t.Errorf("no head in round %d", done)
		}
		if len(call.open) > 0 {
			t.Errorf("a new revocation has no number after round %d", done)
		}
		if again := len(w.broker.stream) - done - 1; again != done+1 {
			t.Fatalf("%d batches were sent again after %d rounds", again, done+1)
		}
	}
	w.rounds(t, s, 2)
	land(t, s)
	if at := w.database.current(); at.Published != at.Last {
		t.Errorf("the stream has acknowledged %d of %d", at.Published, at.Last)
	}
	if next := s.refill.next; next.number != 0 {
		t.Errorf("goes on to send again from %+v", next)
	}
}

// heads counts the heads on their way to the first node.
func (w *world) heads() (n int) {
	for _, m := range w.inbox {
		if m.what == "head to "+w.nodes[0].name {
			n++
		}
	}
	return n
}

func TestSequencer_F3_sending_again_waits_for_a_stream_that_does_not_acknowledge(t *testing.T) {
	const batches = maxRefillFlights + 3
	w, s := backlogged(t, batches)
	if err := s.inspect(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.rounds(t, s, batches)
	if n := len(w.broker.stream); n != maxRefillFlights {
		t.Fatalf("%d batches are under way, want %d", n, maxRefillFlights)
	}
	land(t, s)
	w.rounds(t, s, batches-maxRefillFlights)
	land(t, s)
	if at := w.database.current(); len(w.broker.stream) != batches || at.Published != at.Last {
		t.Errorf("%d batches; the stream has acknowledged %d of %d", len(w.broker.stream), at.Published, at.Last)
	}
}

func TestSequencer_without_a_broker_a_backlog_is_not_read_again_and_again(t *testing.T) {
	w, s := backlogged(t, 3)
	if err := s.inspect(t.Context()); err != nil {
		t.Fatal(err)
	}
	away := awayRoad{s.road}
	s.road = away
	counted := &countedLog{revocationLog: s.log}
	s.log = counted
	w.rounds(t, s, 10)
	if counted.batches != 1 {
		t.Errorf("%d batches were read within a moment, want 1", counted.batches)
	}
	s.road = away.road
	w.now += 2 * retryPeriod
	w.rounds(t, s, 3)
	land(t, s)
	if at := w.database.current(); at.Published != at.Last {
		t.Errorf("the stream has acknowledged %d of %d", at.Published, at.Last)
	}
}

// awayRoad is a road whose stream cannot be reached.
type awayRoad struct{ road }

// StoreAsync is part of road.
func (awayRoad) StoreAsync(string, string, []byte) (func(context.Context) (bus.Receipt, error), error) {
	return nil, errRoad
}

// countedLog counts the batches that are read.
type countedLog struct {
	revocationLog
	batches int
}

func (l *countedLog) batch(ctx context.Context, from, to uint64) (contract.Batch, error) {
	l.batches++
	return l.revocationLog.batch(ctx, from, to)
}

// What expires all at once is deleted a step a round.
func TestSequencer_prunes_a_step_in_a_round(t *testing.T) {
	const steps = 3
	w, s := backlogged(t, steps)
	w.database.insert(row{ID: "last", Kind: byte(contract.RevokeSession), Subject: "last", ExpiresAt: micros(3 * time.Hour), CreatedAt: micros(time.Minute)})
	w.rounds(t, s, 1)
	w.now += 2 * time.Hour
	for i := range steps {
		w.rounds(t, s, 1)
		if got, want := w.database.current().Oldest, uint64(i+1)*pruneStep+1; got != want {
			t.Fatalf("the oldest number is %d after %d rounds, want %d", got, i+1, want)
		}
	}
	w.now += prunePeriod + time.Second
	w.rounds(t, s, 2)
	if at := w.database.current(); at.Oldest != at.Last {
		t.Errorf("the oldest number is %d, want the one that has not expired, %d", at.Oldest, at.Last)
	}
}

// A stream that was put back to an old copy, and has as many messages again, looks
// as it should; the broker's own numbers tell.
func TestSequencer_F5_a_stream_that_went_back_between_two_looks_gets_everything_again(t *testing.T) {
	w := newWorld(sabotage{})
	t.Cleanup(w.close)
	s := w.replicas[0].s
	commit := func(id string) {
		w.database.insert(row{ID: id, Kind: byte(contract.RevokeSession), Subject: id, ExpiresAt: micros(time.Hour)})
		w.rounds(t, s, 1)
		land(t, s)
	}
	commit("a")
	if err := s.inspect(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.do(op{Kind: "copy stream"})
	commit("b")
	w.do(op{Kind: "fork stream"})
	commit("c")
	w.rounds(t, s, 1)
	land(t, s)
	held := map[uint64]bool{}
	for _, message := range w.broker.stream {
		for b, n := w.batchIn(message), uint64(0); n < uint64(len(b.Entries)); n++ {
			held[b.First+n] = true
		}
	}
	if n := testutil.ToFloat64(s.metrics.losses); n != 1 {
		t.Errorf("%v losses are counted, want 1", n)
	}
	if at := w.database.current(); len(held) != 3 || at.Published != 3 {
		t.Errorf("the stream holds %v, and has acknowledged %d, of 3", held, at.Published)
	}
}

// What is sent again lands among what is new: neither may hide what is missing
// between them.
func TestLanding_joins_what_touches_and_nothing_else(t *testing.T) {
	for _, c := range []struct {
		name    string
		flights []flight
		want    uint64 // up to here the stream is then known to have everything
	}{
		{"in order", []flight{{first: 1, last: 3}, {first: 4, last: 6}}, 6},
		{"overlapping", []flight{{first: 1, last: 4}, {first: 2, last: 6}}, 6},
		{"the later ones first", []flight{{first: 4, last: 6}, {first: 1, last: 3}}, 6},
		{"a gap", []flight{{first: 1, last: 2}, {first: 4, last: 6}}, 2},
		{"a gap, the later ones first", []flight{{first: 8, last: 9}, {first: 1, last: 3}}, 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(sabotage{})
			t.Cleanup(w.close)
			s := w.replicas[0].s
			for i := range 9 {
				w.database.insert(row{ID: fmt.Sprint(i)})
			}
			if _, _, err := w.database.number(t.Context()); err != nil {
				t.Fatal(err)
			}
			l := landing{s: s}
			for i, f := range c.flights {
				f.epoch, f.sent = w.database.current().Epoch, s.Now()
				f.landed = func(context.Context) (bus.Receipt, error) { return bus.Receipt{Number: uint64(i + 1)}, nil }
				l.take(t.Context(), f)
			}
			l.note(t.Context())
			if got := w.database.current().Published; got != c.want {
				t.Errorf("published up to %d, want %d", got, c.want)
			}
		})
	}
}
