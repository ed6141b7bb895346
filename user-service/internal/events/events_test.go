package events

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gatehouse.internal/shared/bus"
	"gatehouse.internal/shared/contract"
	"gatehouse.internal/shared/embedded/testenv"
	"gatehouse.internal/shared/fault"
	"gatehouse.internal/user-service/internal/user"
	"gatehouse.internal/user-service/internal/user/usertest"
)

// broker is a connection, and what an auth-service does with it.
type broker struct {
	t *testing.T
	*bus.Bus
}

func connect(t *testing.T, url, prefix string) *broker {
	t.Helper()
	b, err := bus.Connect(bus.Config{URL: url, Prefix: prefix, Name: "test"}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	until(t, "the broker is connected", func() bool { return b.Ready(t.Context()) == nil })
	return &broker{t, b}
}

// makeStream makes the stream of account events.
func (b *broker) makeStream() {
	b.t.Helper()
	s := b.Subjects()
	if err := b.EnsureStream(b.t.Context(), bus.Stream{Name: s.AccountStream(), Subjects: []string{s.Accounts()}}); err != nil {
		b.t.Fatal(err)
	}
}

// send stores an event in the stream.
func (b *broker) send(e contract.Event) {
	b.t.Helper()
	data, err := json.Marshal(e)
	if err != nil {
		b.t.Fatal(err)
	}
	b.sendRaw(e.Type, data)
}

func (b *broker) sendRaw(eventType string, data []byte) {
	b.t.Helper()
	if err := b.Store(b.t.Context(), b.Subjects().Account(eventType), "", data); err != nil {
		b.t.Fatal(err)
	}
}

// consume runs a consumer over a store until the returned function is called.
func (b *broker) consume(store user.Store, installation string) (stop func()) {
	b.t.Helper()
	ctx, cancel := context.WithCancel(b.t.Context())
	c := &Consumer{Bus: b.Bus, Users: &user.Service{Store: store, Now: time.Now}, Installation: installation}
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			b.t.Errorf("Run: %v", err)
		}
	}
	b.t.Cleanup(stop)
	until(b.t, "the consumer follows", func() bool { return c.Ready(ctx) == nil })
	return stop
}

// until waits for a condition, and fails the test when it does not come true.
func until(t *testing.T, what string, met func() bool) {
	t.Helper()
	deadline := time.After(10 * time.Second)
	for !met() {
		select {
		case <-deadline:
			t.Fatalf("in vain: %s", what)
		case <-time.After(time.Millisecond):
		}
	}
}

// event makes a good event of the nth account.
func event(n int, version int64, eventType string) contract.Event {
	return contract.Event{
		SpecVersion: "1.0", ID: fmt.Sprintf("%s-%d", usertest.ID(n), version), Source: "auth-service", Type: eventType,
		Subject: usertest.ID(n), Time: usertest.At.Add(time.Duration(version) * time.Minute), DataContentType: "application/json",
		Data: contract.Account{
			ID: usertest.ID(n), Version: version, Email: fmt.Sprintf("v%d@example.com", version), Roles: []string{"user"},
			Status: contract.StatusActive, CreatedAt: usertest.At,
		},
	}
}

func TestConsumer(t *testing.T) {
	testenv.EachNATS(t, func(t *testing.T, url, prefix string) {
		b := connect(t, url, prefix)
		b.makeStream()
		var store usertest.Memory
		stop := b.consume(&store, "one")

		t.Run("an event is visible within milliseconds", func(t *testing.T) {
			worst := time.Duration(0)
			for n := 1; n <= 20; n++ {
				start := time.Now()
				b.send(event(n, 1, contract.AccountRegistered))
				until(t, "the event is applied", func() bool { _, err := store.Find(t.Context(), usertest.ID(n)); return err == nil })
				worst = max(worst, time.Since(start))
			}
			if t.Logf("worst of 20: %v", worst); worst > time.Second {
				t.Errorf("it took %v", worst)
			}
		})
		t.Run("what came while it was away is not lost", func(t *testing.T) {
			stop()
			b.send(event(1, 2, contract.AccountEmailChanged))
			stop = b.consume(&store, "one")
			until(t, "the event is applied", func() bool { return store.Records()[usertest.ID(1)].Version == 2 })
		})
		t.Run("a new database is filled from the oldest event", func(t *testing.T) {
			var fresh usertest.Memory
			b.consume(&fresh, "two")
			until(t, "all events are applied", func() bool { return cmp.Equal(fresh.Records(), store.Records()) })
		})
		t.Run("a stream that is made anew is followed from its start", func(t *testing.T) {
			if err := b.DeleteStream(t.Context(), b.Subjects().AccountStream()); err != nil {
				t.Fatal(err)
			}
			b.makeStream()
			b.send(event(1, 3, contract.AccountEmailChanged))
			until(t, "the event is applied", func() bool { return store.Records()[usertest.ID(1)].Version == 3 })
		})
	})
}

func TestConsumer_poison(t *testing.T) {
	testenv.EachNATS(t, func(t *testing.T, url, prefix string) {
		b := connect(t, url, prefix)
		b.makeStream()
		var store usertest.Memory
		b.consume(&store, "one")
		good, err := json.Marshal(event(1, 1, contract.AccountRegistered))
		if err != nil {
			t.Fatal(err)
		}
		bad := []string{
			``, `x`, `[]`, `null`, `{}`, `{"specversion":1}`, "\xff\xfe", strings.Repeat("[", 10000),
			strings.Replace(string(good), `"1.0"`, `"2.0"`, 1),
			strings.Replace(string(good), `"version":1`, `"version":"1"`, 1),
			strings.Replace(string(good), `"v1@example.com"`, `"v1@example.com\u0000"`, 1),
			strings.ReplaceAll(string(good), usertest.ID(1), "x"),
		}
		for _, text := range bad {
			b.sendRaw(contract.AccountRegistered, []byte(text))
		}
		withMore := strings.Replace(string(good), `"data":{`, `"tomorrow":[1],"data":{"tomorrow":{},`, 1)
		b.sendRaw(contract.AccountRegistered, []byte(withMore))
		until(t, "the good event behind the bad ones is applied", func() bool { return len(store.Records()) == 1 })
		letters := 0
		if err := b.Replay(t.Context(), b.Subjects().DeadStream(), func([]byte) error { letters++; return nil }); err != nil {
			t.Fatal(err)
		}
		if letters != len(bad) {
			t.Errorf("%d dead letters of %d bad events", letters, len(bad))
		}
	})
}

// flaky is a store that is away for a while.
type flaky struct {
	*usertest.Memory
	calls atomic.Int64
	until int64
}

func (f *flaky) Change(ctx context.Context, id string, fn func(user.Record) (user.Record, error)) (user.Record, error) {
	if f.calls.Add(1) <= f.until {
		return user.Record{}, fault.New(fault.Unavailable, "away")
	}
	return f.Memory.Change(ctx, id, fn)
}

func TestConsumer_outage(t *testing.T) {
	url, prefix := testenv.NATS(t)
	b := connect(t, url, prefix)
	b.makeStream()
	store := &flaky{Memory: new(usertest.Memory), until: 5} // longer than a message would be tried otherwise
	b.consume(store, "one")
	b.send(event(1, 1, contract.AccountRegistered))
	b.send(event(2, 1, contract.AccountRegistered))
	until(t, "both events are applied after the outage", func() bool { return len(store.Records()) == 2 })
	if _, found, err := b.LastInStream(t.Context(), b.Subjects().DeadStream(), b.Subjects().Dead(Durable("one"))); found || err == nil {
		t.Errorf("an event became a dead letter: %v", err)
	}
}

func TestConsumer_anyOrder(t *testing.T) {
	url, prefix := testenv.NATS(t)
	b := connect(t, url, prefix)
	b.makeStream()
	var store usertest.Memory
	b.consume(&store, "one")
	var events []contract.Event
	for n := 1; n <= 5; n++ {
		for version := int64(1); version <= 5; version++ {
			events = append(events, event(n, version, contract.AccountEmailChanged))
		}
	}
	events = append(events, events...)
	rand.Shuffle(len(events), func(i, j int) { events[i], events[j] = events[j], events[i] })
	for _, e := range events {
		b.send(e)
	}
	b.send(event(9, 1, contract.AccountRegistered))
	until(t, "the last event is applied", func() bool { _, err := store.Find(t.Context(), usertest.ID(9)); return err == nil })
	for n := 1; n <= 5; n++ {
		if got := store.Records()[usertest.ID(n)].Email; got != "v5@example.com" {
			t.Errorf("account %d has %s", n, got)
		}
	}
}

func TestConsumer_noStreamYet(t *testing.T) {
	url, prefix := testenv.NATS(t)
	b := connect(t, url, prefix)
	c := &Consumer{Bus: b.Bus, Installation: "one"}
	if err := c.Ready(t.Context()); err == nil {
		t.Error("ready without a stream")
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	cancel()
	if err := <-done; err != nil {
		t.Errorf("Run: %v", err)
	}
}

// countedKeys counts how often they are fetched.
type countedKeys struct{ fetched atomic.Int64 }

func (k *countedKeys) Refresh(context.Context) error {
	if k.fetched.Add(1) == 1 {
		return fault.New(fault.Unavailable, "away")
	}
	return nil
}

func TestKeyWatch(t *testing.T) {
	url, prefix := testenv.NATS(t)
	b := connect(t, url, prefix)
	keys := new(countedKeys)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- (&KeyWatch{Bus: b.Bus, Keys: keys, Log: slog.New(slog.DiscardHandler)}).Run(ctx) }()
	until(t, "keys are fetched twice, though the first time fails", func() bool {
		if err := b.Publish(b.Subjects().KeysChanged(), nil); err != nil {
			t.Fatal(err)
		}
		return keys.fetched.Load() >= 2
	})
	cancel()
	if err := <-done; err != nil {
		t.Errorf("Run: %v", err)
	}
	b.Close()
	if err := (&KeyWatch{Bus: b.Bus}).Run(t.Context()); err == nil {
		t.Error("Run on a closed bus: no error")
	}
}
