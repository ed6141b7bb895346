package proxy

import (
	"bytes"
	"errors"
	"net"
	"sync"
	"time"
)

// writePause is how long an upstream may leave what we send it unread.
const writePause = 30 * time.Second

var errFramedTwice = errors.New("the answer has both Content-Length and Transfer-Encoding")

// upstreamConn is a connection to a target. It puts a deadline on every write,
// and looks at the head of each answer for what net/http forgives: a
// Content-Length beside a Transfer-Encoding, by which the two ends could
// disagree on where the answer ends (RFC 9112 section 6.3).
type upstreamConn struct {
	net.Conn

	mu   sync.Mutex
	head headScan
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
		c.head = headScan{active: true}
		c.mu.Unlock()
	}
	return c.Conn.Write(p)
}

// Read reads, and looks at the bytes as long as they belong to a head.
func (c *upstreamConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 {
		c.mu.Lock()
		if c.head.active {
			c.head.scan(p[:n])
			if c.head.twice {
				n, err = 0, errFramedTwice
			}
		}
		c.mu.Unlock()
	}
	return n, err
}

// startsRequest reports whether a write begins with the head of a request. The
// transport writes a head from the start of its buffer, so this is exact for
// every request; a body that looks the same makes the scan start over, and
// that can only hide what the upstream itself got wrong.
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

// headScan follows the heads of an answer line by line: of the interim ones,
// and of the final one, at whose end it stops.
type headScan struct {
	active   bool
	line     [18]byte // how the current line begins, in lower case
	n        int      // bytes of it, saturating
	lines    int
	interim  bool // this head is that of a 1xx answer
	length   bool // this head has Content-Length
	encoding bool // this head has Transfer-Encoding
	twice    bool // a head had both
}

func (s *headScan) scan(p []byte) {
	for s.active && len(p) > 0 {
		end := bytes.IndexByte(p, '\n')
		if end < 0 {
			s.take(p)
			return
		}
		s.take(p[:end])
		s.endLine()
		p = p[end+1:]
	}
}

// take adds to how the line begins.
func (s *headScan) take(part []byte) {
	for _, c := range part {
		if s.n >= len(s.line) {
			return
		}
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		s.line[s.n] = c
		s.n++
	}
}

func (s *headScan) endLine() {
	begin := s.line[:s.n]
	s.n = 0
	if s.lines == 0 {
		_, status, _ := bytes.Cut(begin, []byte(" "))
		s.interim = len(status) > 2 && status[0] == '1' && string(status[:3]) != "101"
		s.lines = 1
		return
	}
	if len(begin) == 0 || string(begin) == "\r" {
		*s = headScan{active: s.interim, twice: s.twice}
		return
	}
	s.length = s.length || bytes.HasPrefix(begin, []byte("content-length:"))
	s.encoding = s.encoding || bytes.HasPrefix(begin, []byte("transfer-encoding:"))
	s.twice = s.twice || s.length && s.encoding
}
