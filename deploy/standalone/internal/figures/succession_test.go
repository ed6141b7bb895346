package figures

import (
	"context"
	"net/http"
	"testing"
	"time"

	"gatehouse.internal/deploy/standalone/internal/chaos/cluster"
)

// handOvers is how often each kind of hand-over is tried.
const handOvers = 10

// BenchmarkHandover takes the active auth-service away, and measures how long a
// revocation that was committed at that moment takes to all gateways: one that
// nobody has told a service of, so that another replica must become active by
// itself, and one by a client that logs out.
func BenchmarkHandover(b *testing.B) {
	b.Run("kill -9", func(b *testing.B) { benchmarkHandover(b, (*cluster.Process).Kill, (*cluster.Process).Start) })
	b.Run("SIGSTOP", func(b *testing.B) { benchmarkHandover(b, (*cluster.Process).Pause, (*cluster.Process).Resume) })
}

func benchmarkHandover(b *testing.B, away, back func(*cluster.Process) error) {
	w := system(b)
	for b.Loop() {
		access, o := w.signIn(b, 2*handOvers), observe(b, w.Cluster)
		var silent, answered, applied []time.Duration
		repeats := 0
		for i, token := range access {
			active := w.rest(b)
			began := time.Now()
			if err := away(active); err != nil {
				b.Fatal(err)
			}
			if i%2 == 0 {
				r := w.revoke(b, sessionOf(b, token))
				silent = append(silent, w.everywhere(b, o, r).Sub(began))
			} else {
				l := w.logOut(b, o, w.URLs[i/2%len(w.URLs)], token)
				answered, applied, repeats = append(answered, l.answered), append(applied, l.applied), repeats+l.repeats
			}
			if n := w.accepted(b, token); n != 0 {
				b.Errorf("%d gateways accept a token of a revocation that they have applied", n)
			}
			if err := back(active); err != nil {
				b.Fatal(err)
			}
		}
		reportSeconds(b, "handover", silent)
		reportSeconds(b, "logout-answered", answered)
		reportSeconds(b, "logout-applied", applied)
		b.ReportMetric(float64(repeats), "logout-repeats")
	}
	b.ReportMetric(0, "ns/op") // of no meaning
}

// rest waits until all services are ready and just one auth-service numbers
// revocations, at two looks in a row, and gives that one.
func (w *clients) rest(tb testing.TB) *cluster.Process {
	tb.Helper()
	if err := w.Await(tb.Context()); err != nil {
		tb.Fatal(err)
	}
	var before *cluster.Process
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(300 * time.Millisecond) { // longer than between two heads
		var active []*cluster.Process
		for _, p := range w.Auths {
			if value, ok := w.metric(tb.Context(), p, "gatehouse_sequencer_active"); !ok || value > 0 {
				active = append(active, p)
			}
		}
		switch {
		case len(active) == 1 && active[0] == before:
			return before
		case len(active) == 1:
			before = active[0]
		default:
			before = nil
		}
		if time.Now().After(deadline) {
			tb.Fatalf("%d auth-services number revocations, want one", len(active))
		}
	}
}

// loggedOut is how a logout went, from the client's call on.
type loggedOut struct {
	answered, applied time.Duration
	repeats           int
}

// patience is how long a client waits for the answer to a logout before it
// tries again.
const patience = 2 * time.Second

// logOut logs out at a gateway, and repeats that until it is answered as done,
// as a client should. Nothing else may revoke meanwhile.
func (w *clients) logOut(tb testing.TB, o *observer, at, token string) loggedOut {
	tb.Helper()
	before, err := w.Truth(tb.Context())
	if err != nil {
		tb.Fatal(err)
	}
	var out loggedOut
	began := time.Now()
	w.until(tb, "the logout is answered as done", func() bool {
		ctx, cancel := context.WithTimeout(tb.Context(), patience)
		defer cancel()
		status, _ := w.call(ctx, request{method: "POST", url: at + "/auth/logout", token: token}, nil)
		if status == http.StatusNoContent || status == http.StatusUnauthorized && out.repeats > 0 {
			return true
		}
		out.repeats++
		return false
	})
	out.answered = time.Since(began)
	r := revoked{}
	r.epoch, r.number = w.numbered(tb, before.Last+1)
	out.applied = w.everywhere(tb, o, r).Sub(began)
	return out
}
