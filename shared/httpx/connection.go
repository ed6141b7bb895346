package httpx

import (
	"io"
	"net"
	"net/netip"
	"sync/atomic"
)

// protocol is what a client speaks on a connection.
type protocol int32

const (
	http1 protocol = iota
	http2
	takenOver // a WebSocket, say: no longer the server's
)

// connection is a client's TCP connection. It is counted until it is closed,
// and knows since when it rests, and since when a write has waited for the
// client. Everything else, ReadFrom and CloseWrite among it, is TCP's own.
type connection struct {
	*net.TCPConn
	owner  *connections
	client netip.Addr // whom it is counted for; zero for nobody

	protocol atomic.Int32
	resting  atomic.Int64 // since when there is no request, as owner.now; 0 while there is one
	writing  atomic.Int64 // the owner's tick in which a write began; 0 while there is none
	closed   atomic.Bool
}

// Write sends p, and has the owner look whether the client takes it.
func (c *connection) Write(p []byte) (int, error) {
	c.Writes(true)
	n, err := c.TCPConn.Write(p)
	c.Writes(false)
	return n, err
}

// ReadFrom is TCP's own, by which files are sent without a copy.
func (c *connection) ReadFrom(r io.Reader) (int64, error) { return c.TCPConn.ReadFrom(r) }

// Close closes the connection and counts it out, once.
func (c *connection) Close() error {
	if !c.closed.CompareAndSwap(false, true) {
		return net.ErrClosed
	}
	c.owner.release(c)
	return c.TCPConn.Close()
}

// rest notes that the client has no request under way.
func (c *connection) rest() { c.resting.Store(c.owner.now()) }

// stir notes that something of a request has come.
func (c *connection) stir() {
	if c.resting.Load() != 0 {
		c.resting.Store(0)
	}
}

// Rest is rest, for package direct.
func (c *connection) Rest() { c.rest() }

// Stir is stir, for package direct.
func (c *connection) Stir() { c.stir() }

// Writes notes that a write begins, or has ended.
func (c *connection) Writes(now bool) {
	if now {
		c.writing.Store(c.owner.tick.Load())
	} else {
		c.writing.Store(0)
	}
}

// TakenOver notes that the connection is no longer the server's.
func (c *connection) TakenOver() {
	c.protocol.Store(int32(takenOver))
	c.stir()
}
