package bus_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse.internal/shared/bus"
	"gatehouse.internal/shared/embedded/testenv"
	"gatehouse.internal/shared/fault"
)

// consume runs Consume until the returned function, which waits for its end,
// is called, or the test ends.
func consume(t testing.TB, b *bus.Bus, c bus.Consumer, handle func(ctx context.Context, data []byte) error) (stop func()) {
	t.Helper()
	c.Stream, c.Durable = b.Subjects().AccountStream(), "users"
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- b.Consume(ctx, c, handle) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Consume ended with %v", err)
		}
	})
	t.Cleanup(stop)
	return stop
}

// keep is a handler that records everything.
func keep(r *recorder) func(context.Context, []byte) error {
	return func(_ context.Context, data []byte) error {
		r.add(string(data))
		return nil
	}
}

func numbers(from, to int) (texts []string) {
	for i := from; i <= to; i++ {
		texts = append(texts, strconv.Itoa(i))
	}
	return texts
}

func TestConsume(t *testing.T) {
	for _, c := range []struct {
		name string
		run  func(t *testing.T, b *bus.Bus)
	}{
		{"every message once and in order, then live ones, then from where it stopped", consumesInOrder},
		{"a failing message is tried again before later ones", retriesInOrder},
		{"F16 poison goes to the dead letters and the rest flows", poisonIsBuried},
		{"what is away for us never makes a dead letter", awayIsNotPoison},
		{"a message slower than AckWait is not delivered twice, nor those behind it", slowIsKeptAlive},
		{"F3 a stream deleted and made anew", streamMadeAnew},
		{"a stream that comes later", streamComesLater},
		{"processes with one name share the messages", shared},
	} {
		t.Run(c.name, func(t *testing.T) {
			testenv.EachNATS(t, func(t *testing.T, url, prefix string) { c.run(t, connect(t, url, prefix)) })
		})
	}
}

func consumesInOrder(t *testing.T, b *bus.Bus) {
	accounts(t, b)
	store(t, b, numbers(1, 200)...)
	var got recorder
	stop := consume(t, b, bus.Consumer{}, keep(&got))
	eventually(t, "the old ones", func() bool { return len(got.all()) == 200 })
	store(t, b, numbers(201, 210)...)
	eventually(t, "the live ones", func() bool { return len(got.all()) == 210 })
	stop()
	store(t, b, numbers(211, 220)...)
	consume(t, b, bus.Consumer{}, keep(&got))
	eventually(t, "those of the time between", func() bool { return len(got.all()) >= 220 })
	all := got.all()
	// One may have been on its way to the consumer that stopped; it comes late.
	slices.SortFunc(all[210:], strings.Compare)
	if fmt.Sprint(all) != fmt.Sprint(numbers(1, 220)) {
		t.Errorf("got %v", all)
	}
}

func retriesInOrder(t *testing.T, b *bus.Bus) {
	accounts(t, b)
	store(t, b, numbers(1, 5)...)
	var got recorder
	failures := 3
	consume(t, b, bus.Consumer{}, func(_ context.Context, data []byte) error {
		if string(data) == "2" && failures > 0 {
			failures--
			return errors.New("not yet")
		}
		got.add(string(data))
		return nil
	})
	eventually(t, "all of them", func() bool { return len(got.all()) == 5 })
	if all := got.all(); fmt.Sprint(all) != fmt.Sprint(numbers(1, 5)) {
		t.Errorf("got %v", all)
	}
}

func poisonIsBuried(t *testing.T, b *bus.Bus) {
	accounts(t, b)
	store(t, b, numbers(1, 6)...)
	var got recorder
	var tries atomic.Int64
	consume(t, b, bus.Consumer{MaxDeliver: 3}, func(_ context.Context, data []byte) error {
		switch string(data) {
		case "2":
			tries.Add(1)
			return errors.New("never works")
		case "3":
			return fmt.Errorf("decode: %w", bus.Poison(errors.New("not JSON")))
		case "4":
			panic("bad")
		}
		got.add(string(data))
		return nil
	})
	eventually(t, "the good ones", func() bool { return len(got.all()) == 3 })
	if n := tries.Load(); n != 3 {
		t.Errorf("tried %d times", n)
	}
	if dead := replay(t, b, b.Subjects().DeadStream()); fmt.Sprint(dead) != "[2 3 4]" {
		t.Errorf("dead letters are %v", dead)
	}
	if err := bus.Poison(nil); err != nil {
		t.Errorf("Poison of nil is %v", err)
	}
}

func awayIsNotPoison(t *testing.T, b *bus.Bus) {
	accounts(t, b)
	store(t, b, "1")
	var tries atomic.Int64
	var got recorder
	consume(t, b, bus.Consumer{MaxDeliver: 1}, func(_ context.Context, data []byte) error {
		if tries.Add(1) <= 4 {
			return fault.New(fault.Unavailable, "database is away")
		}
		got.add(string(data))
		return nil
	})
	eventually(t, "it is handled", func() bool { return got.has("1") })
}

func slowIsKeptAlive(t *testing.T, b *bus.Bus) {
	accounts(t, b)
	store(t, b, numbers(1, 70)...) // more than one batch
	var got recorder
	consume(t, b, bus.Consumer{AckWait: time.Second}, func(_ context.Context, data []byte) error {
		got.add(string(data))
		if string(data) == "1" {
			return pause(t, 2500*time.Millisecond)
		}
		return nil
	})
	eventually(t, "all of them", func() bool { return got.has("70") })
	if all := got.all(); fmt.Sprint(all) != fmt.Sprint(numbers(1, 70)) {
		t.Errorf("got %v", all)
	}
}

func streamMadeAnew(t *testing.T, b *bus.Bus) {
	stream := accounts(t, b)
	store(t, b, numbers(1, 10)...)
	var got recorder
	consume(t, b, bus.Consumer{}, keep(&got))
	eventually(t, "the old ones", func() bool { return got.has("10") })
	if err := b.DeleteStream(t.Context(), stream.Name); err != nil {
		t.Fatal(err)
	}
	accounts(t, b)
	store(t, b, "11") // has sequence number 1 again
	eventually(t, "the new one", func() bool { return got.has("11") })
	if err := b.DeleteStream(t.Context(), stream.Name); err != nil {
		t.Fatal(err)
	}
	// Noticed by the consumer before there is a stream again, too.
	if err := pause(t, 100*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	accounts(t, b)
	store(t, b, "12")
	began := time.Now()
	eventually(t, "the newest one", func() bool { return got.has("12") })
	t.Logf("resumed within %s", time.Since(began))
}

func streamComesLater(t *testing.T, b *bus.Bus) {
	var got recorder
	consume(t, b, bus.Consumer{}, keep(&got))
	if err := pause(t, 50*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	accounts(t, b)
	store(t, b, "1")
	eventually(t, "it is handled", func() bool { return got.has("1") })
}

func shared(t *testing.T, b *bus.Bus) {
	accounts(t, b)
	var first, second recorder
	stop := consume(t, b, bus.Consumer{}, keep(&first))
	consume(t, b, bus.Consumer{}, keep(&second))
	store(t, b, numbers(1, 300)...)
	total := func() int { return len(first.all()) + len(second.all()) }
	eventually(t, "all of them", func() bool { return total() >= 300 })
	stop()
	store(t, b, numbers(301, 310)...)
	eventually(t, "those after one has stopped", func() bool { return total() >= 310 })
	if total() != 310 {
		t.Errorf("%d deliveries", total())
	}
}

func TestConsume_survivesARestartOfTheServer(t *testing.T) {
	s := startServer(t)
	b := connect(t, s.nats.URL(), "p")
	accounts(t, b)
	store(t, b, "1")
	var got, core recorder
	consume(t, b, bus.Consumer{}, keep(&got))
	if _, err := b.Subscribe("core", func(m bus.Message) { core.add(string(m.Data)) }); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the first", func() bool { return got.has("1") })
	for i := 2; i <= 4; i++ {
		s.stop()
		s.start()
		eventually(t, "the bus is ready", func() bool { return b.Ready(t.Context()) == nil })
		began := time.Now()
		text := strconv.Itoa(i)
		eventually(t, "the stream takes it", func() bool {
			return b.Store(t.Context(), b.Subjects().Account("account.test"), text, []byte(text)) == nil
		})
		eventually(t, "it is consumed", func() bool { return got.has(text) })
		t.Logf("consumed %s after the connection was back", time.Since(began))
		if err := b.Publish("core", []byte(text)); err != nil {
			t.Error(err)
		}
		eventually(t, "a core message arrives", func() bool { return core.has(text) })
	}
}

func TestConsume_survivesAServerThatLostItsStore(t *testing.T) {
	s := startServer(t)
	b := connect(t, s.nats.URL(), "p")
	accounts(t, b)
	store(t, b, numbers(1, 10)...)
	var got recorder
	consume(t, b, bus.Consumer{}, keep(&got))
	eventually(t, "the old ones", func() bool { return got.has("10") })
	s.stop()
	if err := os.RemoveAll(s.dir); err != nil {
		t.Fatal(err)
	}
	s.start()
	// Nobody makes the stream again but the bus itself.
	eventually(t, "a message is stored", func() bool {
		return b.Store(t.Context(), b.Subjects().Account("account.test"), "11", []byte("11")) == nil
	})
	eventually(t, "it is consumed", func() bool { return got.has("11") })
}

func TestConsume_survivesAHungServer(t *testing.T) {
	s := startServer(t)
	w := startWire(t, s.nats.URL()[len("nats://"):])
	b, writer := connect(t, w.url(), "p"), connect(t, s.nats.URL(), "p")
	accounts(t, writer)
	var got recorder
	stop := consume(t, b, bus.Consumer{}, keep(&got))
	store(t, writer, "1")
	eventually(t, "the first", func() bool { return got.has("1") })
	w.frozen.Store(true)
	store(t, writer, "2")
	eventually(t, "the hung server is noticed", func() bool { return b.Publish("x", nil) != nil })
	w.frozen.Store(false)
	w.cut()
	began := time.Now()
	store(t, writer, "3")
	eventually(t, "both are consumed", func() bool { return got.has("2") && got.has("3") })
	t.Logf("consumed %s after the server was back", time.Since(began))
	w.frozen.Store(true)
	within(t, 5*time.Second, "the end of Consume", stop)
}

func TestConsume_givesBackWhatItHasNotHandled(t *testing.T) {
	url, prefix := testenv.NATS(t)
	b := connect(t, url, prefix)
	accounts(t, b)
	store(t, b, numbers(1, 10)...)
	began := make(chan struct{})
	once := sync.OnceFunc(func() { close(began) })
	stop := consume(t, b, bus.Consumer{AckWait: 2 * time.Second}, func(ctx context.Context, _ []byte) error {
		once()
		<-ctx.Done()
		return ctx.Err()
	})
	<-began
	stop()
	// What was given back comes at once; what was on its way when the consumer
	// stopped comes after AckWait.
	var got recorder
	consume(t, b, bus.Consumer{AckWait: 2 * time.Second}, keep(&got))
	eventually(t, "all of them", func() bool { return len(got.all()) == 10 })
}

func TestConsume_refusesAConsumerWithoutAName(t *testing.T) {
	url, prefix := testenv.NATS(t)
	if err := connect(t, url, prefix).Consume(t.Context(), bus.Consumer{}, nil); err == nil {
		t.Error("it began")
	}
}
