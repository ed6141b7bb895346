package httpx

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// stallTicks is how often within Limits.Stall writes are looked at.
	stallTicks = 8
	// shedPause keeps a server that is full of busy connections from looking
	// for resting ones all the time.
	shedPause = 100 * time.Millisecond
	// shedShare of all connections are closed at once when room is needed.
	shedShare = 64
)

// connections are the open connections of one server, within its limits.
type connections struct {
	limits *Limits
	born   time.Time
	tick   atomic.Int64 // from 1 on; stallTicks of them are Limits.Stall

	mu      sync.Mutex
	open    map[*connection]struct{}
	clients map[netip.Addr]int // how many of them each client has
	shed    time.Time          // when resting ones were last looked for in vain
}

func newConnections(limits *Limits) *connections {
	s := &connections{limits: limits, born: time.Now(), open: map[*connection]struct{}{}, clients: map[netip.Addr]int{}}
	s.tick.Store(1)
	return s
}

// now is the time since the server was made; never 0.
func (s *connections) now() int64 { return int64(time.Since(s.born)) + 1 }

// refusedFor is why a connection is not taken: the value of a metric's label.
type refusedFor string

const (
	forTotal  refusedFor = "total"
	forClient refusedFor = "client"
)

// admit counts a connection in, or says why there is no room for it; then it
// is returned all the same, counted for nobody, to be turned away.
func (s *connections) admit(tcp *net.TCPConn) (*connection, refusedFor) {
	c := &connection{TCPConn: tcp, owner: s}
	if addr, ok := tcp.RemoteAddr().(*net.TCPAddr); ok {
		c.client = s.limits.clientOf(addr.AddrPort().Addr())
	}
	c.rest()
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case c.client.IsValid() && s.clients[c.client] >= s.limits.ConnectionsPerClient:
		return c, forClient
	case len(s.open) >= s.limits.Connections && !s.makeRoom():
		return c, forTotal
	}
	s.open[c] = struct{}{}
	if c.client.IsValid() {
		s.clients[c.client]++
	}
	return c, ""
}

// release counts a connection out.
func (s *connections) release(c *connection) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forget(c)
}

// forget counts a connection out; the lock is held.
func (s *connections) forget(c *connection) {
	if _, counted := s.open[c]; !counted {
		return
	}
	delete(s.open, c)
	if c.client.IsValid() {
		if s.clients[c.client]--; s.clients[c.client] == 0 {
			delete(s.clients, c.client)
		}
	}
}

// makeRoom closes those connections that rest the longest, and reports whether
// there were any. The lock is held.
func (s *connections) makeRoom() bool {
	if time.Since(s.shed) < shedPause {
		return false
	}
	type resting struct {
		c     *connection
		since int64
	}
	var all []resting
	for c := range s.open {
		if since := c.resting.Load(); since != 0 && protocol(c.protocol.Load()) == http1 {
			all = append(all, resting{c, since})
		}
	}
	if len(all) == 0 {
		s.shed = time.Now()
		return false
	}
	slices.SortFunc(all, func(a, b resting) int { return int(a.since - b.since) })
	for _, r := range all[:min(len(all), 1+len(s.open)/shedShare)] {
		s.cut(r.c)
	}
	return true
}

// cut closes a connection that its owner has had enough of; the lock is held.
func (s *connections) cut(c *connection) {
	s.forget(c)
	if c.closed.CompareAndSwap(false, true) {
		_ = c.TCPConn.Close() // whoever reads or writes on it finds out
	}
}

// watch cuts off clients that leave what is sent to them unread, and those that
// rest for too long, until ctx ends.
func (s *connections) watch(ctx context.Context) {
	ticker := time.NewTicker(s.limits.Stall / stallTicks)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			s.cutStalled()
		}
	}
}

func (s *connections) cutStalled() {
	tick := s.tick.Add(1)
	s.mu.Lock()
	defer s.mu.Unlock()
	rested := s.now() - int64(s.limits.Idle)
	for c := range s.open {
		began, since := c.writing.Load(), c.resting.Load()
		switch {
		case began != 0 && tick-began > stallTicks:
			s.cut(c)
		case since != 0 && since < rested && protocol(c.protocol.Load()) == http1:
			s.cut(c)
		}
	}
}

// closeResting closes the HTTP/1.1 connections on which nothing has come for
// as long as quiet, and reports whether there are others left.
func (s *connections) closeResting(quiet time.Duration) (left bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.open {
		since := c.resting.Load()
		switch {
		case protocol(c.protocol.Load()) != http1:
		case since != 0 && s.now()-since >= int64(quiet):
			s.cut(c)
		default:
			left = true
		}
	}
	return left
}

// count is how many connections are open.
func (s *connections) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.open)
}
