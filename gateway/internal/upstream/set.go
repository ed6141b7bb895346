package upstream

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"gatehouse.internal/shared/fault"
)

// The limits of passive and active health.
const (
	failureThreshold = 5 // failures in a row that eject a target
	probeThreshold   = 2 // missed probes in a row that make a target sick
	firstEjection    = time.Second
	maxEjection      = 30 * time.Second
	// DefaultMaxInFlight is how many calls one target gets at a time.
	DefaultMaxInFlight = 2048
)

// Settings describe an upstream.
type Settings struct {
	Targets     []string // http://host:port or https://host:port
	Balance     Balance  // RoundRobin if empty
	MaxInFlight int      // per target; DefaultMaxInFlight if 0

	Now  func() time.Time // time.Now if nil
	Intn func(n int) int  // a random number in [0,n); math/rand if nil
}

// Set is the targets of one upstream and what is known of them.
type Set struct {
	targets     []*Target
	balance     Balance
	maxInFlight int64
	now         func() time.Time
	start       time.Time
	intn        func(n int) int
	turn        atomic.Uint64 // of round robin

	ejecting sync.Mutex // so that two ejections at once respect the bound
}

// New returns the set of an upstream whose targets are all presumed healthy.
func New(s Settings) (*Set, error) {
	set := &Set{balance: s.Balance, maxInFlight: int64(s.MaxInFlight), now: s.Now, intn: s.Intn}
	if set.maxInFlight <= 0 {
		set.maxInFlight = DefaultMaxInFlight
	}
	if set.now == nil {
		set.now = time.Now
	}
	if set.intn == nil {
		set.intn = rand.IntN
	}
	if set.balance == "" {
		set.balance = RoundRobin
	}
	if !set.balance.known() {
		return nil, fmt.Errorf("balance %q is not one of round_robin, least_conn, random_two", s.Balance)
	}
	set.start = set.now()
	if len(s.Targets) == 0 {
		return nil, errors.New("an upstream needs at least one target")
	}
	for _, text := range s.Targets {
		u, err := ParseTarget(text)
		if err != nil {
			return nil, err
		}
		set.targets = append(set.targets, &Target{URL: u, set: set})
	}
	return set, nil
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
	errAllBusy = retrySoon(fault.Overloaded, "Every instance of the service behind this route is busy.")
)

func retrySoon(kind fault.Kind, detail string) *fault.Error {
	err := fault.New(kind, detail)
	err.RetryAfter = time.Second
	return err
}

// Acquire chooses a target other than the one given (which may be nil) and
// takes a place at it, which the caller gives back with Release. It fails with
// UpstreamUnavailable if none is fit, and with Overloaded if all that are have
// as many calls under way as they may.
func (s *Set) Acquire(except *Target) (*Target, error) {
	now := s.clock()
	if t := s.choose(func(t *Target) bool { return t != except && !t.sick.Load() && !t.isEjected(now) }); t != nil {
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
	t.ejected.Store(now + int64(ejection(t.times.Add(1))))
	// After its time it is on probation: the next failure ejects it again.
	t.failures.Store(failureThreshold - 1)
}
