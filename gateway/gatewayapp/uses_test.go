package gatewayapp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse.internal/shared/contract"
)

// told is an auth-service that hears of uses.
type told struct {
	mu      sync.Mutex
	batches [][]string
	err     error
}

func (a *told) tell(_ context.Context, payload []byte) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	var m contract.SessionUses
	if err := json.Unmarshal(payload, &m); err != nil {
		return err
	}
	a.batches = append(a.batches, m.Sessions)
	return a.err
}

func (a *told) all() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	all := slices.Concat(a.batches...)
	slices.Sort(all)
	a.batches = nil
	return all
}

func TestUses_areToldInBatchesAndOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		auth := &told{}
		u := newUses(auth.tell, slog.New(slog.DiscardHandler))
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- u.run(ctx) }()
		for range 3 {
			u.note("b1")
			u.note("a0")
			u.note("")
		}
		time.Sleep(useInterval + time.Second) // of the bubble's clock
		if got := auth.all(); !slices.Equal(got, []string{"a0", "b1"}) {
			t.Errorf("told %q", got)
		}
		time.Sleep(useInterval)
		if got := auth.all(); len(got) != 0 {
			t.Errorf("told again %q", got)
		}
		u.note("c2")
		stop()
		if err := <-done; err != nil || !slices.Equal(auth.all(), []string{"c2"}) {
			t.Errorf("the last uses were not told before the stop (%v)", err)
		}
	})
}

func TestUses_areBoundedAndForgottenWhereNobodyHears(t *testing.T) {
	auth := &told{}
	u := newUses(auth.tell, slog.New(slog.DiscardHandler))
	const many = 2 * useShards * usesPerShard
	for i := range many {
		u.note(fmt.Sprintf("%07d%x", i, i%16))
	}
	u.flush(t.Context())
	for _, batch := range auth.batches {
		if len(batch) > contract.MaxSessionUses {
			t.Fatalf("a batch of %d", len(batch))
		}
	}
	if n := len(auth.all()); n == 0 || n > useShards*usesPerShard {
		t.Errorf("%d sessions were remembered, want %d at most", n, useShards*usesPerShard)
	}
	auth.err = errors.New("away")
	u.note("a1")
	u.flush(t.Context())
	auth.err = nil
	u.flush(t.Context())
	if got := auth.all(); !slices.Equal(got, []string{"a1"}) {
		t.Errorf("told %q: what failed was told again", got)
	}
	if n := testing.AllocsPerRun(100, func() { u.note("known"[:5]) }); n > 0 {
		t.Errorf("noting a known session costs %v allocations", n)
	}
}
