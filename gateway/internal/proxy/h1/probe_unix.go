//go:build unix

package h1

import (
	"errors"
	"io"
	"net"
	"syscall"

	"gatehouse.internal/shared/httpx/sockio"
)

// probe looks whether something has come on an idle connection, and swaps a
// request for the beginning of its answer.
type probe struct {
	raw   syscall.RawConn
	look  func(fd uintptr) bool
	empty bool

	plain  bool                  // nobody has put anything around the operating system's connection
	step   func(fd uintptr) bool // of a swap
	looked bool                  // and found nothing
	left   []byte                // to be sent
	into   []byte                // for what comes
	came   int
	failed error
}

func (p *probe) open(c net.Conn) {
	if s, ok := c.(syscall.Conn); ok {
		p.raw, _ = s.SyscallConn() // nil on error
	}
	_, p.plain = c.(*net.TCPConn)
	p.look = func(fd uintptr) bool {
		p.empty = nothing(fd)
		return true
	}
	p.step = p.swapping
}

// nothing reports whether the connection is open and nothing has come. The
// descriptor does not block. A byte that is taken here is not missed: the
// connection is not used then.
func nothing(fd uintptr) bool {
	var one [1]byte
	_, err := sockio.Read(fd, one[:])
	return errors.Is(err, syscall.EAGAIN)
}

// quiet reports whether the connection is open and nothing has come.
func (p *probe) quiet() bool {
	if p.raw == nil {
		return false
	}
	p.empty = false
	return p.raw.Read(p.look) == nil && p.empty
}

// swaps reports whether swap works.
func (p *probe) swaps() bool { return p.raw != nil && p.plain }

// swap sends a message and waits for what comes back, of which it reads the
// first into the memory. Other than a write and a read it does not look for an
// answer before there can be one. If there was no room for all of the message,
// sent is less than it is long, and nothing was waited for. An end of the
// connection is io.ErrUnexpectedEOF. On a connection that is not quiet, which
// errNotQuiet says, nothing is sent.
//
// Nothing can be missed. The wait is told of what comes after its preparation
// alone, so the look, which is for what came before, follows that; and it goes
// before the message, as what comes then can be an answer to it.
func (p *probe) swap(message, into []byte) (sent, came int, err error) {
	p.looked, p.left, p.into, p.came, p.failed = false, message, into, 0, nil
	err = p.raw.Read(p.step)
	sent, came = len(message)-len(p.left), p.came
	p.left, p.into = nil, nil
	if err == nil {
		err = p.failed
	}
	return sent, came, err
}

// swapping reports whether the swap is over; else it goes on when something has
// come.
func (p *probe) swapping(fd uintptr) bool {
	if !p.looked {
		if p.looked = nothing(fd); !p.looked {
			p.failed = errNotQuiet
			return true
		}
		n, err := sockio.Write(fd, p.left)
		p.left = p.left[n:]
		if err != nil && !errors.Is(err, syscall.EAGAIN) {
			p.failed = err
			return true
		}
		return len(p.left) > 0
	}
	p.came, p.failed = sockio.Read(fd, p.into)
	if errors.Is(p.failed, syscall.EAGAIN) {
		return false
	}
	if p.came == 0 && p.failed == nil {
		p.failed = io.ErrUnexpectedEOF
	}
	return true
}
