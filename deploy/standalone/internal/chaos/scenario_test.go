package chaos

import (
	"os"
	"testing"
	"time"

	"gatehouse.internal/deploy/standalone/internal/chaos/cluster"
	"gatehouse.internal/deploy/standalone/internal/chaos/faultproxy"
)

// scenario is a named fault. Those that are short belong to "make test".
type scenario struct {
	name    string
	short   bool
	run     func(w *world)
	without []string // rules that do not hold in it, as the name or a comment says
}

// long tells whether all is to be run, and not only what belongs to "make test".
func long() bool { return os.Getenv("CHAOS_SEEDS") != "" }

func TestChaos_named_faults(t *testing.T) {
	c := startCluster(t)
	for i, s := range scenarios() {
		t.Run(s.name, func(t *testing.T) {
			if !s.short && !long() {
				t.Skip("it belongs to make chaos")
			}
			w := newWorld(t, c, uint64(i)) //nolint:gosec // small
			w.run(func() { s.run(w) }, s.without...)
		})
	}
}

// links breaks the links from one part to some others.
func (w *world) links(from string, to []string, breakOne func(*faultproxy.Link)) func() error {
	return func() error {
		for _, name := range to {
			breakOne(w.Link(from, name))
		}
		return nil
	}
}

func heal(l *faultproxy.Link) { l.Heal() }

func cut(l *faultproxy.Link) { l.Cut() }

func swallow(l *faultproxy.Link) { l.Stall(faultproxy.Both) }

func deafen(l *faultproxy.Link) { l.Stall(faultproxy.Down) }

func (w *world) brokerNames() []string {
	var out []string
	for _, p := range w.Brokers {
		out = append(out, p.Name)
	}
	return out
}

// each does the same to several processes.
func each(ps []*cluster.Process, do func(*cluster.Process) error) func() error {
	return func() error {
		for _, p := range ps {
			if err := do(p); err != nil {
				return err
			}
		}
		return nil
	}
}

func kill(p *cluster.Process) error { return p.Kill() }

func start(p *cluster.Process) error { return p.Start() }

func pause(p *cluster.Process) error { return p.Pause() }

func resume(p *cluster.Process) error { return p.Resume() }

var everybody = []int{0, 1, 2}

func scenarios() []scenario {
	return []scenario{
		{name: "I1 I5 I6 I10: without faults", short: true, run: func(w *world) { w.wait(4 * time.Second) }},
		{name: "F7 I1 I2 I5: a gateway cut off from NATS and Redis says that it does not know", short: true, run: func(w *world) {
			w.fault("gateway-1 is cut off", fault{
				begin: w.links("gateway-1", append(w.brokerNames(), "redis"), cut), end: w.links("gateway-1", append(w.brokerNames(), "redis"), heal),
				blind: []int{0}, last: 4 * time.Second,
			})
		}},
		{name: "F30 I1 I2: a gateway that was stopped does not trust what it knew", short: true, run: func(w *world) {
			w.fault("gateway-2 is stopped", fault{
				begin: w.Gateways[1].Pause, end: w.Gateways[1].Resume, last: 4 * time.Second,
			})
			w.wait(time.Second)
		}},
		{name: "F25 F27 I1 I3: auth-services are killed and stopped, one after another", short: true, run: func(w *world) {
			w.fault("auth-1 is killed", fault{begin: w.Auths[0].Kill, end: w.Auths[0].Start, last: 3 * time.Second})
			w.fault("auth-2 is stopped", fault{begin: w.Auths[1].Pause, end: w.Auths[1].Resume, last: 3 * time.Second})
		}},
	}
}
