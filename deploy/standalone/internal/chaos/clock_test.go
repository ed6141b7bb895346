package chaos

import (
	"testing"
	"time"

	"gatehouse.internal/deploy/standalone/internal/chaos/cluster"
)

// clockFaults are wall clocks that go wrong. A token whose iat lies in a
// gateway's future by more than the leeway is refused, as RFC 7519 has it: where
// that must happen I6 is left out.
func clockFaults() []scenario {
	const wrong = 5 * time.Minute
	set := func(w *world, by time.Duration, ps ...*cluster.Process) func() error {
		return each(ps, func(p *cluster.Process) error { return w.SetClock(p, by) })
	}
	return []scenario{
		{name: "F33 I1 I5 I6: a gateway is five minutes ahead", run: func(w *world) {
			w.fault("gateway-1 is ahead", fault{begin: set(w, wrong, w.Gateways[0]), last: 2 * enough})
			w.must(set(w, 0, w.Gateways[0])())
		}},
		{name: "F33 I1 I5 I12: the clock of a gateway goes back and forth", run: func(w *world) {
			for range 3 {
				w.fault("gateway-1 is ahead", fault{begin: set(w, wrong, w.Gateways[0]), end: set(w, 0, w.Gateways[0]), last: 2500 * time.Millisecond})
				w.wait(enough)
			}
		}},
		{name: "F33 I1 I5: a gateway is five minutes behind", without: []string{"I6"}, run: func(w *world) {
			w.fault("gateway-1 is behind", fault{begin: set(w, -wrong, w.Gateways[0]), end: set(w, 0, w.Gateways[0]), last: 2 * enough})
		}},
		{name: "F33 I1 I5: an auth-service is five minutes ahead", without: []string{"I6"}, run: func(w *world) {
			w.fault("auth-1 is ahead", fault{begin: set(w, wrong, w.Auths[0]), end: set(w, 0, w.Auths[0]), last: 2 * enough})
		}},
		{name: "F33 I1 I5 I6: an auth-service is five minutes behind", run: func(w *world) {
			w.fault("auth-1 is behind", fault{begin: set(w, -wrong, w.Auths[0]), end: set(w, 0, w.Auths[0]), last: 2 * enough})
		}},
		{name: "F33 I1 I5 I6: clocks differ by as much as the leeway", run: func(w *world) {
			const leeway = 25 * time.Second
			w.fault("clocks differ", fault{
				begin: together(set(w, leeway, w.Auths[0], w.Gateways[0]), set(w, -leeway/25, w.Auths[1], w.Gateways[1])),
				end:   set(w, 0, w.Auths[0], w.Auths[1], w.Gateways[0], w.Gateways[1]), last: 2 * enough,
			})
		}},
	}
}

func TestChaos_wrong_clocks(t *testing.T) {
	if !long() {
		t.Skip("it belongs to make chaos: the standard library is compiled anew for it")
	}
	c := startCluster(t, &skewable)
	for i, s := range clockFaults() {
		t.Run(s.name, func(t *testing.T) {
			w := newWorld(t, c, uint64(i)) //nolint:gosec // small
			s.play(w)
		})
	}
}
