package live

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"gatehouse.internal/shared/contract"
)

// Revocations judges a token by what is known of revocations, which must be no
// older than maxStaleness.
type Revocations interface {
	Check(ctx context.Context, claims *contract.Claims, maxStaleness time.Duration) error
}

// Options make a Registry.
type Options struct {
	Revocations Revocations
	// Fresh reports whether this node knows enough, by itself, for answers which
	// allow knowledge of the given age: then Check asks nobody. It may be nil,
	// for never.
	Fresh func(maxStaleness time.Duration) bool
	Now   func() time.Time
	// Ended is told of every answer that ended, and why. It may be nil.
	Ended func(Kind, Cause)
}

// Registry holds the long answers under way. It is safe for concurrent use.
type Registry struct {
	o       Options
	watched atomic.Int64 // answers of somebody
	wake    chan struct{}
	gone    chan struct{} // an answer has ended while the gateway stops

	mu      sync.Mutex // guards what follows
	open    set
	ids     map[contract.SubjectID]set // by jti and by sid
	users   map[contract.SubjectID]set
	limits  map[time.Duration]int // how many answers allow knowledge of this age
	count   [kinds]int
	due     []end
	stopped bool
}

type set map[*Answer]struct{}

// end is an answer that must end, and has not been told yet.
type end struct {
	answer *Answer
	cause  Cause
}

// New returns an empty registry.
func New(o Options) *Registry {
	if o.Fresh == nil {
		o.Fresh = func(time.Duration) bool { return false }
	}
	if o.Ended == nil {
		o.Ended = func(Kind, Cause) {}
	}
	return &Registry{
		o: o, wake: make(chan struct{}, 1), gone: make(chan struct{}, 1), open: set{}, limits: map[time.Duration]int{},
		ids: map[contract.SubjectID]set{}, users: map[contract.SubjectID]set{},
	}
}

// Add registers an answer that has begun. What was revoked before is noticed
// here; what is revoked from now on, by Applied.
func (r *Registry) Add(a *Answer) {
	r.mu.Lock()
	r.open[a] = struct{}{}
	r.count[a.Kind]++
	if r.stopped && a.Kind.endless() {
		r.mustEnd(a, Stopping)
	}
	if !a.Until.IsZero() {
		a.timer = time.AfterFunc(a.Until.Sub(r.o.Now()), func() { r.end(a, Expired) })
	}
	if a.Claims != nil {
		r.watched.Add(1) // before the check below, so that Applied sees it or the check does
		add(r.ids, a.Claims.Refs.Token, a)
		add(r.ids, a.Claims.Refs.Session, a)
		add(r.users, a.Claims.Refs.User, a)
		r.limits[a.MaxStaleness]++
	}
	r.mu.Unlock()
	if a.Claims == nil || !r.o.Fresh(a.MaxStaleness) {
		return // judge asks soon, so that an answer need not wait for a source that hangs
	}
	if err := r.o.Revocations.Check(context.Background(), a.Claims, a.MaxStaleness); err != nil {
		r.end(a, causeOf(err))
	}
}

// Remove forgets an answer that has ended.
func (r *Registry) Remove(a *Answer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, there := r.open[a]; !there {
		return
	}
	delete(r.open, a)
	r.count[a.Kind]--
	if a.timer != nil {
		a.timer.Stop()
	}
	if a.Claims != nil {
		r.watched.Add(-1)
		drop(r.ids, a.Claims.Refs.Token, a)
		drop(r.ids, a.Claims.Refs.Session, a)
		drop(r.users, a.Claims.Refs.User, a)
		if r.limits[a.MaxStaleness]--; r.limits[a.MaxStaleness] == 0 {
			delete(r.limits, a.MaxStaleness)
		}
	}
	if !a.ending {
		r.o.Ended(a.Kind, Ended)
	}
	if r.stopped {
		signal(r.gone)
	}
}

// Count is the number of answers of a kind that are under way.
func (r *Registry) Count(k Kind) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.count[k]
}

// Len is the number of answers under way.
func (r *Registry) Len() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.open)
}

// Applied ends the answers that revocations concern. It is told of every batch
// once the node's view holds it, never blocks, and costs next to nothing while
// no answer of anybody is under way.
func (r *Registry) Applied(entries []contract.Entry) {
	if r.watched.Load() == 0 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range entries {
		r.apply(&entries[i])
	}
}

func (r *Registry) apply(e *contract.Entry) {
	switch e.Kind {
	case contract.RevokeToken, contract.RevokeSession:
		for a := range r.ids[e.Subject] {
			r.mustEnd(a, Revoked)
		}
	case contract.RevokeUser, contract.RevokeUserStale:
		cause := Revoked
		if e.Kind == contract.RevokeUserStale {
			cause = Stale
		}
		for a := range r.users[e.Subject] {
			if a.Claims.Version < e.MinVersion {
				r.mustEnd(a, cause)
			}
		}
	case contract.RevokeKey: // hardly ever, and then for most answers: an index would cost more than it saves
		for a := range r.open {
			if a.Claims != nil && a.Claims.KeyID == e.KeyID {
				r.mustEnd(a, Revoked)
			}
		}
	}
}

// end has an answer ended.
func (r *Registry) end(a *Answer, cause Cause) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, open := r.open[a]; open {
		r.mustEnd(a, cause)
	}
}

// mustEnd notes that an open answer must end, once. The lock is held, so the
// end itself comes from Run.
func (r *Registry) mustEnd(a *Answer, cause Cause) {
	if a.ending {
		return
	}
	a.ending = true
	r.due = append(r.due, end{a, cause})
	r.o.Ended(a.Kind, cause)
	signal(r.wake)
}

func add(index map[contract.SubjectID]set, id contract.SubjectID, a *Answer) {
	if index[id] == nil {
		index[id] = set{}
	}
	index[id][a] = struct{}{}
}

func drop(index map[contract.SubjectID]set, id contract.SubjectID, a *Answer) {
	delete(index[id], a)
	if len(index[id]) == 0 {
		delete(index, id)
	}
}

// signal wakes whoever waits on c, once.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
