package nemesis

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"gatehouse.internal/deploy/standalone/internal/chaos/cluster"
)

// idle is a cluster that was never started.
func idle() *cluster.Cluster {
	process := func(name string) *cluster.Process { return &cluster.Process{Name: name} }
	c := &cluster.Cluster{Users: process("users"), Redis: process("redis")}
	for i := range 3 {
		c.Gateways = append(c.Gateways, process(cluster.Gateway(i)))
		c.Brokers = append(c.Brokers, process(cluster.Broker(i)))
	}
	for i := range 2 {
		c.Auths = append(c.Auths, process(cluster.Auth(i)))
	}
	return c
}

// steps are the names and times of the first steps of a seed.
func steps(seed uint64, n int) (names []string, times []int64) {
	plan := NewPlan(seed, Faults(idle()))
	for range n {
		s := plan.Next()
		for _, f := range s.Faults {
			names = append(names, f.Name)
		}
		times = append(times, int64(s.Last), int64(s.Rest))
	}
	return names, times
}

func TestPlan_the_same_seed_gives_the_same_faults(t *testing.T) {
	names, times := steps(7, 100)
	again, timesAgain := steps(7, 100)
	if diff := cmp.Diff(names, again) + cmp.Diff(times, timesAgain); diff != "" {
		t.Errorf("the second time:\n%s", diff)
	}
	if other, _ := steps(8, 100); cmp.Equal(names, other) {
		t.Error("another seed gives the same")
	}
}

func TestPlan_sooner_or_later_every_fault_comes_and_none_touches_another(t *testing.T) {
	faults := append(Faults(idle()), ofClocks(idle())...)
	together := map[int]bool{}
	seen := map[string]bool{}
	plan := NewPlan(1, faults)
	for range 3000 {
		s := plan.Next()
		together[len(s.Faults)] = true
		for i, a := range s.Faults {
			for _, b := range s.Faults[:i] {
				if overlap(a, b) {
					t.Fatalf("%s and %s break the same part", a.Name, b.Name)
				}
			}
		}
		for _, f := range s.Faults {
			seen[f.Name] = true
		}
		if s.Last < shortest || s.Last > longest || s.Rest > rest {
			t.Fatalf("a step of %v and %v", s.Last, s.Rest)
		}
	}
	if !together[1] || !together[2] || !together[3] || len(together) != 3 {
		t.Errorf("so many faults at once: %v", together)
	}
	names := map[string]bool{}
	for _, f := range faults {
		if names[f.Name] {
			t.Errorf("two faults are called %q", f.Name)
		}
		names[f.Name] = true
		if !seen[f.Name] {
			t.Errorf("never in 3000 steps: %s", f.Name)
		}
		if len(f.Uses) == 0 {
			t.Errorf("%s breaks nothing", f.Name)
		}
	}
}
