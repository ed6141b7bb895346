package direct

import (
	"errors"
	"io"
	"sync"
	"syscall"
	"time"

	"gatehouse.internal/shared/httpx/framing"
	"gatehouse.internal/shared/httpx/sockio"
)

// maxPieces is in how many pieces a head may come that is served here.
const maxPieces = 4

// conn is a connection that is served. It belongs to the goroutine of Serve,
// but for what mu guards.
type conn struct {
	Conn
	server  *Server
	raw     syscall.RawConn
	remote  string
	bounded bool // reads have a deadline
	given   bool // to a handler, for good

	readSome, writeSome func(fd uintptr) bool // made once
	in                  []byte                // what has come and was not taken is in[r:w]; nil while there is nothing
	r, w                int
	failed              error  // of the last read
	out                 []byte // of an answer
	rest                []byte // what is to be written
	unwritten           error  // why it cannot be

	mu      sync.Mutex
	turn    *turn // under way
	number  uint64
	seen    uint64        // the turn that was under way at the last look
	watcher chan struct{} // closed when the client is no longer watched; nil while it is not
}

// turn is one request.
type turn struct {
	ctx    turnContext
	answer answer
}

func newConn(s *Server, from Conn) (*conn, error) {
	raw, err := from.SyscallConn()
	if err != nil {
		return nil, err
	}
	c := &conn{Conn: from, server: s, raw: raw, remote: from.RemoteAddr().String()}
	c.readSome, c.writeSome = c.takeIn, c.sendOut
	return c, nil
}

// serve goes from request to request. It reports whether what comes next is
// for net/http.
func (c *conn) serve() (handOver bool) {
	if c.bound() != nil {
		return false
	}
	for {
		q, ok, err := c.next()
		if err != nil {
			return false
		}
		if !ok {
			return c.unbound() == nil
		}
		if !c.serveOne(&q) {
			return false
		}
		if c.r == c.w {
			c.Rest()
		}
	}
}

// bound has the next reads end when a head may no longer come.
func (c *conn) bound() error {
	c.bounded = true
	return c.SetReadDeadline(time.Now().Add(c.server.Head))
}

func (c *conn) unbound() error {
	if !c.bounded {
		return nil
	}
	c.bounded = false
	return c.SetReadDeadline(time.Time{})
}

// next waits for a request; ok is false if it is not one for this package.
func (c *conn) next() (q request, ok bool, err error) {
	for pieces := 0; ; pieces++ {
		if c.r < c.w {
			var n int
			q, n, ok = parse(c.in[c.r:c.w])
			if n > c.server.MaxHead {
				return request{}, false, nil
			}
			if n > 0 {
				c.take(n)
				return q, true, c.unbound()
			}
			if !ok || pieces >= maxPieces || !c.goesOn() {
				return request{}, false, nil
			}
		}
		if err := c.read(); err != nil {
			return request{}, false, err
		}
		c.Stir()
	}
}

// goesOn prepares for the rest of a head, if what there is of it could be the
// beginning of one.
func (c *conn) goesOn() bool {
	scanner := framing.New(c.server.MaxHead, c.server.HTTP2)
	if _, refusal := scanner.Scan(c.in[c.r:c.w]); refusal != nil {
		return false
	}
	c.w = copy(c.in, c.in[c.r:c.w])
	c.r = 0
	return c.w < len(c.in) && (c.bounded || c.bound() == nil)
}

// take takes n bytes of what has come.
func (c *conn) take(n int) {
	c.r += n
	if c.r == c.w {
		c.giveBack()
	}
}

// read waits for more. While nothing has come the connection has no memory.
func (c *conn) read() error {
	if err := c.raw.Read(c.readSome); err != nil {
		return err //nolint:wrapcheck // nobody is told
	}
	return c.failed
}

func (c *conn) takeIn(fd uintptr) bool {
	if c.in == nil {
		c.in = lend()
	}
	n, err := sockio.Read(fd, c.in[c.w:])
	if errors.Is(err, syscall.EAGAIN) {
		if c.w == 0 {
			c.giveBack()
		}
		return false
	}
	if n == 0 && err == nil {
		err = io.EOF
	}
	c.w += n
	c.failed = err
	return true
}

// Write sends all of p.
func (c *conn) Write(p []byte) (int, error) {
	c.rest, c.unwritten = p, nil
	c.Writes(true)
	err := c.raw.Write(c.writeSome)
	c.Writes(false)
	n := len(p) - len(c.rest)
	c.rest = nil
	if err == nil {
		err = c.unwritten
	}
	return n, err
}

func (c *conn) sendOut(fd uintptr) bool {
	for len(c.rest) > 0 {
		n, err := sockio.Write(fd, c.rest)
		if errors.Is(err, syscall.EAGAIN) {
			return false
		}
		if err != nil {
			c.unwritten = err
			return true
		}
		c.rest = c.rest[n:]
	}
	return true
}

// giveBack gives back the memory for what comes.
func (c *conn) giveBack() {
	if c.in != nil {
		takeBack(c.in)
	}
	c.in, c.r, c.w = nil, 0, 0
}

// memory is what is read into.
var memory = sync.Pool{New: func() any { return new([maxHead]byte) }}

func lend() []byte {
	array, _ := memory.Get().(*[maxHead]byte) // it holds nothing else
	return array[:]
}

func takeBack(p []byte) { memory.Put((*[maxHead]byte)(p)) }
