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
	weight   int64
	inFlight atomic.Int64
	failures atomic.Int64 // in a row
	sick     atomic.Bool  // in the opinion of the health check
	ejected  atomic.Int64 // until this moment of the set's clock; 0 is never
	times    atomic.Int64 // ejected in a row
	missed   atomic.Int64 // probes in a row
	hits     atomic.Int64 // probes in a row
	back     atomic.Int64 // since when it is fit again, by the set's clock; 0 if it always was
}

// State is a snapshot of a target, for metrics and for administrators.
type State struct {
	URL      string
	InFlight int64
	Weight   int64
	Healthy  bool // in the opinion of the health check
	Ejected  bool // left out for a while because calls to it failed
}

// State returns a snapshot.
func (t *Target) State() State {
	return State{
		URL:      t.URL.String(),
		InFlight: t.inFlight.Load(),
		Weight:   t.weight,
		Healthy:  !t.sick.Load(),
		Ejected:  t.isEjected(t.set.clock()),
	}
}

func (t *Target) isEjected(now int64) bool { return t.ejected.Load() > now }

// isRamped reports whether a target gets this call. One that has come back gets
// a tenth of its share at first, and more with time: its caches are cold, and
// what made it fail may not be over.
func (t *Target) isRamped(now int64) bool {
	back := t.back.Load()
	if back == 0 {
		return true
	}
	if now-back >= t.set.ramp {
		t.back.CompareAndSwap(back, 0)
		return true
	}
	const all = 1000
	return int64(t.set.intn(all)) < max(all/10, (now-back)*all/t.set.ramp)
}

// hasRoom reports whether there is a place.
func (t *Target) hasRoom() bool { return t.inFlight.Load() < t.set.maxInFlight }

// lessBusyThan compares calls under way, each in proportion to the weight.
func (t *Target) lessBusyThan(other *Target) bool {
	return t.inFlight.Load()*other.weight < other.inFlight.Load()*t.weight
}

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
	if b := t.set.breaker; b != nil && o != Neutral {
		b.told(t.set.clock(), o != Answered)
	}
	switch o {
	case Answered:
		if t.failures.Load() != 0 || t.times.Load() != 0 {
			t.failures.Store(0)
			t.times.Store(0)
		}
	case Failed:
		if t.failures.Add(1) >= int64(t.set.ejection.Failures) {
			t.set.eject(t)
		}
	case Unreachable:
		t.set.eject(t)
	case Neutral:
	}
}

// probed takes in what one health check found.
func (t *Target) probed(h Health, err error) (changed bool) {
	if err != nil {
		t.hits.Store(0)
		return t.missed.Add(1) >= int64(h.Unhealthy) && t.sick.CompareAndSwap(false, true)
	}
	t.missed.Store(0)
	if t.hits.Add(1) < int64(h.Healthy) || !t.sick.Load() {
		return false
	}
	t.back.Store(t.set.clock())
	return t.sick.CompareAndSwap(true, false)
}

// length is for how long a target is left out the n-th time in a row.
func (e Ejection) length(n int64) time.Duration {
	long := e.First
	for range min(n, 32) - 1 {
		if long >= e.Max/2 {
			return e.Max
		}
		long *= 2
	}
	return min(e.Max, long)
}
