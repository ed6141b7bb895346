package bus_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse.internal/shared/bus"
	"gatehouse.internal/shared/embedded/testenv"
	"gatehouse.internal/shared/fault"
)

// accounts is a stream under the bus's prefix.
func accounts(t testing.TB, b *bus.Bus) bus.Stream {
	t.Helper()
	stream := bus.Stream{Name: b.Subjects().AccountStream(), Subjects: []string{b.Subjects().Accounts()}, MaxAge: time.Hour, MaxBytes: 64 << 20}
	if err := b.EnsureStream(context.Background(), stream); err != nil {
		t.Fatal(err)
	}
	return stream
}

// store appends messages and fails the test if it cannot.
func store(t testing.TB, b *bus.Bus, texts ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute) // disks of test machines are busy
	defer cancel()
	for _, text := range texts {
		if err := b.Store(ctx, b.Subjects().Account("account.test"), text, []byte(text)); err != nil {
			t.Error(err)
			return
		}
	}
}

// replay gives all messages of a stream.
func replay(t testing.TB, b *bus.Bus, stream string) []string {
	t.Helper()
	var got recorder
	if err := b.Replay(context.Background(), stream, func(data []byte) error { got.add(string(data)); return nil }); err != nil {
		t.Fatal(err)
	}
	return got.all()
}

func TestStream(t *testing.T) {
	testenv.EachNATS(t, func(t *testing.T, url, prefix string) {
		b := connect(t, url, prefix)
		ctx := context.Background()
		name, subject := b.Subjects().AccountStream(), b.Subjects().Account("account.test")
		if _, _, err := b.LastInStream(ctx, name, subject); !fault.Is(err, fault.NotFound) {
			t.Errorf("LastInStream of no stream: %v", err)
		}
		if _, _, err := b.MessageInStream(ctx, name, 1); !fault.Is(err, fault.NotFound) {
			t.Errorf("MessageInStream of no stream: %v", err)
		}
		if err := b.Replay(ctx, name, nil); !fault.Is(err, fault.NotFound) {
			t.Errorf("Replay of no stream: %v", err)
		}
		var replicas sync.WaitGroup
		for range 4 {
			replicas.Go(func() { accounts(t, b) })
		}
		replicas.Wait()
		if _, there, err := b.LastInStream(ctx, name, subject); there || err != nil {
			t.Errorf("LastInStream of an empty one: %v, %v", there, err)
		}
		if got := replay(t, b, name); len(got) != 0 {
			t.Errorf("an empty stream has %q", got)
		}
		store(t, b, "1", "2", "2", "1", "3") // repeated ids are kept once
		if got := replay(t, b, name); fmt.Sprint(got) != "[1 2 3]" {
			t.Errorf("the stream has %q", got)
		}
		if data, there, err := b.LastInStream(ctx, name, subject); !there || err != nil || string(data) != "3" {
			t.Errorf("last is %q, %v, %v", data, there, err)
		}
		if _, there, err := b.LastInStream(ctx, name, b.Subjects().Account("account.other")); there || err != nil {
			t.Errorf("last of another subject: %v, %v", there, err)
		}
		if data, there, err := b.MessageInStream(ctx, name, 2); !there || err != nil || string(data) != "2" {
			t.Errorf("message 2 is %q, %v, %v", data, there, err)
		}
		if _, there, err := b.MessageInStream(ctx, name, 4); there || err != nil {
			t.Errorf("message 4, which nobody has sent: %v, %v", there, err)
		}
		names, err := b.StreamNames(ctx)
		if err != nil || fmt.Sprint(names) != "["+name+"]" {
			t.Errorf("streams are %q, %v", names, err)
		}
		if err := b.PurgeStream(ctx, name); err != nil {
			t.Fatal(err)
		}
		if got := replay(t, b, name); len(got) != 0 {
			t.Errorf("a purged stream has %q", got)
		}
		store(t, b, "4")
		if got := replay(t, b, name); fmt.Sprint(got) != "[4]" {
			t.Errorf("the stream has %q", got)
		}
		for range 2 {
			if err := b.DeleteStream(ctx, name); err != nil {
				t.Fatal(err)
			}
		}
		if err := b.Store(ctx, subject, "5", nil); !fault.Is(err, fault.Unavailable) {
			t.Errorf("Store without a stream: %v", err)
		}
	})
}

func TestEnsureStream_changesTheSettingsOfAStreamAndKeepsItsMessages(t *testing.T) {
	testenv.EachNATS(t, func(t *testing.T, url, prefix string) {
		b := connect(t, url, prefix)
		stream := accounts(t, b)
		store(t, b, "1")
		stream.Subjects = append(stream.Subjects, prefix+".more")
		stream.MaxAge = 2 * time.Hour
		if err := b.EnsureStream(t.Context(), stream); err != nil {
			t.Fatal(err)
		}
		if err := b.Store(t.Context(), prefix+".more", "2", []byte("2")); err != nil {
			t.Fatal(err)
		}
		if got := replay(t, b, stream.Name); fmt.Sprint(got) != "[1 2]" {
			t.Errorf("the stream has %q", got)
		}
	})
}

func TestConnect_refusesMoreReplicasThanThereCanBe(t *testing.T) {
	for _, replicas := range []int{-1, 6} {
		_, err := bus.Connect(bus.Config{URL: "nats://127.0.0.1:1", Replicas: replicas}, slog.New(slog.DiscardHandler))
		if err == nil || !strings.Contains(err.Error(), "NATS_REPLICAS") {
			t.Errorf("%d: %v", replicas, err)
		}
	}
}

func TestEnsureStream_asksForTheReplicasOfTheBus(t *testing.T) {
	url, prefix := testenv.NATS(t)
	b, err := bus.Connect(bus.Config{URL: url, Prefix: prefix, Replicas: 3}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	// One server alone cannot keep three copies, which shows that it was asked to.
	err = b.EnsureStream(t.Context(), bus.Stream{Name: b.Subjects().AccountStream(), Subjects: []string{b.Subjects().Accounts()}})
	if err == nil || !strings.Contains(err.Error(), "replicas") {
		t.Errorf("%v", err)
	}
	if err := b.EnsureStream(t.Context(), bus.Stream{Name: b.Subjects().AccountStream(), Subjects: []string{b.Subjects().Accounts()}, Replicas: 1}); err != nil {
		t.Errorf("a stream that says so itself: %v", err)
	}
}

func TestReplay(t *testing.T) {
	testenv.EachNATS(t, func(t *testing.T, url, prefix string) {
		b, other := connect(t, url, prefix), connect(t, url, prefix)
		name := accounts(t, b).Name
		const messages = 10_000
		var writers sync.WaitGroup
		for w := range 32 {
			writers.Go(func() {
				for i := w; i < messages; i += 32 {
					store(t, b, strconv.Itoa(i))
				}
			})
		}
		writers.Wait()
		if t.Failed() {
			t.FailNow() // a slow disk, and nothing about Replay
		}
		began := time.Now()
		seen := map[string]bool{}
		err := b.Replay(t.Context(), name, func(data []byte) error {
			seen[string(data)] = true
			if len(seen) == 1 { // what comes after the call is not for this replay
				store(t, other, "late")
			}
			return nil
		})
		if err != nil || len(seen) != messages || seen["late"] {
			t.Errorf("replayed %d messages, late one %v, %v", len(seen), seen["late"], err)
		}
		t.Logf("%d messages in %s", messages, time.Since(began))

		wanted, n := errors.New("enough"), 0
		err = b.Replay(t.Context(), name, func([]byte) error {
			if n++; n == 10 {
				return wanted
			}
			return nil
		})
		if !errors.Is(err, wanted) || n != 10 {
			t.Errorf("after %d messages: %v", n, err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		n = 0
		err = b.Replay(ctx, name, func([]byte) error {
			if n++; n == 10 {
				cancel()
			}
			return nil
		})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("after its context ended: %v", err)
		}
	})
}

func TestReplay_goesOnAfterADisturbance(t *testing.T) {
	s := startServer(t)
	writer := connect(t, s.nats.URL(), "p")
	name := accounts(t, writer).Name
	w := startWire(t, s.nats.URL()[len("nats://"):])
	reader := connect(t, w.url(), "p")
	var want []string
	for i := range 2000 {
		want = append(want, strconv.Itoa(i))
	}
	store(t, writer, want...)
	var got []string
	err := reader.Replay(t.Context(), name, func(data []byte) error {
		got = append(got, string(data))
		if len(got)%700 == 0 {
			w.cut()
		}
		return nil
	})
	if err != nil || fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%d messages of %d, in order %v: %v", len(got), len(want), fmt.Sprint(got) == fmt.Sprint(want), err)
	}
}

func TestReplay_endsWhenTheRestIsDeletedUnderWay(t *testing.T) {
	testenv.EachNATS(t, func(t *testing.T, url, prefix string) {
		b, other := connect(t, url, prefix), connect(t, url, prefix)
		name := accounts(t, b).Name
		store(t, b, numbers(1, 600)...)
		n := 0
		err := b.Replay(t.Context(), name, func([]byte) error {
			if n++; n == 10 {
				return other.PurgeStream(t.Context(), name)
			}
			return nil
		})
		if err != nil || n < 10 || n > 600 {
			t.Errorf("after %d messages: %v", n, err)
		}
	})
}

func TestStoreAsync_gives_the_numbers_of_what_the_stream_has(t *testing.T) {
	testenv.EachNATS(t, func(t *testing.T, url, prefix string) {
		b := connect(t, url, prefix)
		stream := accounts(t, b)
		send := func(id string) bus.Receipt {
			acknowledged, err := b.StoreAsync(b.Subjects().Account("account.test"), id, []byte(id))
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			receipt, err := acknowledged(ctx)
			if err != nil {
				t.Fatal(err)
			}
			return receipt
		}
		for _, c := range []struct {
			id   string
			want bus.Receipt
		}{{"a", bus.Receipt{Number: 1}}, {"b", bus.Receipt{Number: 2}}, {"a", bus.Receipt{Number: 1, Duplicate: true}}, {"c", bus.Receipt{Number: 3}}} {
			if got := send(c.id); got != c.want {
				t.Errorf("%s: %+v, want %+v", c.id, got, c.want)
			}
		}
		if err := b.DeleteStream(t.Context(), stream.Name); err != nil {
			t.Fatal(err)
		}
		accounts(t, b)
		if got := send("d"); got != (bus.Receipt{Number: 1}) {
			t.Errorf("in a new stream: %+v", got)
		}
	})
}

func TestStreamExtent_shows_what_a_stream_has_lost(t *testing.T) {
	testenv.EachNATS(t, func(t *testing.T, url, prefix string) {
		b := connect(t, url, prefix)
		ctx := context.Background()
		if _, err := b.StreamExtent(ctx, b.Subjects().AccountStream(), bus.Extent{}); !fault.Is(err, fault.NotFound) {
			t.Errorf("of no stream: %v", err)
		}
		stream := accounts(t, b)
		look := func(before bus.Extent) bus.Extent {
			e, err := b.StreamExtent(ctx, stream.Name, before)
			if err != nil {
				t.Fatal(err)
			}
			return e
		}
		empty := look(bus.Extent{})
		store(t, b, "1", "2", "3")
		three := look(empty)
		if three.First != 1 || three.Last != 3 || three.LostSince(&empty, stream.MaxAge) || three.LostSince(&three, stream.MaxAge) {
			t.Errorf("%+v has lost something of %+v", three, empty)
		}
		if err := b.PurgeStream(ctx, stream.Name); err != nil {
			t.Fatal(err)
		}
		purged := look(three)
		if !purged.LostSince(&three, stream.MaxAge) || purged.LostSince(&purged, stream.MaxAge) {
			t.Errorf("%+v after %+v", purged, three)
		}
		store(t, b, "4")
		four := look(purged)
		if !four.LostSince(&three, stream.MaxAge) || !four.LostSince(&empty, stream.MaxAge) || four.LostSince(&purged, stream.MaxAge) {
			t.Errorf("%+v after %+v", four, purged)
		}
		store(t, b, "and one more")
		if more := look(four); more.Forked {
			t.Errorf("%+v has forked from %+v", more, four)
		}
		other := four
		other.LastTime = other.LastTime.Add(-time.Second) // as if another message had been there
		if forked := look(other); !forked.Forked {
			t.Errorf("%+v has not forked from %+v", forked, other)
		}
		if err := b.DeleteStream(ctx, stream.Name); err != nil {
			t.Fatal(err)
		}
		accounts(t, b)
		store(t, b, "5", "6", "7", "8", "9")
		if again := look(four); !again.LostSince(&four, stream.MaxAge) || !again.LostSince(&three, stream.MaxAge) {
			t.Errorf("%+v after %+v", again, four)
		}
	})
}

func TestExtent_what_has_come_to_its_age_is_not_lost(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	before := bus.Extent{First: 5, Last: 9, FirstTime: now, LastTime: now.Add(time.Minute), Asked: now.Add(time.Minute)}
	for name, c := range map[string]struct {
		change func(e *bus.Extent)
		lost   bool
	}{
		"nothing happened":               {func(*bus.Extent) {}, false},
		"more came":                      {func(e *bus.Extent) { e.Last, e.LastTime = 12, now.Add(2*time.Minute) }, false},
		"the oldest went":                {func(e *bus.Extent) { e.First, e.Asked = 6, now.Add(time.Hour) }, false},
		"the oldest went too early":      {func(e *bus.Extent) { e.First, e.Asked = 6, now.Add(time.Hour-1) }, true},
		"the newest is gone":             {func(e *bus.Extent) { e.Last = 8 }, true},
		"another is in its place":        {func(e *bus.Extent) { e.Forked = true }, true},
		"one in between is gone":         {func(e *bus.Extent) { e.Last, e.Deleted = 12, 1 }, true},
		"it is another one of that name": {func(e *bus.Extent) { e.Created = now }, true},
	} {
		after := before
		c.change(&after)
		if got := after.LostSince(&before, time.Hour); got != c.lost {
			t.Errorf("%s: lost is %v", name, got)
		}
		if got := after.Same(&before); got != (name == "nothing happened") {
			t.Errorf("%s: the same is %v", name, got)
		}
	}
}
