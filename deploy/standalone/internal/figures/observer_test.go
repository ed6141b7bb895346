package figures

import (
	"encoding/json"
	"sync"
	"testing"
	"time"

	"gatehouse.internal/deploy/standalone/internal/chaos/cluster"
	"gatehouse.internal/shared/bus"
	"gatehouse.internal/shared/contract"
)

// observer notes what each gateway reported, and when.
type observer struct {
	mu    sync.Mutex
	steps map[string][]step // by node, in the order in which they came
}

// step is a report and when it came.
type step struct {
	contract.Report
	at time.Time
}

// proves is true if the node knew every revocation that was committed before
// the moment, and this number with them.
func (s *step) proves(epoch, number uint64, moment time.Time) bool {
	age := time.Duration(s.AgeMillis * float64(time.Millisecond))
	return s.Epoch == epoch && s.Applied >= number && age >= 0 && s.at.Add(-age).After(moment)
}

// observe listens until the test ends.
func observe(tb testing.TB, c *cluster.Cluster) *observer {
	tb.Helper()
	b, err := c.Bus(tb.Context())
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(b.Close)
	o := &observer{steps: map[string][]step{}}
	if _, err := b.Subscribe(b.Subjects().Reports(), func(m bus.Message) { o.take(m.Data, time.Now()) }); err != nil {
		tb.Fatal(err)
	}
	return o
}

func (o *observer) take(data []byte, at time.Time) {
	var r contract.Report
	if json.Unmarshal(data, &r) != nil {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.steps[r.Node] = append(o.steps[r.Node], step{r, at})
}

// last gives when the last of so many nodes had applied the number, and which
// one it was; false if one of them has not.
func (o *observer) last(nodes int, epoch, number uint64) (at time.Time, node string, ok bool) {
	return o.lastTo(nodes, func(s *step) bool { return s.Epoch == epoch && s.Applied >= number })
}

// lastTo gives when the last of so many nodes had come to what is asked for.
func (o *observer) lastTo(nodes int, there func(*step) bool) (at time.Time, node string, ok bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	found := 0
	for name, steps := range o.steps {
		for i := range steps {
			if s := &steps[i]; there(s) {
				found++
				if s.at.After(at) {
					at, node = s.at, name
				}
				break
			}
		}
	}
	return at, node, found == nodes
}

// first gives when a node first reported a number as applied.
func (o *observer) first(node string, epoch, number uint64) (at time.Time, ok bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for i := range o.steps[node] {
		if s := &o.steps[node][i]; s.Epoch == epoch && s.Applied >= number {
			return s.at, true
		}
	}
	return time.Time{}, false
}

// since gives the reports that came after a moment.
func (o *observer) since(moment time.Time) []step {
	o.mu.Lock()
	defer o.mu.Unlock()
	var out []step
	for _, steps := range o.steps {
		for i := range steps {
			if steps[i].at.After(moment) {
				out = append(out, steps[i])
			}
		}
	}
	return out
}

func TestObserver(t *testing.T) {
	o, began := &observer{steps: map[string][]step{}}, time.Now()
	for i, r := range []contract.Report{
		{Node: "a", Epoch: 1, Applied: 5}, {Node: "b", Epoch: 1, Applied: 4}, {Node: "a", Epoch: 1, Applied: 5}, {Node: "b", Epoch: 1, Applied: 9},
	} {
		data, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		o.take(data, began.Add(time.Duration(i)*time.Second))
	}
	if at, node, ok := o.last(2, 1, 5); !ok || node != "b" || at.Sub(began) != 3*time.Second {
		t.Errorf("number 5: %v %s %v, want 3s after the first report, on b", at.Sub(began), node, ok)
	}
	if at, node, ok := o.last(2, 1, 4); !ok || node != "b" || at.Sub(began) != time.Second {
		t.Errorf("number 4: %v %s %v, want 1s after the first report, on b", at.Sub(began), node, ok)
	}
	for _, want := range []struct {
		nodes         int
		epoch, number uint64
	}{{2, 1, 6}, {3, 1, 4}, {2, 2, 4}} {
		if _, _, ok := o.last(want.nodes, want.epoch, want.number); ok {
			t.Errorf("%+v is said to be applied", want)
		}
	}
}

func TestObserver_tells_as_of_when_a_view_was_complete(t *testing.T) {
	at := time.Now()
	s := step{contract.Report{Epoch: 1, Applied: 7, AgeMillis: 300}, at}
	if !s.proves(1, 7, at.Add(-301*time.Millisecond)) {
		t.Error("a view 300 ms old does not prove what was committed 301 ms ago")
	}
	unknown := s
	unknown.AgeMillis = -1
	for what, proven := range map[string]bool{
		"299 ms ago":     s.proves(1, 7, at.Add(-299*time.Millisecond)),
		"the next one":   s.proves(1, 8, at.Add(-time.Second)),
		"another epoch":  s.proves(2, 7, at.Add(-time.Second)),
		"never complete": unknown.proves(1, 7, at.Add(-time.Second)),
	} {
		if proven {
			t.Errorf("%s is said to be proven by a view 300 ms old", what)
		}
	}
}
