package proxy

import (
	"net"
	"net/http"
	"sync"
	"time"

	"gatehouse.internal/gateway/internal/proxy/h1"
)

// writePause is how long an upstream may leave what we send it unread.
const writePause = 30 * time.Second

// upstreamConn is a connection on which net/http's transport speaks to a
// target. It puts a deadline on every write, and reads the head of each answer
// as strictly as h1 does, which refuses what net/http forgives: above all a
// Content-Length beside a Transfer-Encoding, by which the two ends could
// disagree on where the answer ends (RFC 9112 section 6.3).
type upstreamConn struct {
	net.Conn

	mu   sync.Mutex
	head headCheck
}

// CloseWrite ends our half of a tunnel, if the connection can be half open.
func (c *upstreamConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return c.Close()
}

// newUpstreamConn returns one whose first answer is to come.
func newUpstreamConn(conn net.Conn) *upstreamConn {
	return &upstreamConn{Conn: conn, head: headCheck{active: true}}
}

// await has what comes next read as the head of an answer. It is called before
// a request is sent.
func (c *upstreamConn) await() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.head = headCheck{active: true}
}

// Write writes within writePause.
func (c *upstreamConn) Write(p []byte) (int, error) {
	if err := c.SetWriteDeadline(time.Now().Add(writePause)); err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}

// Read reads, and looks at the bytes as long as they belong to a head.
func (c *upstreamConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.head.active {
			if bad := c.head.take(p[:n]); bad != nil {
				return 0, bad
			}
		}
	}
	return n, err
}

// headCheck follows the heads of an answer: the interim ones, and the final
// one, after which it stops.
type headCheck struct {
	active bool
	head   []byte // what has come of it
	scan   h1.Scan
}

// take looks at what has come. A head that is too large is net/http's to
// refuse.
func (c *headCheck) take(p []byte) error {
	c.head = append(c.head, p...)
	for c.active {
		n, err := c.scan.End(c.head)
		if err != nil {
			return err
		}
		if n == 0 {
			if len(c.head) > maxAnswerHead {
				*c = headCheck{}
			}
			return nil
		}
		head, err := h1.ParseHead(c.head[:n])
		if err != nil {
			return err
		}
		interim := head.Status < 200 && head.Status != http.StatusSwitchingProtocols
		*c = headCheck{active: interim, head: c.head[n:]}
	}
	c.head = nil
	return nil
}
