package bus_test

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"gatehouse.internal/shared/bus"
	"gatehouse.internal/shared/embedded"
	"gatehouse.internal/shared/embedded/testenv"
	"gatehouse.internal/shared/fault"
)

func TestMain(m *testing.M) {
	forget, err := trust()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) { forget(); os.Exit(code) }))
}

// connect gives a bus that is ready, and closed after the test.
func connect(t testing.TB, url, prefix string) *bus.Bus {
	t.Helper()
	b := dial(t, url, prefix)
	eventually(t, "the bus is ready", func() bool { return b.Ready(context.Background()) == nil })
	return b
}

// dial gives a bus whose server may be away.
func dial(t testing.TB, url, prefix string) *bus.Bus {
	t.Helper()
	b, err := bus.Connect(bus.Config{URL: url, Prefix: prefix, Name: t.Name()}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
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

// within fails if f takes longer than it may.
func within(t testing.TB, limit time.Duration, what string, f func()) {
	t.Helper()
	began := time.Now()
	f()
	if took := time.Since(began); took > limit {
		t.Errorf("%s took %s, more than %s", what, took, limit)
	}
}

// server is an embedded NATS server that can be restarted.
type server struct {
	t    testing.TB
	dir  string
	port int
	nats *embedded.NATS
}

func startServer(t testing.TB) *server {
	t.Helper()
	// A port that is free now and will be taken again after a restart.
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &server{t: t, dir: t.TempDir(), port: listener.Addr().(*net.TCPAddr).Port}
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	s.start()
	t.Cleanup(s.stop)
	return s
}

func (s *server) start() {
	s.t.Helper()
	var err error
	if s.nats, err = embedded.StartNATS(s.dir, s.port); err != nil {
		s.t.Fatal(err)
	}
}

func (s *server) stop() {
	s.t.Helper()
	if err := s.nats.Close(); err != nil {
		s.t.Error(err)
	}
}

// wire carries connections to a server and can be cut or frozen: a frozen one
// takes everything and delivers nothing, as a server does that hangs.
type wire struct {
	listener net.Listener
	target   string
	frozen   atomic.Bool
	mu       sync.Mutex
	conns    []net.Conn
	work     sync.WaitGroup
}

func startWire(t testing.TB, target string) *wire {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &wire{listener: listener, target: target}
	w.work.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			w.carry(conn)
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		w.cut()
		w.work.Wait()
	})
	return w
}

func (w *wire) url() string { return "nats://" + w.listener.Addr().String() }

func (w *wire) carry(client net.Conn) {
	server, err := net.Dial("tcp", w.target)
	if err != nil {
		_ = client.Close()
		return
	}
	w.mu.Lock()
	w.conns = append(w.conns, client, server)
	w.mu.Unlock()
	for _, pair := range [][2]net.Conn{{client, server}, {server, client}} {
		w.work.Go(func() {
			defer func() { _ = pair[0].Close(); _ = pair[1].Close() }()
			buffer := make([]byte, 32<<10)
			for {
				n, err := pair[0].Read(buffer)
				if err != nil {
					return
				}
				if w.frozen.Load() {
					continue
				}
				if _, err := pair[1].Write(buffer[:n]); err != nil {
					return
				}
			}
		})
	}
}

// cut breaks all connections.
func (w *wire) cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, conn := range w.conns {
		_ = conn.Close()
	}
	w.conns = nil
}

// recorder keeps what it is told.
type recorder struct {
	mu  sync.Mutex
	got []string
}

func (r *recorder) add(text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.got = append(r.got, text)
}

func (r *recorder) all() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string(nil), r.got...)
}

func (r *recorder) has(text string) bool {
	for _, got := range r.all() {
		if got == text {
			return true
		}
	}
	return false
}

func TestConnect_doesNotWaitForAServerThatIsAway(t *testing.T) {
	s := startServer(t)
	url := s.nats.URL()
	s.stop()
	var b *bus.Bus
	within(t, time.Second, "Connect", func() { b = dial(t, url, "p") })
	connected := make(chan struct{}, 10)
	b.OnReconnect(func() { connected <- struct{}{} })
	var got recorder
	within(t, time.Second, "Subscribe", func() {
		if _, err := b.Subscribe("s", func(m bus.Message) { got.add(string(m.Data)) }); err != nil {
			t.Fatal(err)
		}
	})
	if err := b.Publish("s", []byte("early")); !fault.Is(err, fault.Unavailable) {
		t.Errorf("Publish: %v", err)
	}
	if err := b.Ready(t.Context()); !fault.Is(err, fault.Unavailable) {
		t.Errorf("Ready: %v", err)
	}
	s.start()
	<-connected
	eventually(t, "a message arrives", func() bool {
		_ = b.Publish("s", []byte("late")) // an error is a reason to try again
		return got.has("late")
	})
	if got.has("early") {
		t.Error("a message was delivered whose Publish was an error")
	}
}

func TestConnect_refusesABadURLWithoutRepeatingIt(t *testing.T) {
	for _, url := range []string{"", "nats://user:hunter2@host:port", "nats://user:hunter2@[::1"} {
		b, err := bus.Connect(bus.Config{URL: url}, slog.New(slog.DiscardHandler))
		if err == nil {
			b.Close()
			t.Errorf("%q was taken", url)
		} else if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("the password is in %q", err)
		}
	}
}

func TestConnect_refusesCredentialsThatAreNotThere(t *testing.T) {
	b, err := bus.Connect(bus.Config{URL: "nats://127.0.0.1:1", Creds: t.TempDir() + "/none"}, slog.New(slog.DiscardHandler))
	if err == nil {
		b.Close()
		t.Error("it connected")
	}
}

func TestPublish_anErrorMeansNotSent(t *testing.T) {
	s := startServer(t)
	b := connect(t, s.nats.URL(), "p")
	stream := bus.Stream{Name: "S", Subjects: []string{"stored.*"}}
	if err := b.EnsureStream(t.Context(), stream); err != nil {
		t.Fatal(err)
	}
	var got recorder
	if _, err := b.Subscribe("core", func(m bus.Message) { got.add(string(m.Data)) }); err != nil {
		t.Fatal(err)
	}
	s.stop()
	eventually(t, "Publish is an error", func() bool { return b.Publish("core", []byte("lost")) != nil })
	for range 100 {
		if err := b.Publish("core", []byte("refused")); !fault.Is(err, fault.Unavailable) {
			t.Fatalf("Publish while away: %v", err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		if err := b.Store(ctx, "stored.a", "", []byte("refused")); !fault.Is(err, fault.Unavailable) {
			t.Fatalf("Store while away: %v", err)
		}
		cancel()
	}
	s.start()
	eventually(t, "the bus is ready", func() bool { return b.Ready(t.Context()) == nil })
	eventually(t, "the stream takes messages", func() bool { return b.Store(t.Context(), "stored.a", "1", []byte("kept")) == nil })
	eventually(t, "core messages flow", func() bool {
		return b.Publish("core", []byte("flows")) == nil && got.has("flows")
	})
	if got.has("refused") {
		t.Error("a refused core message was delivered")
	}
	var stored recorder
	if err := b.Replay(t.Context(), "S", func(data []byte) error { stored.add(string(data)); return nil }); err != nil {
		t.Fatal(err)
	}
	if all := stored.all(); len(all) != 1 || all[0] != "kept" {
		t.Errorf("the stream has %q", all)
	}
}

func TestPublish_tooLargeIsAnError(t *testing.T) {
	url, prefix := testenv.NATS(t)
	b := connect(t, url, prefix)
	if err := b.Publish("s", make([]byte, 2<<20)); !fault.Is(err, fault.PayloadTooLarge) {
		t.Errorf("got %v", err)
	}
}

func TestHungServer_callsEndWithinABound(t *testing.T) {
	s := startServer(t)
	w := startWire(t, s.nats.URL()[len("nats://"):])
	b := connect(t, w.url(), "p")
	if err := b.EnsureStream(t.Context(), bus.Stream{Name: "S", Subjects: []string{"stored.*"}}); err != nil {
		t.Fatal(err)
	}
	var got recorder
	if _, err := b.Subscribe("core", func(m bus.Message) { got.add(string(m.Data)) }); err != nil {
		t.Fatal(err)
	}
	w.frozen.Store(true)
	call := func(what string, f func(ctx context.Context) error) {
		within(t, 3*time.Second, what, func() {
			ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
			defer cancel()
			if err := f(ctx); !fault.Is(err, fault.Unavailable) {
				t.Errorf("%s: %v", what, err)
			}
		})
	}
	calls := func() {
		t.Helper()
		call("Ready", b.Ready)
		call("Request", func(ctx context.Context) error { _, err := b.Request(ctx, "r", nil); return err })
		call("Store", func(ctx context.Context) error { return b.Store(ctx, "stored.a", "1", nil) })
		call("MessageInStream", func(ctx context.Context) error { _, _, err := b.MessageInStream(ctx, "S", 1); return err })
		call("LastInStream", func(ctx context.Context) error { _, _, err := b.LastInStream(ctx, "S", "stored.a"); return err })
	}
	calls()
	// The pings notice, and from then on publishing is an error at once, even
	// while the library is busy with a server that does not answer.
	eventually(t, "the hung server is noticed", func() bool { return b.Publish("core", []byte("lost")) != nil })
	for range 200 {
		within(t, 100*time.Millisecond, "Publish", func() {
			if err := b.Publish("core", []byte("refused")); !fault.Is(err, fault.Unavailable) {
				t.Errorf("Publish: %v", err)
			}
		})
		if err := pause(t, 5*time.Millisecond); err != nil {
			t.Fatal(err)
		}
	}
	calls()
	w.frozen.Store(false)
	w.cut()
	eventually(t, "messages flow again", func() bool {
		_ = b.Publish("core", []byte("flows"))
		return got.has("flows")
	})
	if got.has("refused") {
		t.Error("a refused message was delivered")
	}
	w.frozen.Store(true)
	within(t, 5*time.Second, "Close", b.Close)
}

// pause spreads calls over time without a sleep that nothing can end.
func pause(t *testing.T, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-t.Context().Done():
		return t.Context().Err()
	case <-timer.C:
		return nil
	}
}

func TestClose_waitsForHandlersAndSendsWhatIsLeft(t *testing.T) {
	url, prefix := testenv.NATS(t)
	a, b := connect(t, url, prefix), connect(t, url, prefix)
	var got recorder
	if _, err := b.Subscribe("out", func(m bus.Message) { got.add(string(m.Data)) }); err != nil {
		t.Fatal(err)
	}
	began := make(chan struct{})
	release := make(chan struct{})
	if _, err := a.Subscribe("in", func(bus.Message) {
		close(began)
		<-release
		if err := a.Publish("out", []byte("last words")); err != nil {
			t.Error(err)
		}
	}); err != nil {
		t.Fatal(err)
	}
	if err := b.Publish("in", nil); err != nil {
		t.Fatal(err)
	}
	<-began
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		a.Close()
	}()
	select {
	case <-closed:
		t.Error("Close did not wait for the handler")
	case <-time.After(20 * time.Millisecond):
	}
	close(release)
	<-closed
	eventually(t, "the last words arrive", func() bool { return got.has("last words") })
	a.Close()
	if _, err := a.Subscribe("in", func(bus.Message) {}); err == nil {
		t.Error("subscribed on a closed bus")
	}
	if err := a.Publish("out", nil); !fault.Is(err, fault.Unavailable) {
		t.Errorf("Publish on a closed bus: %v", err)
	}
}
