package lifecycle_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse.internal/shared/lifecycle"
)

// diary keeps what the parts did, in order.
type diary struct {
	mu      sync.Mutex
	entries []string
}

func (d *diary) note(entry string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.entries = append(d.entries, entry)
}

// part runs until told to stop, takes a while for that, and ends with err.
func (d *diary) part(name string, takes time.Duration, err error) lifecycle.Part {
	return lifecycle.Part{Name: name, Run: func(ctx context.Context) error {
		<-ctx.Done()
		d.note(name + " stopping")
		<-time.After(takes)
		d.note(name + " stopped")
		return err
	}}
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// run starts the parts in a bubble of virtual time and stops them after a second.
func run(t *testing.T, check func(err error, elapsed time.Duration), parts ...lifecycle.Part) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err := lifecycle.Run(ctx, quiet(), parts...)
		check(err, time.Since(start))
	})
}

func TestRun_stops_the_parts_one_by_one_in_reverse_order(t *testing.T) {
	var d diary
	parts := []lifecycle.Part{d.part("store", time.Second, nil), d.part("bus", time.Second, nil), d.part("http", time.Second, nil)}
	run(t, func(err error, elapsed time.Duration) {
		if err != nil {
			t.Errorf("Run: %v", err)
		}
		if elapsed != 4*time.Second {
			t.Errorf("stopping took until %v, want 4s: one second of life and three of stopping", elapsed)
		}
	}, parts...)
	want := []string{"http stopping", "http stopped", "bus stopping", "bus stopped", "store stopping", "store stopped"}
	if !slices.Equal(d.entries, want) {
		t.Errorf("got %q, want %q", d.entries, want)
	}
}

func TestRun_a_part_that_fails_stops_the_others(t *testing.T) {
	var d diary
	broken := errors.New("address taken")
	failing := lifecycle.Part{Name: "http", Run: func(context.Context) error { return broken }}
	run(t, func(err error, elapsed time.Duration) {
		if !errors.Is(err, broken) || err.Error() != "http: address taken" {
			t.Errorf("got %v, want http: address taken", err)
		}
		if elapsed != 0 {
			t.Errorf("the others were stopped after %v, want at once", elapsed)
		}
	}, d.part("store", 0, nil), failing, d.part("bus", 0, nil))
	if want := []string{"bus stopping", "bus stopped", "store stopping", "store stopped"}; !slices.Equal(d.entries, want) {
		t.Errorf("got %q, want %q", d.entries, want)
	}
}

func TestRun_a_part_that_ends_too_early_is_a_failure_even_without_an_error(t *testing.T) {
	run(t, func(err error, _ time.Duration) {
		if err == nil || err.Error() != "watch: ended without being asked to" {
			t.Errorf("got %v", err)
		}
	}, lifecycle.Part{Name: "watch", Run: func(context.Context) error { return nil }})
}

func TestRun_failures_are_joined(t *testing.T) {
	var d diary
	run(t, func(err error, _ time.Duration) {
		if err == nil || err.Error() != "bus: no flush\nstore: disk full" {
			t.Errorf("got %v", err)
		}
	}, d.part("store", 0, errors.New("disk full")), d.part("http", 0, nil), d.part("bus", 0, errors.New("no flush")))
}

func TestRun_a_part_that_says_its_context_ended_has_stopped_well(t *testing.T) {
	var d diary
	run(t, func(err error, _ time.Duration) {
		if err != nil {
			t.Errorf("Run: %v", err)
		}
	}, d.part("consumer", 0, fmt.Errorf("fetch: %w", context.Canceled)))
}

func TestRun_does_not_wait_for_ever(t *testing.T) {
	for _, c := range []struct {
		name  string
		limit time.Duration
		want  time.Duration
	}{
		{"the bound of the part counts", 3 * time.Second, 3 * time.Second},
		{"there is a bound if the part says nothing", 0, lifecycle.DefaultStopTimeout},
	} {
		t.Run(c.name, func(t *testing.T) {
			var d diary
			stuck := d.part("stuck", time.Minute, nil)
			stuck.StopTimeout = c.limit
			run(t, func(err error, elapsed time.Duration) {
				if err == nil || !strings.Contains(err.Error(), "stuck: did not stop within "+c.want.String()) {
					t.Errorf("got %v", err)
				}
				if elapsed != time.Second+c.want {
					t.Errorf("it took %v, want %v", elapsed, time.Second+c.want)
				}
				<-time.After(time.Hour) // virtual: lets the stuck part end inside the bubble
				d.mu.Lock()
				defer d.mu.Unlock()
				if want := []string{"stuck stopping", "store stopping", "store stopped", "stuck stopped"}; !slices.Equal(d.entries, want) {
					t.Errorf("got %q, want %q: the parts below must still be stopped", d.entries, want)
				}
			}, d.part("store", 0, nil), stuck)
		})
	}
}

type key struct{}

func TestRun_parts_see_the_values_of_the_context_but_not_its_end(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(context.WithValue(t.Context(), key{}, "value"))
		var valueSeen, liveWhileDraining bool
		store := lifecycle.Part{Name: "store", Run: func(ctx context.Context) error {
			valueSeen = ctx.Value(key{}) == "value"
			<-ctx.Done()
			return nil
		}}
		var storeCtx context.Context
		below := lifecycle.Part{Name: "below", Run: func(ctx context.Context) error {
			storeCtx = ctx
			return store.Run(ctx)
		}}
		http := lifecycle.Part{Name: "http", Run: func(ctx context.Context) error {
			<-ctx.Done()
			<-time.After(time.Second)
			liveWhileDraining = storeCtx.Err() == nil
			return nil
		}}
		go func() {
			synctest.Wait()
			cancel()
		}()
		if err := lifecycle.Run(ctx, quiet(), below, http); err != nil {
			t.Errorf("Run: %v", err)
		}
		if !valueSeen || !liveWhileDraining {
			t.Errorf("value seen: %v, lower part alive while the upper one drains: %v", valueSeen, liveWhileDraining)
		}
	})
}

func ExampleRun() {
	ctx, stop := context.WithCancel(context.Background())
	worker := lifecycle.Part{Name: "worker", Run: func(ctx context.Context) error {
		fmt.Println("working")
		stop() // as a signal would
		<-ctx.Done()
		fmt.Println("worker done")
		return nil
	}}
	err := lifecycle.Run(ctx, slog.New(slog.DiscardHandler), worker)
	fmt.Println("error:", err)
	// Output:
	// working
	// worker done
	// error: <nil>
}
