//go:build !386

package sockio

import (
	"errors"
	"syscall"
	"testing"
)

// The calls of our own, also where the race detector has others take their
// place.
func TestCall(t *testing.T) {
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_NONBLOCK, 0)
	if err != nil {
		t.Fatal(err)
	}
	near, far := uintptr(fds[0]), uintptr(fds[1])
	t.Cleanup(func() { _ = syscall.Close(fds[1]) })
	p := make([]byte, 8)
	if n, err := call(syscall.SYS_READ, near, p, 0); n != 0 || !errors.Is(err, syscall.EAGAIN) {
		t.Errorf("reading nothing: %d %v", n, err)
	}
	if n, err := call(syscall.SYS_WRITE, far, []byte("word"), 0); n != 4 || err != nil {
		t.Errorf("writing: %d %v", n, err)
	}
	for range 2 {
		if n, err := call(syscall.SYS_RECVFROM, near, p[:1], syscall.MSG_PEEK|syscall.MSG_DONTWAIT); n != 1 || err != nil || p[0] != 'w' {
			t.Errorf("looking: %d %v %q", n, err, p[0])
		}
	}
	if n, err := call(syscall.SYS_READ, near, p, 0); n != 4 || err != nil || string(p[:4]) != "word" {
		t.Errorf("reading: %d %v %q", n, err, p[:n])
	}
	if err := syscall.Close(fds[0]); err != nil {
		t.Fatal(err)
	}
	if n, err := call(syscall.SYS_READ, far, p, 0); n != 0 || err != nil {
		t.Errorf("reading the end: %d %v", n, err)
	}
}
