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
	step   func(fd uintptr) bool // of a swap, or of receiving alone
	asked  bool                  // the message has gone as far as it goes
	left   []byte                // of the message
	in     *reader               // for what comes
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
	p.step = p.stepping
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

// swap sends a message, waits for what comes back, and reads the first of it.
// Other than a write and a read it does not look for an answer before there can
// be one. If there was no room for all of the message, sent is less than it is
// long, and nothing was waited for. On a connection that is not quiet, which
// errNotQuiet says, nothing is sent.
//
// Nothing can be missed. The wait is told of what comes after its preparation
// alone, so the look, which is for what came before, follows that; and it goes
// before the message, as what comes then can be an answer to it.
func (p *probe) swap(message []byte, in *reader) (sent int, err error) {
	p.asked, p.left = false, message
	err = p.run(in)
	sent = len(message) - len(p.left)
	p.left = nil
	return sent, err
}

// receive waits for more and adds it to what is there. While there is nothing
// the reader has no memory.
func (p *probe) receive(in *reader) error {
	p.asked = true
	return p.run(in)
}

func (p *probe) run(in *reader) error {
	p.in, p.failed = in, nil
	err := p.raw.Read(p.step)
	p.in = nil
	if err == nil {
		err = p.failed
	}
	return err //nolint:wrapcheck // the caller says what it was at
}

// stepping reports whether a swap or receiving is over; else it goes on when
// something has come.
func (p *probe) stepping(fd uintptr) bool {
	if p.asked {
		return p.take(fd)
	}
	p.asked = true
	if !nothing(fd) {
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

func (p *probe) take(fd uintptr) bool {
	in := p.in
	if in.buf == nil {
		in.buf = lend()
	}
	n, err := sockio.Read(fd, in.buf[in.w:])
	if errors.Is(err, syscall.EAGAIN) {
		if in.w == 0 {
			in.drop()
		}
		return false
	}
	if n == 0 && err == nil {
		err = io.EOF
	}
	in.w += n
	p.failed = err
	return true
}
