package upstream

import (
	"net/url"
	"sync/atomic"
	"time"
)

// Outcome says what a call tells about the health of its target.
type Outcome int

// The outcomes of a call.
const (
	// Neutral tells nothing: the client went away, or sent something wrong.
	Neutral Outcome = iota
	// Answered says that the target gave an HTTP answer, of whatever status.
	Answered
	// Failed says that the target was too slow, or broke off, or did not
	// answer in HTTP. A request can be the cause, so one failure is not enough.
	Failed
	// Unreachable says that no connection came about, which no request can
	// cause.
	Unreachable
)

// Target is one backend of a set. What it carries is safe for concurrent use.
type Target struct {
	URL *url.URL // scheme and host; nothing else is set

	set      *Set
	inFlight atomic.Int64
	failures atomic.Int64 // in a row
	sick     atomic.Bool  // in the opinion of the health check
	ejected  atomic.Int64 // until this moment of the set's clock; 0 is never
	times    atomic.Int64 // ejected in a row
	missed   atomic.Int64 // probes in a row
}

// State is a snapshot of a target, for metrics and for administrators.
type State struct {
	URL      string
	InFlight int64
	Healthy  bool // in the opinion of the health check
	Ejected  bool // left out for a while because calls to it failed
}

// State returns a snapshot.
func (t *Target) State() State {
	return State{
		URL:      t.URL.String(),
		InFlight: t.inFlight.Load(),
		Healthy:  !t.sick.Load(),
		Ejected:  t.isEjected(t.set.clock()),
	}
}

func (t *Target) isEjected(now int64) bool { return t.ejected.Load() > now }

// enter takes a place at the target, and reports whether there was one.
func (t *Target) enter() bool {
	if t.inFlight.Add(1) > t.set.maxInFlight {
		t.inFlight.Add(-1)
		return false
	}
	return true
}

// Release gives back the place which Acquire took. It must be called exactly
// once, when the whole exchange is over.
func (t *Target) Release() { t.inFlight.Add(-1) }

// Report takes in what became of a call.
func (t *Target) Report(o Outcome) {
	switch o {
	case Answered:
		if t.failures.Load() != 0 || t.times.Load() != 0 {
			t.failures.Store(0)
			t.times.Store(0)
		}
	case Failed:
		if t.failures.Add(1) >= failureThreshold {
			t.set.eject(t)
		}
	case Unreachable:
		t.set.eject(t)
	case Neutral:
	}
}

// probed takes in what one health check found.
func (t *Target) probed(err error) (changed bool) {
	if err == nil {
		t.missed.Store(0)
		return t.sick.CompareAndSwap(true, false)
	}
	if t.missed.Add(1) < probeThreshold {
		return false
	}
	return t.sick.CompareAndSwap(false, true)
}

// ejection is for how long a target is left out the n-th time in a row.
func ejection(n int64) time.Duration {
	if n > 5 {
		return maxEjection
	}
	return min(maxEjection, firstEjection<<(n-1))
}
