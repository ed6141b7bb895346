package httpx

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"gatehouse.internal/shared/httpx/sockio"
)

// stopPoll is how often it is looked whether the clients have gone.
const stopPoll = 5 * time.Millisecond

// Drain has every answer from now on tell its client to use another connection
// for its next request: "Connection: close" in HTTP/1.1, GOAWAY in HTTP/2. New
// connections are still taken. So clients leave by themselves, at a moment at
// which no request of theirs can be lost.
func (s *Server) Drain() { s.draining.Store(true) }

// announcing tells clients to leave, once the server drains. What a request
// that came before is answered with is completed by the middleware of New.
func (s *Server) announcing(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.draining.Load() {
			w.Header().Set("Connection", "close")
		}
		h.ServeHTTP(w, r)
	})
}

// leaving reports whether the server that a request came to is draining.
func leaving(ctx context.Context) bool {
	s := serverOf(ctx)
	return s != nil && s.draining.Load()
}

// serverOf gives the server that a request came to, or nil.
func serverOf(ctx context.Context) *Server {
	s, _ := ctx.Value(serverKey{}).(*Server)
	return s
}

// run serves, and owns every goroutine but net/http's.
func (s *Server) run(ctx context.Context) error {
	own, end := context.WithCancel(context.WithoutCancel(ctx))
	var group sync.WaitGroup
	defer group.Wait()
	defer end()
	group.Go(func() { s.open.watch(own) })
	plain := newListener(s.tcp, s)
	defer plain.wait.Wait()
	var l net.Listener = plain
	if s.tls != nil {
		secure := newSecureListener(plain, s.tls, s.log)
		group.Go(func() { secure.run(own) })
		l = secure
	}
	var plainest *directListener
	if sockio.Supported && s.tls == nil {
		plainest = newDirectListener(plain)
		group.Go(func() { plainest.run(own) })
		defer plainest.direct.Cut()
		l = plainest
	}
	served := make(chan error, 1)
	group.Go(func() { served <- s.http.Serve(l) })
	select {
	case err := <-served:
		return errors.Join(err, s.http.Close())
	case <-ctx.Done():
	}
	return s.stop(ctx, plain, plainest, served)
}

// stop stops in the order that loses no request: clients are told to leave, no
// new connection is taken, requests under way end, connections that rest are
// closed. Only then does net/http shut down, which HTTP/2 does well, but which
// drops HTTP/1.1 requests that arrive meanwhile. What lasts longer than the
// server's patience is cut off.
func (s *Server) stop(ctx context.Context, l *listener, d *directListener, served <-chan error) error {
	limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.drain)
	defer cancel()
	s.Drain()
	err := l.stop()
	if d == nil {
		select {
		case serveErr := <-served:
			if !errors.Is(serveErr, net.ErrClosed) {
				err = errors.Join(err, serveErr)
			}
		case <-limit.Done():
		}
	} else { // net/http may still get connections that it has taken
		select {
		case <-d.ended:
		case <-limit.Done():
		}
	}
	err = errors.Join(err, s.Close())
	s.waitForClients(limit)
	if d != nil && d.direct.Cut() > 0 {
		err = errors.Join(err, fmt.Errorf("requests were cut off after %v", s.drain))
	}
	if shutErr := s.http.Shutdown(limit); shutErr != nil {
		err = errors.Join(err, fmt.Errorf("requests were cut off after %v: %w", s.drain, shutErr), s.http.Close())
	}
	return err
}

// waitForClients waits until no HTTP/1.1 connection is left, closing those
// that rest.
func (s *Server) waitForClients(ctx context.Context) {
	poll := time.NewTicker(stopPoll)
	defer poll.Stop()
	for s.open.closeResting(s.quiet) {
		select {
		case <-ctx.Done():
			return
		case <-poll.C:
		}
	}
}
