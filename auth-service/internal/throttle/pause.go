package throttle

import (
	"log/slog"
	"sync"
	"time"
)

// pause leaves a Redis that failed alone: nobody asks it for a while, then one
// caller tries.
type pause struct {
	rest time.Duration
	now  func() time.Time
	log  *slog.Logger

	mu    sync.Mutex
	until time.Time // zero while all is well
	trial bool      // somebody is asking a Redis that had failed
}

// enter reports whether the caller may ask. If so, leave or abandon follows.
func (p *pause) enter() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.until.IsZero() {
		return true
	}
	if p.trial || p.now().Before(p.until) {
		return false
	}
	p.trial = true
	return true
}

// leave says how asking went.
func (p *pause) leave(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case err != nil && p.until.IsZero():
		p.log.Warn("tries of passwords are counted by this replica alone", "error", err)
		fallthrough
	case err != nil:
		p.until, p.trial = p.now().Add(p.rest), false
	case p.trial:
		p.until, p.trial = time.Time{}, false
		p.log.Info("tries of passwords are counted with the other replicas again")
	}
}

// abandon says that asking came to no end.
func (p *pause) abandon() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.trial = false
}

// resting reports whether Redis is left alone.
func (p *pause) resting() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return !p.until.IsZero()
}
