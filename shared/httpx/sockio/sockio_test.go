//go:build unix

package sockio_test

import (
	"errors"
	"net"
	"syscall"
	"testing"

	"gatehouse.internal/shared/httpx/sockio"
)

// pair gives the two ends of a TCP connection.
func pair(t *testing.T) (near, far *net.TCPConn) {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	one, err := new(net.Dialer).DialContext(t.Context(), "tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	other, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = one.Close(), other.Close() })
	return one.(*net.TCPConn), other.(*net.TCPConn)
}

// do calls f in the connection's RawConn until it need not wait any more.
func do(t *testing.T, c *net.TCPConn, f func(fd uintptr) (int, error)) (n int, err error) {
	t.Helper()
	raw, failed := c.SyscallConn()
	if failed != nil {
		t.Fatal(failed)
	}
	if failed = raw.Read(func(fd uintptr) bool { n, err = f(fd); return !errors.Is(err, syscall.EAGAIN) }); failed != nil {
		t.Fatal(failed)
	}
	return n, err
}

func TestRead_says_that_it_would_wait_and_then_what_came(t *testing.T) {
	near, far := pair(t)
	raw, err := near.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var first error
	if err := raw.Control(func(fd uintptr) { _, first = sockio.Read(fd, make([]byte, 8)) }); err != nil || !errors.Is(first, syscall.EAGAIN) {
		t.Fatalf("nothing has come: %v %v", err, first)
	}
	if _, err := far.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	if n, err := do(t, near, sockio.Peek); n != 1 || err != nil {
		t.Errorf("peek: %d %v", n, err)
	}
	p := make([]byte, 8)
	if n, err := do(t, near, func(fd uintptr) (int, error) { return sockio.Read(fd, p) }); string(p[:n]) != "hello" || err != nil {
		t.Errorf("read: %q %v", p[:n], err)
	}
	if err := far.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	for name, f := range map[string]func(uintptr) (int, error){"peek": sockio.Peek, "read": func(fd uintptr) (int, error) { return sockio.Read(fd, p) }} {
		if n, err := do(t, near, f); n != 0 || err != nil {
			t.Errorf("%s at the end: %d %v", name, n, err)
		}
	}
}

func TestWrite_writes_what_there_is_room_for(t *testing.T) {
	near, far := pair(t)
	if n, err := do(t, near, func(fd uintptr) (int, error) { return sockio.Write(fd, []byte("hello")) }); n != 5 || err != nil {
		t.Fatalf("%d %v", n, err)
	}
	p := make([]byte, 8)
	if n, err := far.Read(p); string(p[:n]) != "hello" || err != nil {
		t.Errorf("the other end got %q %v", p[:n], err)
	}
	full, err := 0, error(nil)
	big := make([]byte, 1<<20)
	raw, _ := near.SyscallConn()
	for range 1000 {
		if failed := raw.Control(func(fd uintptr) { _, err = sockio.Write(fd, big) }); failed != nil || err != nil {
			break
		}
		full++
	}
	if !errors.Is(err, syscall.EAGAIN) {
		t.Errorf("after %d MiB that nobody reads: %v", full, err)
	}
}

func TestWrite_to_an_end_that_is_gone_is_an_error(t *testing.T) {
	near, far := pair(t)
	if err := far.SetLinger(0); err != nil {
		t.Fatal(err)
	}
	_ = far.Close()
	if _, err := do(t, near, func(fd uintptr) (int, error) { return sockio.Read(fd, make([]byte, 1)) }); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("read: %v", err)
	}
	if _, err := do(t, near, func(fd uintptr) (int, error) { return sockio.Write(fd, []byte("x")) }); !errors.Is(err, syscall.EPIPE) {
		t.Errorf("write: %v", err)
	}
}
