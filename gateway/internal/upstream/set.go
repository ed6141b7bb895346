package upstream

import (
	"cmp"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"gatehouse.internal/shared/fault"
)

// Defaults of passive health and of the bounds on calls.
const (
	DefaultFailures      = 5 // in a row that eject a target
	DefaultFirstEjection = time.Second
	DefaultMaxEjection   = 30 * time.Second
	// DefaultMaxInFlight is how many calls one target gets at a time.
	DefaultMaxInFlight = 2048
)

// Settings describe an upstream.
type Settings struct {
	Targets     []string // http://host:port or https://host:port
	Weights     []int    // of the targets, 1 to MaxWeight; 1 for all if nil
	Balance     Balance  // RoundRobin if empty
	MaxInFlight int      // calls at once, for each target; DefaultMaxInFlight if 0

	Ejection Ejection
	Ramp     time.Duration // over which a target that is back gets its full share again; at once if 0
	Breaker  *Breaker      // nil for none
	// RetryPercent is how many retries there may be for a hundred calls, beside
	// minRetries a second; 0 for none.
	RetryPercent int

	Now  func() time.Time // time.Now if nil
	Intn func(n int) int  // a random number in [0,n); math/rand if nil
}

// Ejection says when a target is left out because calls to it fail, and for
// how long. What is 0 has its default.
type Ejection struct {
	Failures int           // in a row
	First    time.Duration // twice as long each time in a row
	Max      time.Duration
}

// Set is the targets of one upstream and what is known of them.
type Set struct {
	targets     []*Target
	turns       []*Target // as schedule gives them
	balance     Balance
	maxInFlight int64
	ejection    Ejection
	ramp        int64
	breaker     *breaker // nil for none
	budget      *budget  // nil for no retries
	now         func() time.Time
	start       time.Time
	intn        func(n int) int
	turn        atomic.Uint64 // of round robin

	ejecting sync.Mutex // so that two ejections at once respect the bound
}

// New returns the set of an upstream whose targets are all presumed healthy.
func New(s Settings) (*Set, error) {
	s.complete()
	if !s.Balance.known() {
		return nil, fmt.Errorf("balance %q is not one of round_robin, least_conn, random_two", s.Balance)
	}
	set := &Set{
		balance: s.Balance, maxInFlight: int64(s.MaxInFlight), ejection: s.Ejection, ramp: int64(s.Ramp),
		now: s.Now, start: s.Now(), intn: s.Intn,
	}
	if s.Breaker != nil {
		set.breaker = &breaker{Breaker: *s.Breaker}
	}
	if s.RetryPercent > 0 {
		set.budget = newBudget(s.RetryPercent)
	}
	if len(s.Targets) == 0 {
		return nil, errors.New("an upstream needs at least one target")
	}
	if s.Weights != nil && len(s.Weights) != len(s.Targets) {
		return nil, errors.New("an upstream has as many weights as targets, or none")
	}
	for i, text := range s.Targets {
		u, err := ParseTarget(text)
		if err != nil {
			return nil, err
		}
		t := &Target{URL: u, set: set, weight: 1}
		if s.Weights != nil {
			t.weight = int64(s.Weights[i])
		}
		if t.weight < 1 || t.weight > MaxWeight {
			return nil, fmt.Errorf("weight %d is not within 1 and %d", t.weight, MaxWeight)
		}
		set.targets = append(set.targets, t)
	}
	set.turns = schedule(set.targets)
	return set, nil
}

// complete fills in defaults.
func (s *Settings) complete() {
	s.Balance = cmp.Or(s.Balance, RoundRobin)
	s.MaxInFlight = cmp.Or(s.MaxInFlight, DefaultMaxInFlight)
	s.Ejection.Failures = cmp.Or(s.Ejection.Failures, DefaultFailures)
	s.Ejection.First = cmp.Or(s.Ejection.First, DefaultFirstEjection)
	s.Ejection.Max = cmp.Or(s.Ejection.Max, max(DefaultMaxEjection, s.Ejection.First))
	if s.Now == nil {
		s.Now = time.Now
	}
	if s.Intn == nil {
		s.Intn = rand.IntN
	}
}

// ParseTarget reads the address of a target. A path, a query or a password in
// it is refused: the path that was authorised is the path that is forwarded.
func ParseTarget(text string) (*url.URL, error) {
	u, err := url.Parse(text)
	if err != nil {
		return nil, errors.New("a target is not a URL")
	}
	if (u.Scheme != "http" && u.Scheme != "https") || u.Hostname() == "" {
		return nil, fmt.Errorf("target %q is not of the form http://host:port", u.Redacted())
	}
	if (u.Path != "" && u.Path != "/") || u.RawQuery != "" || u.Fragment != "" || u.User != nil {
		return nil, fmt.Errorf("target %q has more than a scheme, a host and a port", u.Redacted())
	}
	return &url.URL{Scheme: u.Scheme, Host: u.Host}, nil
}

var (
	errNoneFit = retrySoon(fault.UpstreamUnavailable, "No instance of the service behind this route can be reached.")
	errNoRetry = errors.New("the retries allowed are used up")
	errAllBusy = retrySoon(fault.Overloaded, "Every instance of the service behind this route is busy.")
)

func retrySoon(kind fault.Kind, detail string) *fault.Error {
	err := fault.New(kind, detail)
	err.RetryAfter = time.Second
	return err
}

// Acquire chooses a target other than the one given (which may be nil) and
// takes a place at it, which the caller gives back with Release. It fails with
// UpstreamUnavailable if none is fit or the breaker is open, and with
// Overloaded if all that are have as many calls under way as they may: nobody
// waits for a place.
func (s *Set) Acquire(except *Target) (*Target, error) {
	now := s.clock()
	if s.breaker != nil {
		if wait := s.breaker.admit(now); wait > 0 {
			return nil, errOpen(wait)
		}
	}
	if s.budget != nil && except == nil {
		s.budget.called()
	}
	return s.take(now, except)
}

// Retry takes a place for a call that is made again after one to last has
// failed: at another target or, if there is none, at the same. It fails if the
// retries allowed are used up, and as Acquire does.
func (s *Set) Retry(last *Target) (*Target, error) {
	now := s.clock()
	if s.budget == nil || !s.budget.spend(now) {
		return nil, errNoRetry
	}
	if s.breaker != nil {
		if wait := s.breaker.admit(now); wait > 0 {
			return nil, errOpen(wait)
		}
	}
	if t, err := s.take(now, last); err == nil {
		return t, nil
	}
	return s.take(now, nil)
}

func (s *Set) take(now int64, except *Target) (*Target, error) {
	fit := func(t *Target) bool { return t != except && !t.sick.Load() && !t.isEjected(now) }
	if t := s.choose(func(t *Target) bool { return fit(t) && t.isRamped(now) }); t != nil {
		return t, nil
	}
	if t := s.choose(fit); t != nil {
		return t, nil
	}
	// Rather one that failed lately than none at all; but not one that its
	// health check calls sick.
	wanted := func(t *Target) bool { return t != except && !t.sick.Load() }
	if t := s.choose(wanted); t != nil {
		return t, nil
	}
	for _, t := range s.targets {
		if wanted(t) {
			return nil, errAllBusy
		}
	}
	return nil, errNoneFit
}

// Open reports whether the breaker keeps calls back.
func (s *Set) Open() bool { return s.breaker != nil && s.breaker.isOpen() }

// Targets returns all targets, in the order of the settings.
func (s *Set) Targets() []*Target { return s.targets }

// clock is the set's own time: nanoseconds since it was made, so that a wall
// clock that jumps does not eject a target for years.
func (s *Set) clock() int64 { return int64(s.now().Sub(s.start)) }

// eject leaves a target out for a while, unless half of the targets would be
// left out then.
func (s *Set) eject(t *Target) {
	s.ejecting.Lock()
	defer s.ejecting.Unlock()
	now := s.clock()
	if t.isEjected(now) {
		return
	}
	out := 1
	for _, other := range s.targets {
		if other.isEjected(now) {
			out++
		}
	}
	if out*2 > len(s.targets) {
		return
	}
	until := now + int64(s.ejection.length(t.times.Add(1)))
	t.ejected.Store(until)
	t.back.Store(until)
	// After its time it is on probation: the next failure ejects it again.
	t.failures.Store(int64(s.ejection.Failures) - 1)
}
