package embedded_test

import (
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"gatehouse.internal/shared/bus"
	"gatehouse.internal/shared/embedded"
)

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

// eventually waits for a condition, with a deadline.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-deadline:
			t.Fatalf("not within 20 s: %s", what)
		case <-tick.C:
		}
	}
}

func TestSQLite_isRegistered(t *testing.T) {
	if !slices.Contains(sql.Drivers(), "sqlite") {
		t.Errorf("drivers are %v", sql.Drivers())
	}
}

func TestNATS_keepsItsStreamsOverARestart(t *testing.T) {
	dir := t.TempDir()
	first := startNATS(t, dir, 0)
	if !strings.HasPrefix(first.URL(), "nats://127.0.0.1:") {
		t.Errorf("URL is %s", first.URL())
	}
	_, portText, err := net.SplitHostPort(strings.TrimPrefix(first.URL(), "nats://"))
	if err != nil {
		t.Fatal(err)
	}
	port, err := net.LookupPort("tcp", portText)
	if err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	b := connect(t, first.URL())
	if err := b.EnsureStream(ctx, bus.Stream{Name: "S", Subjects: []string{"s"}}); err != nil {
		t.Fatal(err)
	}
	if err := b.Store(ctx, "s", "1", []byte("kept")); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := first.Close(); err != nil {
			t.Fatal(err)
		}
	}
	second := startNATS(t, dir, port)
	if second.URL() != first.URL() {
		t.Errorf("URL is %s, was %s", second.URL(), first.URL())
	}
	eventually(t, "the client is back", func() bool { return b.Ready(ctx) == nil })
	eventually(t, "the message is there", func() bool {
		data, there, err := b.LastInStream(ctx, "S", "s")
		return err == nil && there && string(data) == "kept"
	})
}

func startNATS(t *testing.T, dir string, port int) *embedded.NATS {
	t.Helper()
	n, err := embedded.StartNATS(dir, port)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	})
	return n
}

func connect(t *testing.T, url string) *bus.Bus {
	t.Helper()
	b, err := bus.Connect(bus.Config{URL: url}, discard())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	eventually(t, "the bus is ready", func() bool { return b.Ready(context.Background()) == nil })
	return b
}

func TestStartNATS_refusals(t *testing.T) {
	if n, err := embedded.StartNATS("", 0); err == nil {
		t.Errorf("started without a directory: %v", n.Close())
	}
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	if n, err := embedded.StartNATS(t.TempDir(), taken.Addr().(*net.TCPAddr).Port); err == nil {
		t.Errorf("started on a port that is taken: %v", n.Close())
	}
}

func TestRedis_keysExpireWithTheClock(t *testing.T) {
	server, err := embedded.StartRedis()
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		for range 2 {
			if err := server.Close(); err != nil {
				t.Error(err)
			}
		}
	}()
	options, err := redis.ParseURL(server.URL())
	if err != nil {
		t.Fatal(err)
	}
	client := redis.NewClient(options)
	defer func() { _ = client.Close() }()
	ctx := t.Context()
	began := time.Now()
	if err := client.Set(ctx, "short", "x", 300*time.Millisecond).Err(); err != nil {
		t.Fatal(err)
	}
	if err := client.Set(ctx, "long", "x", time.Hour).Err(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the short one is gone", func() bool { return client.Exists(ctx, "short").Val() == 0 })
	if took := time.Since(began); took < 200*time.Millisecond {
		t.Errorf("gone after %s", took)
	}
	if left := client.PTTL(ctx, "long").Val(); left > time.Hour-200*time.Millisecond || left < time.Hour-time.Minute {
		t.Errorf("the long one has %s left", left)
	}
	// Scripts, as the rate limiter and the sequencer use them.
	seconds, err := client.Eval(ctx, "return redis.call('TIME')[1]", nil).Int64()
	if err != nil || time.Since(time.Unix(seconds, 0)).Abs() > time.Minute {
		t.Errorf("the server's time is %d, %v", seconds, err)
	}
}

// A command must not cost more because there are many keys that will expire.
func BenchmarkRedis_getAmong100kExpiringKeys(b *testing.B) {
	server, err := embedded.StartRedis()
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = server.Close() }()
	options, err := redis.ParseURL(server.URL())
	if err != nil {
		b.Fatal(err)
	}
	client := redis.NewClient(options)
	defer func() { _ = client.Close() }()
	ctx := b.Context()
	var fill sync.WaitGroup
	for part := range 10 {
		fill.Go(func() {
			script := "for i = 1, 10000 do redis.call('SET', 'k' .. ARGV[1] .. ':' .. i, 'x', 'EX', 900) end"
			if err := client.Eval(ctx, script, nil, part).Err(); err != nil && !errors.Is(err, redis.Nil) {
				b.Error(err)
			}
		})
	}
	fill.Wait()
	for b.Loop() {
		if err := client.Get(ctx, "k0:1").Err(); err != nil {
			b.Fatal(err)
		}
	}
}
