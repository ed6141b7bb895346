package limit

import (
	"sync"
	"time"
)

// local counts in memory, in two generations: what was not touched while a
// whole generation filled up is forgotten, so both together never hold more
// than a fixed number of keys.
type local struct {
	now        func() time.Time
	generation int // keys in one

	mu    sync.Mutex
	start time.Time // free moments are counted from here, by the monotonic clock
	young map[string]time.Duration
	old   map[string]time.Duration
}

func newLocal(keys int, now func() time.Time) *local {
	return &local{now: now, start: now(), generation: max(keys/2, 1), young: make(map[string]time.Duration)}
}

// set notes what Redis said, so that a fallback goes on from there.
func (l *local) set(key string, used time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.keep(key, l.now().Sub(l.start)+used)
}

// take is the same algorithm as in Redis. used is what is taken up afterwards.
func (l *local) take(key string, r Rule) (allowed bool, used time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now().Sub(l.start)
	free, known := l.young[key]
	if !known {
		free = l.old[key]
	}
	free = min(max(free, now), now+r.burst())
	if free+r.spacing()-now > r.burst() {
		l.keep(key, free)
		return false, free - now
	}
	free += r.spacing()
	l.keep(key, free)
	return true, free - now
}

// keep writes a key into the young generation, which may become the old one.
func (l *local) keep(key string, free time.Duration) {
	if _, known := l.young[key]; !known && len(l.young) >= l.generation {
		l.old, l.young = l.young, make(map[string]time.Duration)
	}
	l.young[key] = free
}

// size is the number of keys that are held.
func (l *local) size() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.young) + len(l.old)
}
