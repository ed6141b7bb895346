//go:build unix

package h1

import (
	"errors"
	"net"
	"syscall"
)

// probe looks whether something has come on an idle connection.
type probe struct {
	raw   syscall.RawConn
	look  func(fd uintptr) bool
	empty bool
}

func (p *probe) open(c net.Conn) {
	if s, ok := c.(syscall.Conn); ok {
		p.raw, _ = s.SyscallConn() // nil on error
	}
	p.look = func(fd uintptr) bool {
		var one [1]byte
		// The descriptor does not block. A byte that is taken here is not
		// missed: the connection is not used then.
		_, err := syscall.Read(int(fd), one[:])
		p.empty = errors.Is(err, syscall.EAGAIN)
		return true
	}
}

// quiet reports whether the connection is open and nothing has come.
func (p *probe) quiet() bool {
	if p.raw == nil {
		return false
	}
	p.empty = false
	return p.raw.Read(p.look) == nil && p.empty
}
