package figures

import (
	"errors"
	"testing"
	"time"

	"gatehouse.internal/shared/bus"
)

// repairs is how often each loss is tried.
const repairs = 5

// stored is how many revocations there are before the first loss: more than one
// batch can hold.
const stored = 9000

// BenchmarkHealing takes from Redis or the stream what they hold, commits a
// revocation, and measures how long it is until every gateway has proof that it
// knows all up to a moment after the loss, and until Redis or the stream holds
// again all that the database does.
func BenchmarkHealing(b *testing.B) {
	b.Run("redis flushed", func(b *testing.B) {
		benchmarkHealing(b, loss{redis: true, do: func(w *clients, _ *bus.Bus) error { return w.FlushRedis(b.Context()) }})
	})
	b.Run("stream purged", func(b *testing.B) {
		benchmarkHealing(b, loss{do: func(_ *clients, o *bus.Bus) error { return o.PurgeStream(b.Context(), o.Subjects().RevocationStream()) }})
	})
	b.Run("stream deleted", func(b *testing.B) {
		benchmarkHealing(b, loss{do: func(_ *clients, o *bus.Bus) error {
			return o.DeleteStream(b.Context(), o.Subjects().RevocationStream())
		}})
	})
	b.Run("stream deleted and made again", func(b *testing.B) {
		benchmarkHealing(b, loss{do: func(_ *clients, o *bus.Bus) error {
			s := o.Subjects()
			return errors.Join(o.DeleteStream(b.Context(), s.RevocationStream()),
				o.EnsureStream(b.Context(), bus.Stream{Name: s.RevocationStream(), Subjects: []string{s.Batches()}, MaxAge: 2 * time.Hour}))
		}})
	})
	b.Run("old copy of the stream", func(b *testing.B) {
		benchmarkHealing(b, loss{
			before: func(w *clients) error { return w.onBrokers(w.SaveStore) },
			do:     func(w *clients, _ *bus.Bus) error { return w.onBrokers(w.RestoreStore) },
		})
	})
}

// loss is one way to lose what Redis or the stream holds.
type loss struct {
	redis  bool                               // it is of Redis
	before func(w *clients) error             // called once, a while before; may be nil
	do     func(w *clients, b *bus.Bus) error // b is an operator's connection
}

func benchmarkHealing(b *testing.B, l loss) {
	w := system(b)
	for b.Loop() {
		access := w.signIn(b, repairs+2)
		sessions := make([]string, len(access))
		for i, token := range access {
			sessions[i] = sessionOf(b, token)
		}
		o := observe(b, w.Cluster)
		operator, err := w.Bus(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		if l.before != nil {
			if err := l.before(w); err != nil {
				b.Fatal(err)
			}
		}
		w.fillUp(b, o)
		w.everywhere(b, o, w.revoke(b, sessions[0]))
		var views, broker, holding []time.Duration
		var seen probes
		for i := range repairs {
			w.rest(b)
			w.awaitStored(b, operator, l, sessions[:1+i])
			p := w.probe(b, access[0], access[1+i], access[repairs+1])
			began := time.Now()
			if err := l.do(w, operator); err != nil {
				b.Fatal(err)
			}
			lost := time.Now()
			if l.before != nil {
				began = lost // what the brokers were away is not the healing's
			}
			r := w.revoke(b, sessions[1+i])
			var at time.Time
			w.until(b, "every view is complete as of after the loss", func() (ok bool) {
				at, _, ok = o.lastTo(len(w.URLs), func(s *step) bool { return s.proves(r.epoch, r.number, lost) })
				return ok
			})
			views = append(views, at.Sub(began))
			w.awaitHolding(b, operator, l, sessions[:2+i], r)
			holding = append(holding, time.Since(began))
			w.until(b, "a reader can begin", func() bool { return readable(b.Context(), operator) })
			broker = append(broker, time.Since(began))
			seen.add(p.judge(o, r))
		}
		operator.Close()
		reportSeconds(b, "views", views)
		reportSeconds(b, "store", holding)
		if l.before != nil {
			reportSeconds(b, "broker", broker)
		}
		b.ReportMetric(float64(seen.forbidden), "forbidden")
		b.ReportMetric(float64(seen.refused), "refused")
		b.ReportMetric(float64(seen.all), "probes")
	}
	b.ReportMetric(0, "ns/op") // of no meaning
}

// fillUp sees to it that there are revocations to be lost.
func (w *clients) fillUp(tb testing.TB, o *observer) {
	tb.Helper()
	truth, err := w.Truth(tb.Context())
	if err != nil {
		tb.Fatal(err)
	}
	if truth.Last < stored {
		if err := w.SQL(tb.Context(), insert(unused, stored)); err != nil {
			tb.Fatal(err)
		}
		r := revoked{}
		r.epoch, r.number = w.numbered(tb, truth.Last+stored)
		w.everywhere(tb, o, r)
	}
}

// onBrokers does something with the disks of all brokers, which are away
// meanwhile.
func (w *clients) onBrokers(do func(i int) error) error {
	var errs []error
	for _, p := range w.Brokers {
		errs = append(errs, p.Kill())
	}
	for i := range w.Brokers {
		errs = append(errs, do(i))
	}
	for _, p := range w.Brokers {
		errs = append(errs, p.Start())
	}
	return errors.Join(errs...)
}

// awaitStored waits until what is to be lost is there.
func (w *clients) awaitStored(tb testing.TB, operator *bus.Bus, l loss, sessions []string) {
	tb.Helper()
	truth, err := w.Truth(tb.Context())
	if err != nil {
		tb.Fatal(err)
	}
	w.awaitHolding(tb, operator, l, sessions, revoked{epoch: truth.Epoch, number: truth.Last})
}

// awaitHolding waits until Redis or the stream has all up to a revocation.
func (w *clients) awaitHolding(tb testing.TB, operator *bus.Bus, l loss, sessions []string, r revoked) {
	tb.Helper()
	if l.redis {
		w.until(tb, "redis holds everything", func() bool { return w.redisHolds(tb, sessions, r) })
		return
	}
	all, err := w.Revocations(tb.Context(), 0)
	if err != nil || len(all) == 0 {
		tb.Fatalf("the log has %d revocations: %v", len(all), err)
	}
	w.until(tb, "the stream holds everything", func() bool { return w.streamHolds(tb, operator, all[0].Number, r) })
}
