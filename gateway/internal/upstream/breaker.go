package upstream

import (
	"sync"
	"time"

	"gatehouse.internal/shared/fault"
)

// Breaker says when an upstream as a whole is given up for a while, so that
// its callers fail at once instead of waiting for what will fail, and the
// service gets air to recover.
//
// It begins where ejection ends: ejection leaves out single targets, but never
// more than half of them; a Breaker looks at the calls to all targets together
// and leaves out none or all. Whoever can make half of the calls fail can open
// it, so an upstream has none unless its definition says so.
type Breaker struct {
	FailurePercent int           // of the calls within breakerWindow, from which it opens
	MinCalls       int           // within breakerWindow, before anything is concluded
	OpenFor        time.Duration // until one call is let through to try, and again after each that failed
}

// breakerWindow is how far back calls count, half of it at least.
const breakerWindow = 10 * time.Second

// breaker is the state of a Breaker.
type breaker struct {
	Breaker

	mu        sync.Mutex
	since     int64 // when the present half of the window began, by the set's clock
	now, past tally
	open      bool
	until     int64 // while open: when the next call is let through
}

// tally counts calls that told something.
type tally struct{ calls, failed int }

// admit lets a call through, or says for how long none will be. While the
// breaker is open one call is let through each time OpenFor is over.
func (b *breaker) admit(now int64) (wait time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.open {
		return 0
	}
	if now < b.until {
		return time.Duration(b.until - now)
	}
	b.until = now + int64(b.OpenFor)
	return 0
}

// told takes in what became of a call. An answer closes an open breaker,
// whichever call it was to: the service answers.
func (b *breaker) told(now int64, failed bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.open {
		if !failed {
			b.open, b.now, b.past, b.since = false, tally{}, tally{}, now
		}
		return
	}
	b.roll(now)
	b.now.calls++
	if !failed {
		return
	}
	b.now.failed++
	all := tally{b.now.calls + b.past.calls, b.now.failed + b.past.failed}
	if all.calls >= b.MinCalls && all.failed*100 >= b.FailurePercent*all.calls {
		b.open, b.until = true, now+int64(b.OpenFor)
	}
}

// roll forgets what is older than the window.
func (b *breaker) roll(now int64) {
	const half = int64(breakerWindow / 2)
	switch age := now - b.since; {
	case age < half:
		return
	case age < 2*half:
		b.past, b.since = b.now, b.since+half
	default:
		b.past, b.since = tally{}, now
	}
	b.now = tally{}
}

func (b *breaker) isOpen() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.open
}

// errOpen is what callers get while the breaker is open.
func errOpen(wait time.Duration) error {
	err := fault.New(fault.UpstreamUnavailable, "The service behind this route fails too often and is left alone for a moment.")
	err.RetryAfter = max(time.Second, wait)
	return err
}
