package bus_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"gatehouse.internal/shared/bus"
	"gatehouse.internal/shared/embedded/testenv"
)

// connect gives a bus that is closed after the test.
func connect(t testing.TB, url, prefix string) *bus.Bus {
	t.Helper()
	b, err := bus.Connect(bus.Config{URL: url, Prefix: prefix, Name: t.Name()}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	eventually(t, "the bus is ready", func() bool { return b.Ready(t.Context()) == nil })
	return b
}

// eventually waits for a condition, with a deadline.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-deadline:
			t.Fatalf("not within 20 s: %s", what)
		case <-tick.C:
		}
	}
}

func TestStoreAndReplay(t *testing.T) {
	testenv.EachNATS(t, func(t *testing.T, url, prefix string) {
		b := connect(t, url, prefix)
		ctx := context.Background()
		stream := bus.Stream{Name: b.Subjects().AccountStream(), Subjects: []string{b.Subjects().Accounts()}}
		if err := b.EnsureStream(ctx, stream); err != nil {
			t.Fatal(err)
		}
		if err := b.Store(ctx, b.Subjects().Account("account.registered"), "1", []byte("one")); err != nil {
			t.Fatal(err)
		}
		var got []string
		if err := b.Replay(ctx, stream.Name, func(data []byte) error {
			got = append(got, string(data))
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		if len(got) != 1 || got[0] != "one" {
			t.Errorf("replayed %q", got)
		}
	})
}
