package proxy

import (
	"bytes"
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

// Write writes within writePause.
func (c *upstreamConn) Write(p []byte) (int, error) {
	if err := c.SetWriteDeadline(time.Now().Add(writePause)); err != nil {
		return 0, err
	}
	if startsRequest(p) {
		c.mu.Lock()
		if !c.head.switched {
			c.head = headCheck{active: true}
		}
		c.mu.Unlock()
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

// startsRequest reports whether a write begins with the head of a request. The
// transport writes a head from the start of its buffer, so this is exact for
// every request. A body that looks the same makes the check start over, by
// which a client can at most spoil an answer of its own that came early.
func startsRequest(p []byte) bool {
	if len(p) == 0 || p[0] < 'A' || p[0] > 'Z' {
		return false
	}
	end := bytes.IndexByte(p, '\n')
	if end < 0 { // a request line longer than the buffer
		end = len(p)
		return bytes.IndexByte(p[:min(end, 16)], ' ') > 0
	}
	return bytes.HasSuffix(p[:end], []byte(" HTTP/1.1\r"))
}

// headCheck follows the heads of an answer: the interim ones, and the final
// one, after which it stops.
type headCheck struct {
	active   bool
	switched bool   // what follows is not HTTP
	head     []byte // what has come of it
	scan     h1.Scan
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
		switched := head.Status == http.StatusSwitchingProtocols
		*c = headCheck{active: head.Status < 200 && !switched, switched: switched, head: c.head[n:]}
	}
	c.head = nil
	return nil
}
