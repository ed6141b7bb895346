package figures

import (
	"context"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"
)

// logoutPause is the time from one logout to the next, about.
const logoutPause = 200 * time.Millisecond

// answerBound is how long a revoking call waits for slow gateways (DESIGN, step 8).
const answerBound = 250 * time.Millisecond

// BenchmarkLogout measures logouts one after another, and the age of every view
// meanwhile: on a machine that does nothing else, and with load on all gateways.
func BenchmarkLogout(b *testing.B) {
	b.Run("idle", func(b *testing.B) { benchmarkLogout(b, 0, 300) })
	b.Run("2000 requests per second", func(b *testing.B) { benchmarkLogout(b, 2000, 150) })
	b.Run("20000 requests per second wanted", func(b *testing.B) { benchmarkLogout(b, 20_000, 200) })
}

func benchmarkLogout(b *testing.B, rate, n int) {
	w := system(b)
	for b.Loop() {
		var stop func() loaded
		access, busy := w.signIn(b, n), w.signIn(b, 16)
		ages := w.sampleAges(b)
		if rate > 0 {
			stop = w.startLoad(b, rate, busy)
			time.Sleep(2 * time.Second) // until every connection works
		}
		m := w.logouts(b, access)
		ages.report(b)
		m.report(b)
		if rate > 0 {
			seen := stop()
			refused := 0
			for _, n := range seen.Refused {
				refused += n
			}
			b.ReportMetric(float64(seen.OK)/seen.Seconds, "requests/s")
			b.ReportMetric(float64(refused), "refused")
			b.ReportMetric(seen.P50, "request-p50-ms")
			b.ReportMetric(seen.P99, "request-p99-ms")
			b.ReportMetric(seen.Max, "request-max-ms")
		}
	}
	b.ReportMetric(0, "ns/op") // of no meaning
}

// measured are logouts.
type measured struct {
	answers, applied []time.Duration
	waited           waited
	slowest          map[string]int // how often each gateway was the last
	accepted, probes int
	// inTime counts those accepted of logouts that were answered within the
	// 250 ms after which a revoking call no longer waits for slow gateways. It
	// must be 0.
	inTime int
}

func (m *measured) report(b *testing.B) {
	b.Helper()
	p50, p99, most := percentiles(m.answers)
	b.ReportMetric(p50, "logout-p50-ms")
	b.ReportMetric(p99, "logout-p99-ms")
	b.ReportMetric(most, "logout-max-ms")
	p50, p99, most = percentiles(m.applied)
	b.ReportMetric(p50, "written-to-last-p50-ms")
	b.ReportMetric(p99, "written-to-last-p99-ms")
	b.ReportMetric(most, "written-to-last-max-ms")
	b.ReportMetric(m.waited.quantile(.5), "commit-to-all-p50-below-ms")
	b.ReportMetric(m.waited.quantile(.99), "commit-to-all-p99-below-ms")
	b.ReportMetric(m.waited.quantile(1), "commit-to-all-max-below-ms")
	b.ReportMetric(float64(m.accepted), "accepted-after")
	b.ReportMetric(float64(m.inTime), "accepted-in-time")
	b.ReportMetric(float64(m.probes), "probes")
}

// logouts ends the sessions one after another.
func (w *clients) logouts(tb testing.TB, access []string) *measured {
	tb.Helper()
	o, m := observe(tb, w.Cluster), &measured{slowest: map[string]int{}}
	before, err := w.Truth(tb.Context())
	if err != nil {
		tb.Fatal(err)
	}
	waited := w.waited(tb)
	ticker := time.NewTicker(logoutPause)
	defer ticker.Stop()
	for i, token := range access {
		<-ticker.C
		if n := w.accepted(tb, token); n != len(w.URLs) {
			tb.Fatalf("%d of %d gateways accept a token that is alive", n, len(w.URLs))
		}
		began := time.Now()
		status, err := w.call(tb.Context(), request{method: "POST", url: w.URLs[i%len(w.URLs)] + "/auth/logout", token: token}, nil)
		if status != http.StatusNoContent {
			tb.Fatalf("log out: %d %v", status, err)
		}
		took := time.Since(began)
		m.answers = append(m.answers, took)
		accepted := w.accepted(tb, token)
		m.accepted += accepted
		if took < answerBound {
			m.inTime += accepted
		}
		m.probes += len(w.URLs)
	}
	m.waited = w.waited(tb).since(waited)
	w.applied(tb, o, m, before.Last)
	return m
}

// applied fills in when the revocations above a number had been applied.
func (w *clients) applied(tb testing.TB, o *observer, m *measured, above uint64) {
	tb.Helper()
	truth, err := w.Truth(tb.Context())
	if err != nil {
		tb.Fatal(err)
	}
	rows, err := w.Revocations(tb.Context(), above)
	if err != nil {
		tb.Fatal(err)
	}
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		if _, _, ok := o.last(len(w.URLs), truth.Epoch, truth.Last); ok {
			break
		}
		if time.Now().After(deadline) {
			tb.Fatalf("number %d is not applied everywhere", truth.Last)
		}
	}
	for _, r := range rows {
		at, node, ok := o.last(len(w.URLs), truth.Epoch, r.Number)
		if !ok {
			continue // numbered after the look at the truth
		}
		m.applied = append(m.applied, at.Sub(time.UnixMicro(r.Written)))
		m.slowest[node]++
	}
	if len(m.applied) < len(m.answers) {
		tb.Fatalf("%d logouts have %d revocations", len(m.answers), len(m.applied))
	}
}

// ages are samples of the age of every view, in seconds.
type ages struct {
	stop    context.CancelFunc
	group   sync.WaitGroup
	mu      sync.Mutex
	samples []float64
	missed  int
}

// sampleAges looks at every gateway four times a second, at any moment of its
// period, until report is called.
func (w *clients) sampleAges(tb testing.TB) *ages {
	tb.Helper()
	ctx, cancel := context.WithCancel(tb.Context())
	a := &ages{stop: cancel}
	for _, p := range w.Gateways {
		a.group.Go(func() {
			for {
				select {
				case <-ctx.Done():
					return
				case <-time.After(200*time.Millisecond + rand.N(100*time.Millisecond)): //nolint:gosec // not secret
				}
				age, ok := w.age(ctx, p)
				a.mu.Lock()
				if ok {
					a.samples = append(a.samples, age)
				} else if ctx.Err() == nil {
					a.missed++
				}
				a.mu.Unlock()
			}
		})
	}
	return a
}

func (a *ages) report(b *testing.B) {
	b.Helper()
	a.stop()
	a.group.Wait()
	if a.missed > 0 || len(a.samples) == 0 {
		b.Fatalf("%d views were looked at, %d did not say how old they are", len(a.samples), a.missed)
	}
	slices.Sort(a.samples)
	b.ReportMetric(a.samples[len(a.samples)*99/100], "view-age-p99-s")
	b.ReportMetric(a.samples[len(a.samples)-1], "view-age-max-s")
}
