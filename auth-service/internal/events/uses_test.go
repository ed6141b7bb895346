package events_test

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse.internal/shared/contract"
)

// seenBook notes uses.
type seenBook struct {
	mu  sync.Mutex
	ids []string
	at  time.Time
}

func (b *seenBook) SessionsSeen(_ context.Context, ids []string, at time.Time) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ids, b.at = append(b.ids, ids...), at
	return nil
}

func TestWatchUses_notesEachBatchOnceAndRefusesTooMuch(t *testing.T) {
	p := newParts(t)
	book, at := &seenBook{}, time.Date(2026, 3, 29, 1, 0, 0, 0, time.UTC)
	ctx, stop := context.WithCancel(t.Context())
	var replicas sync.WaitGroup
	for range 2 {
		replicas.Go(func() {
			if err := p.WatchUses(ctx, book, func() time.Time { return at }); err != nil {
				t.Errorf("watch: %v", err)
			}
		})
	}
	defer replicas.Wait()
	defer stop()
	tell := func(message any) error {
		data, err := json.Marshal(message)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		for { // until a replica listens
			if _, err = p.bus.Request(ctx, p.bus.Subjects().SessionUses(), data); err == nil || ctx.Err() != nil || !strings.Contains(err.Error(), "responders") {
				return err
			}
		}
	}
	if err := tell(contract.SessionUses{Sessions: []string{"a", "b"}}); err != nil {
		t.Fatal(err)
	}
	for what, bad := range map[string]any{
		"too many": contract.SessionUses{Sessions: slices.Repeat([]string{"x"}, contract.MaxSessionUses+1)},
		"too long": contract.SessionUses{Sessions: []string{strings.Repeat("x", 100)}}, "no message": "x",
	} {
		if err := tell(bad); err == nil {
			t.Errorf("%s is accepted", what)
		}
	}
	book.mu.Lock()
	defer book.mu.Unlock()
	if !slices.Equal(book.ids, []string{"a", "b"}) || !book.at.Equal(at) {
		t.Errorf("noted %q at %v", book.ids, book.at)
	}
}
