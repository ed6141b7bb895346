package chaos

import (
	"fmt"
	"os"
	"testing"
	"time"

	"gatehouse.internal/deploy/standalone/internal/chaos/checker"
	"gatehouse.internal/deploy/standalone/internal/chaos/cluster"
	"gatehouse.internal/deploy/standalone/internal/chaos/faultproxy"
)

// scenario is a named fault. Those that are short belong to "make test".
type scenario struct {
	name    string
	short   bool
	run     func(w *world)
	without []string                             // rules that do not hold in it, as the name or a comment says
	after   func(t *testing.T, r checker.Report) // what must have happened, or nil
}

// play runs the scenario.
func (s *scenario) play(w *world) {
	report := w.run(func() { s.run(w) }, s.without...)
	if s.after != nil {
		s.after(w.T, report)
	}
}

// ended wants some WebSockets to have been closed with a status.
func ended(status int) func(t *testing.T, r checker.Report) {
	return func(t *testing.T, r checker.Report) {
		t.Helper()
		if r.LiveEnds[fmt.Sprintf("socket_%d", status)] == 0 {
			t.Errorf("I13: no WebSocket was closed with %d: %v", status, r.LiveEnds)
		}
	}
}

// long tells whether all is to be run, and not only what belongs to "make test".
func long() bool { return os.Getenv("CHAOS_SEEDS") != "" }

func TestChaos_named_faults(t *testing.T) {
	c := startCluster(t, &plain)
	for i, s := range scenarios() {
		if !s.short && !long() {
			continue // not skipped: nothing is missing
		}
		t.Run(s.name, func(t *testing.T) {
			w := newWorld(t, c, uint64(i)) //nolint:gosec // small
			s.play(w)
		})
	}
}

// together does several things one after another.
func together(all ...func() error) func() error {
	return func() error {
		for _, do := range all {
			if err := do(); err != nil {
				return err
			}
		}
		return nil
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

// everybody is all gateways.
var everybody = []int{0, 1, 2}

// enough is long enough for the shortest bound, of 2 s, to pass and to show.
const enough = 4 * time.Second

// scenarios are all named faults, in the order of their numbers.
func scenarios() []scenario {
	var out []scenario
	for _, list := range [][]scenario{gatewayFaults(), authFaults(), brokerFaults(), messageFaults(), redisFaults(), databaseFaults(), fullFaults(), systemFaults()} {
		out = append(out, list...)
	}
	return out
}
