package faultproxy

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"time"
)

// soon is how long a test waits to see that nothing happens, late how long for
// what must happen.
const (
	soon = 50 * time.Millisecond
	late = 10 * time.Second
)

// echoServer answers every byte with itself, and counts what it has received.
func echoServer(t *testing.T) (addr string, received func() int) {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var (
		group sync.WaitGroup
		mu    sync.Mutex
		count int
	)
	group.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			group.Go(func() {
				defer conn.Close() //nolint:errcheck // the test looks at the other end
				buffer := make([]byte, 1024)
				for {
					n, err := conn.Read(buffer)
					if err != nil {
						return
					}
					mu.Lock()
					count += n
					mu.Unlock()
					if _, err := conn.Write(buffer[:n]); err != nil {
						return
					}
				}
			})
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		group.Wait()
	})
	return listener.Addr().String(), func() int {
		mu.Lock()
		defer mu.Unlock()
		return count
	}
}

func openLink(t *testing.T, target string) *Link {
	t.Helper()
	l, err := Open("test", target)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		if n := l.Connections(); n != 0 {
			t.Errorf("%d connections are left", n)
		}
	})
	return l
}

func dial(t *testing.T, l *Link) net.Conn {
	t.Helper()
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", l.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// broken fails if a connection works, an old one or (nil) a new one: it may be
// reset as early as when it is made.
func broken(t *testing.T, l *Link, conn net.Conn) {
	t.Helper()
	if conn == nil {
		fresh, err := new(net.Dialer).DialContext(t.Context(), "tcp", l.Addr())
		if err != nil {
			return
		}
		defer fresh.Close() //nolint:errcheck // it is broken
		conn = fresh
	}
	if err := say(t, conn, "hello", late); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%v, want a broken connection", err)
	}
}

// say sends a word and waits that long for the same word.
func say(t *testing.T, conn net.Conn, word string, within time.Duration) error {
	t.Helper()
	if _, err := io.WriteString(conn, word); err != nil {
		return err
	}
	return hear(t, conn, word, within)
}

func hear(t *testing.T, conn net.Conn, word string, within time.Duration) error {
	t.Helper()
	if err := conn.SetReadDeadline(time.Now().Add(within)); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(word))
	if _, err := io.ReadFull(conn, got); err != nil {
		return err
	}
	if string(got) != word {
		t.Fatalf("heard %q, want %q", got, word)
	}
	return nil
}

func wantEcho(t *testing.T, conn net.Conn) {
	t.Helper()
	if err := say(t, conn, "hello", late); err != nil {
		t.Fatal(err)
	}
}

func TestLink_passes_everything_unchanged_and_in_order(t *testing.T) {
	addr, _ := echoServer(t)
	conn := dial(t, openLink(t, addr))
	sent := bytes.Repeat([]byte("0123456789abcdef"), 1<<14) // more than the queues hold
	var group sync.WaitGroup
	group.Go(func() {
		if _, err := conn.Write(sent); err != nil {
			t.Error(err)
		}
	})
	got := make([]byte, len(sent))
	if _, err := io.ReadFull(conn, got); err != nil || !bytes.Equal(got, sent) {
		t.Errorf("%v, or what came is not what was sent", err)
	}
	group.Wait()
}

func TestLink_the_end_of_one_way_reaches_the_other_side(t *testing.T) {
	addr, _ := echoServer(t)
	conn := dial(t, openLink(t, addr))
	wantEcho(t, conn)
	if err := conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("%v, want the end", err)
	}
}

func TestLink_cut_ends_old_and_new_connections_until_healed(t *testing.T) {
	addr, _ := echoServer(t)
	l := openLink(t, addr)
	conn := dial(t, l)
	wantEcho(t, conn)
	l.Cut()
	broken(t, l, conn)
	broken(t, l, nil)
	l.Heal()
	wantEcho(t, dial(t, l))
}

func TestLink_reset_ends_old_connections_only(t *testing.T) {
	addr, _ := echoServer(t)
	l := openLink(t, addr)
	conn := dial(t, l)
	wantEcho(t, conn)
	l.Reset()
	broken(t, l, conn)
	wantEcho(t, dial(t, l))
}

func TestLink_a_stalled_connection_stays_open_and_goes_on_when_healed(t *testing.T) {
	addr, received := echoServer(t)
	l := openLink(t, addr)
	conn := dial(t, l)
	wantEcho(t, conn)
	l.Stall(Both)
	fresh := dial(t, l)
	for _, conn := range []net.Conn{conn, fresh} {
		if err := say(t, conn, "swallowed", soon); !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("%v, want silence", err)
		}
	}
	if got := received(); got != len("hello") {
		t.Errorf("%d bytes came through", got)
	}
	l.Heal()
	for _, conn := range []net.Conn{conn, fresh} {
		if err := hear(t, conn, "swallowed", late); err != nil {
			t.Error(err)
		}
	}
}

func TestLink_one_way_passes_the_other_way(t *testing.T) {
	addr, received := echoServer(t)
	l := openLink(t, addr)
	conn := dial(t, l)
	wantEcho(t, conn)
	l.Stall(Down)
	if err := say(t, conn, "sent", soon); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("%v, want silence", err)
	}
	for deadline := time.Now().Add(late); received() != len("hellosent"); {
		if time.Now().After(deadline) {
			t.Fatal("what was sent has not arrived")
		}
	}
	l.Heal()
	if err := hear(t, conn, "sent", late); err != nil {
		t.Error(err)
	}
}

func TestLink_delay_holds_back_and_does_not_add_up(t *testing.T) {
	addr, _ := echoServer(t)
	l := openLink(t, addr)
	conn := dial(t, l)
	wantEcho(t, conn)
	const delay = 100 * time.Millisecond
	l.Delay(delay, 0)
	began := time.Now()
	for range 50 {
		if _, err := io.WriteString(conn, "x"); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := io.ReadFull(conn, make([]byte, 50)); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took < 2*delay || took > 20*delay {
		t.Errorf("there and back took %v, want about %v", took, 2*delay)
	}
}

func TestLink_close_ends_a_stalled_connection(t *testing.T) {
	addr, _ := echoServer(t)
	l, err := Open("test", addr)
	if err != nil {
		t.Fatal(err)
	}
	conn := dial(t, l)
	wantEcho(t, conn)
	l.Stall(Both)
	if err := say(t, conn, "lost", soon); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error(err)
	}
	if err := l.Close(); err != nil || l.Connections() != 0 {
		t.Errorf("%v, %d connections", err, l.Connections())
	}
	if err := l.Close(); err != nil {
		t.Errorf("closing twice: %v", err)
	}
}

func TestLink_a_server_that_is_away_refuses(t *testing.T) {
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	broken(t, openLink(t, addr), nil)
}
