package httpx

import (
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"gatehouse.internal/shared/fault"
	"gatehouse.internal/shared/httpx/framing"
)

// How much is read, and for how long, of what a client sends after it was
// refused, so that it sees why instead of a reset connection.
const (
	lingerBytes = 64 << 10
	lingerTime  = 500 * time.Millisecond
)

// http1Conn is a connection as net/http gets it. What comes on it is one
// reading of HTTP/1.1, or net/http refuses it in the words of the scanner; and
// net/http's own refusals of requests that cannot be read are problem
// documents, like every other error. There is no hook for either: no handler
// has been called yet.
type http1Conn struct {
	halfCloser // TCP or TLS
	base       *connection
	secure     bool
	scanner    framing.Scanner
	before     []byte                      // came first, and was read by somebody else
	pending    string                      // what net/http is told of a refused head
	refusal    atomic.Pointer[fault.Error] // of the scanner
	told       atomic.Bool                 // the client was refused and the connection ends
	unread     func(fault.Kind)            // is told of every refusal
}

// halfCloser is a connection that can tell its other end that nothing more comes.
type halfCloser interface {
	net.Conn
	CloseWrite() error
}

// secureConn is one with TLS; net/http puts its state into requests.
type secureConn struct {
	*http1Conn
	tls *tls.Conn
}

// ConnectionState is the state after the handshake.
func (c secureConn) ConnectionState() tls.ConnectionState { return c.tls.ConnectionState() }

// Read reads what may pass. In the place of what must not stands what net/http
// refuses, when its turn has come; an error would end a request before it that
// is still under way.
func (c *http1Conn) Read(p []byte) (int, error) {
	if c.refusal.Load() != nil {
		return c.refused(p)
	}
	n, err := c.receive(p)
	if n == 0 {
		return n, err
	}
	c.base.stir()
	passed, refusal := c.scanner.Scan(p[:n])
	if refusal == nil {
		if c.scanner.IsHTTP2() {
			c.base.protocol.CompareAndSwap(int32(http1), int32(http2))
		}
		return n, err
	}
	c.refusal.Store(refusal)
	c.pending = framing.Poison
	if passed > 0 {
		return passed, nil
	}
	return c.refused(p)
}

// receive reads what has come.
func (c *http1Conn) receive(p []byte) (int, error) {
	if len(c.before) == 0 {
		return c.halfCloser.Read(p)
	}
	n := copy(p, c.before)
	c.before = c.before[n:]
	if len(c.before) == 0 {
		c.before = nil
	}
	return n, nil
}

// refused reads what stands in the place of what was refused.
func (c *http1Conn) refused(p []byte) (int, error) {
	if len(c.pending) == 0 {
		return 0, io.EOF
	}
	n := copy(p, c.pending)
	c.pending = c.pending[n:]
	return n, nil
}

// Write sends p, or the problem document that takes the place of a refusal.
// net/http writes each of its refusals in one call.
func (c *http1Conn) Write(p []byte) (int, error) {
	status, detail, refused := refusal(p)
	if !refused {
		return c.halfCloser.Write(p)
	}
	cause := c.refusal.Load()
	if cause == nil {
		cause = refusalFor(status, detail)
	}
	c.unread(cause.Kind)
	c.told.Store(true)
	if _, err := c.halfCloser.Write(refusalAnswer(cause, c.secure)); err != nil {
		return 0, err
	}
	return len(p), nil
}

// ReadFrom sends files without a copy where that is possible.
func (c *http1Conn) ReadFrom(r io.Reader) (int64, error) {
	if from, ok := c.halfCloser.(io.ReaderFrom); ok {
		return from.ReadFrom(r)
	}
	return io.Copy(struct{ io.Writer }{c.halfCloser}, r)
}

// Close closes the connection. A client that was refused may still be sending:
// it gets a moment, so that it sees the answer.
func (c *http1Conn) Close() error {
	if c.told.CompareAndSwap(true, false) && c.CloseWrite() == nil {
		linger(c.base)
	}
	return c.halfCloser.Close()
}

func linger(c *connection) {
	if c.SetDeadline(time.Now().Add(lingerTime)) == nil {
		_, _ = io.CopyN(io.Discard, c.TCPConn, lingerBytes)
	}
}

// stateChanged follows what net/http does with a connection.
func stateChanged(conn net.Conn, state http.ConnState) {
	var c *http1Conn
	switch conn := conn.(type) {
	case *http1Conn:
		c = conn
	case secureConn:
		c = conn.http1Conn
	default: // HTTP/2 on TLS
		return
	}
	switch state {
	case http.StateIdle:
		c.base.rest()
	case http.StateActive:
		c.base.stir()
	case http.StateHijacked:
		c.scanner.Passes()
		c.base.TakenOver()
	}
}
