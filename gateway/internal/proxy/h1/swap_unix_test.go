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
	memory := append(make([]byte, 0, 64), "question"...)
	for range 2 {
		go func() {
			text := make([]byte, 9)
			_, _ = io.ReadFull(far, text[:8])
			text[8] = '!'
			_, _ = far.Write(text)
		}()
		sent, came, err := p.swap(memory, memory[:64])
		if sent != 8 || string(memory[:came]) != "question!" || err != nil {
			t.Errorf("%d %q %v", sent, memory[:came], err)
		}
		memory = append(memory[:0], "question"...)
	}
}

func TestSwap_says_how_it_ended(t *testing.T) {
	near, p, far := ends(t)
	_ = near.SetReadDeadline(time.Now().Add(time.Millisecond))
	if sent, _, err := p.swap([]byte("x"), make([]byte, 8)); sent != 1 || !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("no answer: %d %v", sent, err)
	}
	_ = near.SetReadDeadline(time.Time{})
	go func() {
		_, _ = io.ReadFull(far, make([]byte, 2))
		_ = far.CloseWrite()
	}()
	if sent, came, err := p.swap([]byte("x"), make([]byte, 8)); sent != 1 || came != 0 || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("an end: %d %d %v", sent, came, err)
	}
	_ = near.Close()
	if sent, _, err := p.swap([]byte("x"), make([]byte, 8)); sent != 0 || !errors.Is(err, net.ErrClosed) {
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
			if sent, came, err := p.swap([]byte("x"), make([]byte, 8)); sent != 0 || came != 0 || !errors.Is(err, errNotQuiet) {
				t.Errorf("%d %d %v", sent, came, err)
			}
		})
	}
}

func TestSwap_does_not_wait_if_there_is_no_room_for_the_message(t *testing.T) {
	_, p, far := ends(t)
	message := make([]byte, 64<<20)
	sent, came, err := p.swap(message, make([]byte, 8))
	if sent == 0 || sent == len(message) || came != 0 || err != nil {
		t.Fatalf("%d %d %v", sent, came, err)
	}
	if n, err := io.CopyN(io.Discard, far, int64(sent)); n != int64(sent) || err != nil {
		t.Errorf("the other end got %d of %d: %v", n, sent, err)
	}
}
