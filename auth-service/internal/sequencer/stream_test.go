package sequencer

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"gatehouse.internal/shared/bus"
	"gatehouse.internal/shared/contract"
	"gatehouse.internal/shared/revocation"
)

// A revocation that comes right after a loss must not hide it: the stream's end
// is as it should be then.
func TestSequencer_F3_F4_a_stream_that_has_lost_its_beginning_gets_it_again(t *testing.T) {
	purge := func(ctx context.Context, b *bus.Bus) error {
		return b.PurgeStream(ctx, b.Subjects().RevocationStream())
	}
	again := func(ctx context.Context, b *bus.Bus) error {
		s := b.Subjects()
		return errors.Join(b.DeleteStream(ctx, s.RevocationStream()),
			b.EnsureStream(ctx, bus.Stream{Name: s.RevocationStream(), Subjects: []string{s.Batches()}, MaxAge: streamAge}))
	}
	for _, c := range []struct {
		name  string
		lose  func(ctx context.Context, b *bus.Bus) error
		after int // revocations after the loss
	}{
		{"purged", purge, 1},
		{"purged, and what was lost is one batch, which comes again as it was", purge, 0},
		{"deleted and made again", again, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSystem(t, "sqlite:"+t.TempDir()+"/auth.db")
			q := s.handDriven()
			q.work(0)
			q.work(3)
			if err := c.lose(t.Context(), s.connect("operator")); err != nil {
				t.Fatal(err)
			}
			q.publishMore(c.after)
			s.eventually("the stream has everything again", 20*time.Second, func() bool {
				q.work(0)
				return q.inStream(3)
			})
		})
	}
}

// handDriven is a replica whose steps are taken one by one.
type handDriven struct {
	*Sequencer
	s *system
}

func (s *system) handDriven() handDriven {
	s.t.Helper()
	q, err := New(Config{DB: s.db, Bus: s.connect("auth-service"), Signer: s.signer, Keys: s.signer, Now: time.Now, Log: s.log, Registry: prometheus.NewRegistry()})
	if err != nil {
		s.t.Fatal(err)
	}
	return handDriven{q, s}
}

// work looks at the stream and publishes what it lacks, and n new revocations.
func (q handDriven) work(n int) {
	q.s.t.Helper()
	if err := q.inspect(q.s.t.Context()); err != nil {
		q.s.t.Fatal(err)
	}
	q.publishMore(n)
}

func (q handDriven) publishMore(n int) {
	q.s.t.Helper()
	if n > 0 {
		q.s.insert(n)
	}
	if err := q.round(q.s.t.Context()); err != nil {
		q.s.t.Fatal(err)
	}
	l := landing{s: q.Sequencer}
	for len(q.flights) > 0 {
		l.take(q.s.t.Context(), <-q.flights)
	}
	l.note(q.s.t.Context())
}

// inStream is true if the stream has the numbers 1 to last.
func (q handDriven) inStream(last uint64) bool {
	q.s.t.Helper()
	found := map[uint64]bool{}
	err := q.Bus.Replay(q.s.t.Context(), q.Bus.Subjects().RevocationStream(), func(data []byte) error {
		payload, err := revocation.Open(revocation.PurposeBatch, q.Keys, data)
		if err != nil {
			return err
		}
		b, err := contract.DecodeBatch(payload)
		for n := b.First; n <= b.Last(); n++ {
			found[n] = true
		}
		return err
	})
	if err != nil {
		q.s.t.Fatal(err)
	}
	for n := uint64(1); n <= last; n++ {
		if !found[n] {
			return false
		}
	}
	return true
}
