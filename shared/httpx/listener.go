package httpx

import (
	"errors"
	"net"
	"os"
	"sync"
	"time"

	"gatehouse.internal/shared/fault"
	"gatehouse.internal/shared/httpx/framing"
)

const (
	// lastCall is how long a listener that stops still takes connections that
	// have come already.
	lastCall = 10 * time.Millisecond
	// turnedAway bounds how many clients are told at the same time that there
	// is no room for them; others are cut off.
	turnedAway = 64
)

// listener takes connections within the server's limits.
type listener struct {
	*net.TCPListener
	server *Server
	tell   chan struct{} // as many as are being told
	wait   sync.WaitGroup
}

func newListener(tcp *net.TCPListener, s *Server) *listener {
	return &listener{TCPListener: tcp, server: s, tell: make(chan struct{}, turnedAway)}
}

// Accept waits for the next connection that speaks HTTP in clear.
func (l *listener) Accept() (net.Conn, error) {
	c, err := l.admit()
	if err != nil {
		return nil, err
	}
	return l.server.http1(c, c, false), nil
}

// admit waits for the next connection that there is room for.
func (l *listener) admit() (*connection, error) {
	for {
		tcp, err := l.AcceptTCP()
		if errors.Is(err, os.ErrDeadlineExceeded) { // stop has said so
			return nil, net.ErrClosed
		}
		if err != nil {
			return nil, err
		}
		c, refused := l.server.open.admit(tcp)
		if refused == "" {
			return c, nil
		}
		l.server.metrics.turnedAway(refused)
		l.turnAway(c)
	}
}

// turnAway tells a client that there is no room, without waiting for it.
func (l *listener) turnAway(c *connection) {
	select {
	case l.tell <- struct{}{}:
	default:
		_ = c.Close()
		return
	}
	l.wait.Go(func() {
		defer func() { _ = c.Close(); <-l.tell }()
		if l.server.tls != nil || c.SetDeadline(time.Now().Add(lingerTime)) != nil {
			return // what is in clear is nothing to a client that speaks TLS
		}
		if _, err := c.TCPConn.Write(refusalAnswer(fault.New(fault.Overloaded, "There are too many connections."), false)); err == nil && c.CloseWrite() == nil {
			linger(c)
		}
	})
}

// stop has Accept end once it has given out the connections that have come.
func (l *listener) stop() error { return l.SetDeadline(time.Now().Add(lastCall)) }

// http1 makes of a connection what net/http gets.
func (s *Server) http1(conn halfCloser, base *connection, secure bool) *http1Conn {
	return &http1Conn{
		halfCloser: conn, base: base, secure: secure, unread: s.metrics.unreadable,
		scanner: framing.New(s.limits.MaxHead, s.cleartextHTTP2 && !secure),
	}
}
