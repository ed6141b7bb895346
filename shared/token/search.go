package token

import (
	"context"
	"time"
)

// Bounds of the looks for unknown kids.
const (
	searchTimeout = 800 * time.Millisecond // a refusal takes less than a second
	maxSearchers  = 64                     // requests that wait for one look
	unknownFor    = time.Minute
	maxUnknown    = 1024
)

// search is one look for unknown kids; done is closed at its end.
type search struct {
	done    chan struct{}
	waiting int
}

// lookFor has the key set fetched once if that is due. Requests that come
// while that runs wait for it, up to a bound; it returns at once for all
// others.
func (r *RemoteKeys) lookFor(ctx context.Context, kid string) {
	r.mu.Lock()
	now := r.config.Now()
	if now.Before(r.unknown[kid]) {
		r.mu.Unlock()
		return
	}
	if running := r.search; running != nil {
		if running.waiting >= maxSearchers {
			r.mu.Unlock()
			return
		}
		running.waiting++
		r.mu.Unlock()
		select {
		case <-running.done:
		case <-ctx.Done():
		}
		return
	}
	if !r.looked.IsZero() && now.Sub(r.looked) < r.config.SearchEvery {
		r.mu.Unlock()
		return
	}
	mine := &search{done: make(chan struct{})}
	r.search, r.looked = mine, now
	r.mu.Unlock()

	r.find(ctx, kid)

	r.mu.Lock()
	r.search = nil
	r.mu.Unlock()
	close(mine.done)
}

// find fetches the set for whoever waits, whether or not the request that
// asked first is still there, and remembers a kid that a good answer lacks.
func (r *RemoteKeys) find(ctx context.Context, kid string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), searchTimeout)
	defer cancel()
	if err := r.refresh(ctx); err != nil {
		r.config.Log.WarnContext(ctx, "fetch key set for an unknown kid", "error", err)
		return
	}
	if _, err := r.current.Load().set.Key(ctx, kid); err == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.unknown) >= maxUnknown {
		clear(r.unknown)
	}
	r.unknown[kid] = r.config.Now().Add(unknownFor)
}
