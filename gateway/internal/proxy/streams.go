package proxy

import (
	"context"
	"sync"
	"time"

	"gatehouse.internal/shared/contract"
	"gatehouse.internal/shared/fault"
)

// streamSweep is how often open streams are judged anew. It is part of the
// bound on how long one outlives its session.
const streamSweep = 100 * time.Millisecond

// Revocations judges a token by what is known of revocations, which must be no
// older than maxStaleness.
type Revocations interface {
	Check(ctx context.Context, claims *contract.Claims, maxStaleness time.Duration) error
}

// Streams are the long-lived answers under way: WebSockets, event streams,
// long downloads. The verdict that let one begin is repeated as long as it
// lasts: it is closed when its token, session or user is revoked, when its
// token expires, and when the node's knowledge becomes older than its route
// allows.
type Streams struct {
	Revocations Revocations
	Leeway      time.Duration // how long a token is accepted after its expiry
	Now         func() time.Time

	mu     sync.Mutex
	open   map[*stream]struct{}
	closed bool
}

type stream struct {
	claims       *contract.Claims // nil for nobody
	maxStaleness time.Duration
	endless      bool // it would not end by itself
	close        func() error
}

// add registers a stream. If the gateway is stopping, an endless one is closed
// at once.
func (s *Streams) add(c *stream) {
	s.mu.Lock()
	if s.open == nil {
		s.open = map[*stream]struct{}{}
	}
	s.open[c] = struct{}{}
	refused := s.closed && c.endless
	s.mu.Unlock()
	if refused {
		_ = c.close()
	}
}

func (s *Streams) remove(c *stream) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.open, c)
}

// Len is the number of streams under way.
func (s *Streams) Len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.open)
}

// Run judges the open streams until ctx ends, and then closes the endless ones,
// so that a stopping server need not wait for them. The others may come to
// their end, as every request under way.
func (s *Streams) Run(ctx context.Context) error {
	ticker := time.NewTicker(streamSweep)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			s.mu.Lock()
			s.closed = true
			s.mu.Unlock()
			for _, c := range s.list() {
				if c.endless {
					_ = c.close()
				}
			}
			return nil
		case <-ticker.C:
			s.sweep(ctx)
		}
	}
}

func (s *Streams) list() []*stream {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]*stream, 0, len(s.open))
	for c := range s.open {
		all = append(all, c)
	}
	return all
}

// sweep judges every open stream once. When nothing fresh enough is known for
// one, it is not for others that allow no older knowledge either, so a source
// that hangs is asked once in a sweep and not once for each stream.
func (s *Streams) sweep(ctx context.Context) {
	var unknown time.Duration // knowledge is older than this
	for _, c := range s.list() {
		if c.claims == nil {
			continue
		}
		if s.Now().After(c.claims.ExpiresAt.Add(s.Leeway)) || c.maxStaleness <= unknown && unknown > 0 {
			_ = c.close()
			continue
		}
		err := s.Revocations.Check(ctx, c.claims, c.maxStaleness)
		if err == nil || ctx.Err() != nil {
			continue
		}
		if fault.Is(err, fault.RevocationStateUnknown) {
			unknown = max(unknown, c.maxStaleness)
		}
		_ = c.close()
	}
}
