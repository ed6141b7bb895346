package direct

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"net/http"
	"runtime/debug"
	"sync"
	"syscall"
	"time"
)

// goneTick is how often it is looked for requests that last. The client of one
// that was under way twice is watched: one that goes away ends its request.
const goneTick = 250 * time.Millisecond

// Conn is a client's connection.
type Conn interface {
	net.Conn
	syscall.Conn
	Stir()           // something of a request has come
	Rest()           // there is no request
	Writes(now bool) // a write begins, or has ended
	TakenOver()      // it is no longer the server's
}

// Server serves connections. All of its exported fields must be set before.
type Server struct {
	Handler http.Handler
	Base    context.Context //nolint:containedctx // of all requests, as http.Server's BaseContext
	Head    time.Duration   // how long a head may take
	Rest    time.Duration   // and what is left of a body that nobody has wanted
	MaxHead int             // as package framing bounds it
	HTTP2   bool            // clients may speak it
	Log     *slog.Logger

	dates dates
	mu    sync.Mutex
	open  map[*conn]struct{}
	over  bool // Cut was called
}

// Serve serves the requests on a connection until it ends, or until something
// comes that is for net/http. Then handOver is true, and pending is what was
// read and not served. Else the connection is closed, or
// a handler's. Idle connections are the
// caller's to close.
func (s *Server) Serve(from Conn) (pending []byte, handOver bool) {
	c, err := newConn(s, from)
	if err != nil || !s.add(c) {
		_ = from.Close() // it may be closed
		return nil, false
	}
	defer s.remove(c)
	defer func() {
		if cause := recover(); cause != nil { // one connection is lost, and no other
			handOver = false
			logPanic(s.Log, cause)
		}
		if !handOver && !c.given { // also when the handler has ended its goroutine
			c.cut()
		}
	}()
	if c.serve() {
		pending, handOver = bytes.Clone(c.in[c.r:c.w]), true
	}
	c.giveBack()
	return pending, handOver
}

// logPanic writes down a panic, and where it was.
func logPanic(log *slog.Logger, cause any) {
	log.Error("panic serving a request", slog.Any("panic", cause), slog.String("stack", string(debug.Stack())))
}

func (s *Server) add(c *conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.over {
		return false
	}
	if s.open == nil {
		s.open = map[*conn]struct{}{}
	}
	s.open[c] = struct{}{}
	return true
}

func (s *Server) remove(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, c)
}

// Watch looks for clients that have gone away, until ctx ends.
func (s *Server) Watch(ctx context.Context) {
	ticker := time.NewTicker(goneTick)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		s.mu.Lock()
		for c := range s.open {
			c.look()
		}
		s.mu.Unlock()
	}
}

// Cut ends all requests and closes all connections, and takes no more. It
// returns how many requests they were; Serve returns when their handlers have.
func (s *Server) Cut() (requests int) {
	s.mu.Lock()
	s.over = true
	var all []*conn
	for c := range s.open {
		all = append(all, c)
	}
	s.mu.Unlock()
	for _, c := range all {
		if c.cut() {
			requests++
		}
	}
	return requests
}

func (s *Server) date() string { return s.dates.at(time.Now()) }
