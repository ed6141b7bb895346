package chaos

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"gatehouse.internal/deploy/standalone/internal/chaos/cluster"
	"gatehouse.internal/deploy/standalone/internal/chaos/history"
	"gatehouse.internal/deploy/standalone/internal/chaos/nemesis"
)

// The short run, of "make test".
const (
	shortSeed     = 1
	shortDuration = 10 * time.Second
)

// seeds reads CHAOS_SEEDS, such as 1-20 or 3,7, and CHAOS_DURATION.
func seeds() ([]uint64, time.Duration, error) {
	text := os.Getenv("CHAOS_SEEDS")
	if text == "" {
		return []uint64{shortSeed}, shortDuration, nil
	}
	var out []uint64
	for part := range strings.SplitSeq(text, ",") {
		first, last, isRange := strings.Cut(part, "-")
		if !isRange {
			last = first
		}
		from, err := strconv.ParseUint(first, 10, 32)
		if err != nil {
			return nil, 0, fmt.Errorf("CHAOS_SEEDS: %q is no number", first)
		}
		to, err := strconv.ParseUint(last, 10, 32)
		if err != nil || to < from {
			return nil, 0, fmt.Errorf("CHAOS_SEEDS: %q does not end a range", last)
		}
		for seed := from; seed <= to; seed++ {
			out = append(out, seed)
		}
	}
	duration := 2 * time.Minute
	if text := os.Getenv("CHAOS_DURATION"); text != "" {
		var err error
		if duration, err = time.ParseDuration(text); err != nil {
			return nil, 0, fmt.Errorf("CHAOS_DURATION: %w", err)
		}
	}
	return out, duration, nil
}

func TestChaos_random_faults(t *testing.T) {
	all, duration, err := seeds()
	if err != nil {
		t.Fatal(err)
	}
	for _, seed := range all {
		t.Run(fmt.Sprintf("I1 I2 I5 I6 I10 I12 I13 seed %d", seed), func(t *testing.T) {
			b := &plain
			if long() {
				b = &skewable
			}
			c := startCluster(t, b)
			w := newWorld(t, c, seed)
			w.saveDisks()
			report := w.run(func() {
				ctx, cancel := context.WithTimeout(w.ctx, duration)
				defer cancel()
				nemesis.Run(ctx, nemesis.NewPlan(seed, nemesis.Faults(c)), w.recorder, w.Logf)
			})
			for _, kind := range history.Revocations() {
				if duration >= 2*time.Minute && report.ByKind[kind] == 0 {
					t.Errorf("no client has ever done: %s", kind)
				}
			}
		})
	}
}

// saveDisks copies what the brokers have on disk now, to be put back later.
func (w *world) saveDisks() {
	w.Helper()
	w.must(each(w.Brokers, kill)())
	for i := range w.Brokers {
		w.must(w.SaveStore(i))
	}
	w.must(each(w.Brokers, (*cluster.Process).Start)())
	w.must(w.Await(w.ctx))
}

func TestSeeds(t *testing.T) {
	for _, c := range []struct {
		seeds, duration string
		want            int
		last            time.Duration
		bad             bool
	}{
		{"", "", 1, shortDuration, false},
		{"1-20", "", 20, 2 * time.Minute, false},
		{"3,7,9-10", "10m", 4, 10 * time.Minute, false},
		{"x", "", 0, 0, true},
		{"5-3", "", 0, 0, true},
		{"1", "soon", 0, 0, true},
	} {
		t.Run(c.seeds+" "+c.duration, func(t *testing.T) {
			t.Setenv("CHAOS_SEEDS", c.seeds)
			t.Setenv("CHAOS_DURATION", c.duration)
			got, last, err := seeds()
			if len(got) != c.want || last != c.last || (err != nil) != c.bad {
				t.Errorf("%v, %v, %v", got, last, err)
			}
		})
	}
}
