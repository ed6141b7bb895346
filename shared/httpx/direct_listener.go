package httpx

import (
	"context"
	"errors"
	"net"
	"sync"

	"gatehouse.internal/shared/httpx/direct"
)

// directListener serves connections in clear, each in a goroutine, and gives out
// those that are for net/http; run waits for all. They are as many as Limits
// allow.
type directListener struct {
	*listener
	direct *direct.Server
	ready  chan accepted // closed when there will be no more
	ended  chan struct{} // closed when no new connection is taken
}

func newDirectListener(l *listener) *directListener {
	s := l.server
	return &directListener{listener: l, ready: make(chan accepted), ended: make(chan struct{}), direct: &direct.Server{
		Handler: s.http.Handler, Base: s.http.BaseContext(nil), Head: s.limits.Head, Rest: restTime, MaxHead: s.limits.MaxHead, HTTP2: s.cleartextHTTP2, Log: s.log,
	}}
}

// Accept waits for the next connection that is for net/http.
func (l *directListener) Accept() (net.Conn, error) {
	if next, more := <-l.ready; more {
		return next.conn, next.err
	}
	return nil, net.ErrClosed
}

// Close gives the address back, if that was not done.
func (l *directListener) Close() error { return l.server.Close() }

// run takes connections until the listener is stopped or closed, and waits
// until all of them have ended or were given out.
func (l *directListener) run(ctx context.Context) {
	defer close(l.ready)
	watching, end := context.WithCancel(context.WithoutCancel(ctx))
	var watch, group sync.WaitGroup
	watch.Go(func() { l.direct.Watch(watching) })
	defer watch.Wait()
	defer end()
	defer group.Wait()
	defer close(l.ended)
	for {
		c, err := l.admit()
		switch {
		case errors.Is(err, net.ErrClosed):
			if !l.server.draining.Load() { // nobody has asked for that, so it is told at once
				l.direct.Cut()
			}
			return
		case err == nil:
			group.Go(func() { l.serve(ctx, c) })
		case !l.give(ctx, accepted{err: err}): // net/http waits a moment if the error will pass
			return
		}
	}
}

// serve serves a connection until it ends or is given out.
func (l *directListener) serve(ctx context.Context, c *connection) {
	pending, handOver := l.direct.Serve(c)
	if !handOver {
		return
	}
	conn := l.server.http1(c, c, false)
	conn.before = pending
	if !l.give(ctx, accepted{conn: conn}) {
		_ = c.Close()
	}
}

func (l *directListener) give(ctx context.Context, next accepted) bool {
	select {
	case l.ready <- next:
		return true
	case <-ctx.Done():
		return false
	}
}
