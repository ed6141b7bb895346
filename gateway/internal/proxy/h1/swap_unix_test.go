//go:build unix

package h1

import (
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"
)

// ends gives a probe of one end of a connection, and the other end.
func ends(t *testing.T) (near *net.TCPConn, p *probe, far *net.TCPConn) {
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
	p = new(probe)
	p.open(one)
	if !p.swaps() {
		t.Fatal("a TCP connection does not swap")
	}
	return one.(*net.TCPConn), p, other.(*net.TCPConn)
}

func TestSwap_waits_for_what_comes_back(t *testing.T) {
	_, p, far := ends(t)
	for range 2 {
		go func() {
			text := make([]byte, 9)
			_, _ = io.ReadFull(far, text[:8])
			text[8] = '!'
			_, _ = far.Write(text)
		}()
		var in reader
		sent, err := p.swap([]byte("question"), &in)
		if sent != 8 || string(in.buf[:in.w]) != "question!" || err != nil {
			t.Errorf("%d %q %v", sent, in.buf[:in.w], err)
		}
		in.drop()
	}
}

func TestSwap_says_how_it_ended(t *testing.T) {
	near, p, far := ends(t)
	_ = near.SetReadDeadline(time.Now().Add(time.Millisecond))
	if sent, err := p.swap([]byte("x"), new(reader)); sent != 1 || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("no answer: %d %v", sent, err)
	}
	_ = near.SetReadDeadline(time.Time{})
	go func() {
		_, _ = io.ReadFull(far, make([]byte, 2))
		_ = far.CloseWrite()
	}()
	if sent, err := p.swap([]byte("x"), new(reader)); sent != 1 || !errors.Is(err, io.EOF) {
		t.Errorf("an end: %d %v", sent, err)
	}
	_ = near.Close()
	if sent, err := p.swap([]byte("x"), new(reader)); sent != 0 || !errors.Is(err, net.ErrClosed) {
		t.Errorf("closed: %d %v", sent, err)
	}
}

func TestSwap_sends_nothing_where_something_has_come(t *testing.T) {
	for name, end := range map[string]func(far *net.TCPConn){
		"a byte":      func(far *net.TCPConn) { _, _ = far.Write([]byte("y")) },
		"half an end": func(far *net.TCPConn) { _ = far.CloseWrite() },
		"an end":      func(far *net.TCPConn) { _ = far.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			near, p, far := ends(t)
			end(far)
			// What has come is known to the runtime, too, and is not told again.
			raw, err := near.SyscallConn()
			if err != nil {
				t.Fatal(err)
			}
			if err := raw.Read(func(fd uintptr) bool { return !peekEmpty(fd) }); err != nil {
				t.Fatal(err)
			}
			if sent, err := p.swap([]byte("x"), new(reader)); sent != 0 || !errors.Is(err, errNotQuiet) {
				t.Errorf("%d %v", sent, err)
			}
		})
	}
}

func TestSwap_does_not_wait_if_there_is_no_room_for_the_message(t *testing.T) {
	_, p, far := ends(t)
	message := make([]byte, 64<<20)
	var in reader
	sent, err := p.swap(message, &in)
	if sent == 0 || sent == len(message) || in.buf != nil || err != nil {
		t.Fatalf("%d %v %v", sent, in.buf, err)
	}
	if n, err := io.CopyN(io.Discard, far, int64(sent)); n != int64(sent) || err != nil {
		t.Errorf("the other end got %d of %d: %v", n, sent, err)
	}
}
