package user

import (
	"context"
	"sync"
	"time"

	"gatehouse.internal/shared/fault"
)

const (
	// reread is how often a waiting request looks for itself: the event may
	// have gone to another replica, which does not announce it here.
	reread = 100 * time.Millisecond
	// maxWaiting bounds the requests that wait.
	maxWaiting = 1000
)

// arrivals tells waiting requests that an account has been heard of. The zero
// value is ready.
type arrivals struct {
	mu      sync.Mutex
	waiting map[string]*arrival
	count   int // of requests, over all accounts
}

// arrival is what the requests of one account wait for.
type arrival struct {
	arrived chan struct{} // closed by announce
	count   int
}

// join returns a channel that is closed at the next announcement, and the
// function to call when waiting is over. It refuses when too many wait.
func (a *arrivals) join(id string) (<-chan struct{}, func(), error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.count >= maxWaiting {
		return nil, nil, fault.New(fault.Overloaded, "Too many requests wait for new accounts.")
	}
	w := a.waiting[id]
	if w == nil {
		if a.waiting == nil {
			a.waiting = make(map[string]*arrival)
		}
		w = &arrival{arrived: make(chan struct{})}
		a.waiting[id] = w
	}
	w.count++
	a.count++
	return w.arrived, func() { a.leave(id, w) }, nil
}

// leave ends one request's wait.
func (a *arrivals) leave(id string, w *arrival) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.count--
	if w.count--; w.count == 0 && a.waiting[id] == w {
		delete(a.waiting, id)
	}
}

// announce wakes the requests that wait for the account.
func (a *arrivals) announce(id string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if w := a.waiting[id]; w != nil {
		close(w.arrived)
		delete(a.waiting, id)
	}
}

// await returns the record of an account that has signed in. Since it must
// exist, one that nothing was heard of is waited for.
func (s *Service) await(ctx context.Context, id string) (Record, error) {
	r, err := s.Store.Find(ctx, id)
	if fault.Is(err, fault.NotFound) {
		r, err = s.wait(ctx, id)
	}
	if err == nil && r.Deleted() {
		return Record{}, errNoAccount
	}
	return r, err
}

// wait looks for the account until it is there or patience ends.
func (s *Service) wait(ctx context.Context, id string) (Record, error) {
	// Joined before looking: what arrives after the look is announced.
	arrived, leave, err := s.arrivals.join(id)
	if err != nil {
		return Record{}, err
	}
	defer leave()
	ctx, cancel := context.WithTimeout(ctx, s.Patience)
	defer cancel()
	tick := time.NewTicker(reread)
	defer tick.Stop()
	for {
		r, err := s.Store.Find(ctx, id)
		if err == nil || !fault.Is(err, fault.NotFound) && ctx.Err() == nil {
			return r, err
		}
		select {
		case <-arrived:
			arrived = nil // closed for good; from here on only the ticks count
		case <-tick.C:
		case <-ctx.Done():
			late := fault.Wrap(fault.Unavailable, "Your account is still being set up.", ctx.Err())
			late.RetryAfter = time.Second
			return Record{}, late
		}
	}
}
