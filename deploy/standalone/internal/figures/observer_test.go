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

// observer notes when each gateway reported how far it has come.
type observer struct {
	mu    sync.Mutex
	steps map[string][]step // by node, in the order in which they came
}

// step is the first report of a number.
type step struct {
	epoch, applied uint64
	at             time.Time
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
	known := o.steps[r.Node]
	if n := len(known); n > 0 && known[n-1].epoch == r.Epoch && known[n-1].applied >= r.Applied {
		return
	}
	o.steps[r.Node] = append(known, step{r.Epoch, r.Applied, at})
}

// last gives when the last of so many nodes had applied the number, and which
// one it was; false if one of them has not.
func (o *observer) last(nodes int, epoch, number uint64) (at time.Time, node string, ok bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	found := 0
	for name, steps := range o.steps {
		for _, s := range steps {
			if s.epoch == epoch && s.applied >= number {
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
