package figures

import (
	"math"
	"net/http"
	"sync"
	"testing"
	"time"
)

// surge is how many revocations come at once.
const surge = 100_000

// BenchmarkSurge commits 100,000 revocations in one transaction, which no
// service is told of, while a client calls every gateway.
func BenchmarkSurge(b *testing.B) {
	w := system(b)
	for b.Loop() {
		w.rest(b)
		o, token := observe(b, w.Cluster), w.signIn(b, 1)[0]
		before, err := w.Truth(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		idle := w.callAll(b, token, 5*time.Millisecond)
		time.Sleep(2 * time.Second)
		calm := idle()
		busy := w.callAll(b, token, 5*time.Millisecond)
		began := time.Now()
		if err := w.SQL(b.Context(), insert(unused, surge)); err != nil {
			b.Fatal(err)
		}
		r := revoked{committed: time.Now()}
		r.epoch, r.number = w.numbered(b, before.Last+surge)
		at := w.everywhere(b, o, r)
		seen := busy()
		b.ReportMetric(at.Sub(r.committed).Seconds(), "applied-s")
		b.ReportMetric(r.committed.Sub(began).Seconds(), "insert-s")
		_, p99, most := percentiles(calm.times)
		b.ReportMetric(p99, "request-idle-p99-ms")
		b.ReportMetric(most, "request-idle-max-ms")
		_, p99, most = percentiles(seen.times)
		b.ReportMetric(p99, "request-p99-ms")
		b.ReportMetric(most, "request-max-ms")
		b.ReportMetric(float64(calm.refused+seen.refused), "refused")
		behind, oldest := 0.0, 0.0
		for _, s := range o.since(began) {
			behind = math.Max(behind, float64(s.Head)-float64(s.Applied))
			oldest = math.Max(oldest, s.AgeMillis/1000)
		}
		b.ReportMetric(behind, "behind-max")
		b.ReportMetric(oldest, "view-age-max-s")
	}
	b.ReportMetric(0, "ns/op") // of no meaning
}

// called are the calls of one client for each gateway.
type called struct {
	times   []time.Duration
	refused int // answers other than 200
}

// callAll calls every gateway, with a pause after each answer, until it is
// asked for what it saw.
func (w *clients) callAll(tb testing.TB, token string, pause time.Duration) (stop func() called) {
	tb.Helper()
	var (
		group sync.WaitGroup
		mu    sync.Mutex
		out   called
	)
	over := make(chan struct{})
	for _, at := range w.URLs {
		group.Go(func() {
			for {
				select {
				case <-over:
					return
				case <-time.After(pause):
				}
				began := time.Now()
				status, err := w.call(tb.Context(), request{method: "GET", url: at + probed, token: token}, nil)
				took := time.Since(began)
				mu.Lock()
				if out.times = append(out.times, took); err != nil || status != http.StatusOK {
					out.refused++
				}
				mu.Unlock()
			}
		})
	}
	return func() called {
		close(over)
		group.Wait()
		return out
	}
}
