package token

import (
	"context"
	"crypto/ed25519"
	"errors"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// Defaults of RemoteKeysConfig, and how Run behaves between them.
const (
	DefaultRefreshEvery = 5 * time.Minute
	DefaultSearchEvery  = 5 * time.Second
	DefaultMaxAge       = 24 * time.Hour
	DefaultFetchTimeout = 5 * time.Second

	firstRetry = 50 * time.Millisecond  // doubled up to one of the two below
	coldRetry  = 500 * time.Millisecond // without a set, when nobody can be let in
	warmRetry  = 10 * time.Second

	// settleTime is when Run looks again after Refresh: by then every replica
	// of the issuer has heard of a change.
	settleTime = 15 * time.Second
)

// RemoteKeysConfig says where the issuer's key set is and how often to look.
type RemoteKeysConfig struct {
	URLs   []string     // of replicas, tried in turn
	Client *http.Client // nil: one of its own, which follows no redirect
	Now    func() time.Time
	Log    *slog.Logger

	RefreshEvery time.Duration // 0: DefaultRefreshEvery, give or take a tenth
	SearchEvery  time.Duration // least time between looks for unknown kids; 0: DefaultSearchEvery
	MaxAge       time.Duration // how long a set serves that cannot be renewed; 0: DefaultMaxAge
	FetchTimeout time.Duration // of one request; 0: DefaultFetchTimeout
}

// RemoteKeys is the issuer's key set, fetched over HTTP and kept in memory.
// Known keys are served without waiting for anyone, also while the issuer is
// away, until MaxAge. A bad, empty or garbled answer never replaces a good
// set. An unknown kid makes it look once, at most every SearchEvery for all
// unknown kids together, and is then remembered as unknown for a while.
type RemoteKeys struct {
	config  RemoteKeysConfig
	client  *http.Client
	current atomic.Pointer[snapshot]

	turn    chan struct{} // held by the one fetch that runs
	again   chan struct{} // of size 1: Refresh was called
	started atomic.Uint64 // fetches begun
	first   atomic.Uint64 // index of the URL that answered last
	lastErr error         // of the last fetch; read and written in turn

	mu      sync.Mutex
	unknown map[string]time.Time // kids not to look for again until then
	search  *search              // the look for unknown kids that runs
	looked  time.Time            // when the last one began
}

// snapshot is a set and what is known of it; it never changes.
type snapshot struct {
	set        *Set
	generation uint64
	fetched    time.Time
}

// NewRemoteKeys returns keys that know nothing until Run or Refresh.
func NewRemoteKeys(c RemoteKeysConfig) *RemoteKeys {
	c.RefreshEvery = orDefault(c.RefreshEvery, DefaultRefreshEvery)
	c.SearchEvery = orDefault(c.SearchEvery, DefaultSearchEvery)
	c.MaxAge = orDefault(c.MaxAge, DefaultMaxAge)
	c.FetchTimeout = orDefault(c.FetchTimeout, DefaultFetchTimeout)
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	r := &RemoteKeys{
		config:  c,
		client:  c.Client,
		turn:    make(chan struct{}, 1),
		again:   make(chan struct{}, 1),
		unknown: make(map[string]time.Time),
	}
	if r.client == nil {
		r.client = newClient()
	}
	return r
}

func orDefault(value, def time.Duration) time.Duration {
	if value == 0 {
		return def
	}
	return value
}

// Run fetches the set, at first with quick retries, then every RefreshEvery,
// until ctx ends.
func (r *RemoteKeys) Run(ctx context.Context) error {
	if r.config.Client == nil {
		defer r.client.CloseIdleConnections()
	}
	retry := firstRetry
	for ctx.Err() == nil {
		pause := jitter(r.config.RefreshEvery)
		if err := r.refresh(ctx); err != nil && ctx.Err() == nil {
			r.config.Log.WarnContext(ctx, "fetch key set", "error", err)
			pause = jitter(retry)
			retry = min(2*retry, r.longestRetry())
		} else {
			retry = firstRetry
		}
		select {
		case <-ctx.Done():
		case <-time.After(pause):
		case <-r.again:
			select {
			case <-ctx.Done():
			case <-time.After(min(pause, settleTime)):
			}
		}
	}
	return nil
}

// longestRetry bounds the pause between failed fetches.
func (r *RemoteKeys) longestRetry() time.Duration {
	if r.current.Load() == nil {
		return coldRetry
	}
	return warmRetry
}

// jitter spreads d by a tenth to either side, so that nodes started together
// do not ask together.
func jitter(d time.Duration) time.Duration {
	return d - d/10 + rand.N(d/5+1)
}

// Refresh fetches the set now and returns when that is done. It is for "the
// key set has changed": an answer to a fetch that began before the call does
// not count. Callers at the same time share one fetch. Because the replica
// that answers may not have heard of the change, Run looks again soon after.
func (r *RemoteKeys) Refresh(ctx context.Context) error {
	select {
	case r.again <- struct{}{}:
	default:
	}
	return r.refresh(ctx)
}

func (r *RemoteKeys) refresh(ctx context.Context) error {
	seen := r.started.Load()
	select {
	case r.turn <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-r.turn }()
	if r.started.Load() != seen {
		return r.lastErr // one that began after the call has just ended
	}
	r.started.Add(1)
	var set *Set
	if set, r.lastErr = r.fetchAny(ctx); r.lastErr == nil {
		r.replace(set)
	}
	return r.lastErr
}

// replace makes set the current one. Only the holder of turn calls it.
func (r *RemoteKeys) replace(set *Set) {
	next := &snapshot{set: set, generation: 1, fetched: r.config.Now()}
	if last := r.current.Load(); last != nil {
		next.generation = last.generation
		set.inherit(last.set)
		if !last.set.equal(set) {
			next.generation++
		}
	}
	if last := r.current.Load(); last == nil || last.generation != next.generation {
		r.config.Log.Info("key set changed", "kids", set.KeyIDs(), "ignored", len(set.Ignored))
	}
	r.current.Store(next)
}

var (
	errNoSet  = errors.New("the issuer's key set has not been fetched yet")
	errOldSet = errors.New("the issuer's key set is too old to be trusted")
)

// usable returns the current set, or why there is none to rely on.
func (r *RemoteKeys) usable() (*Set, error) {
	current := r.current.Load()
	if current == nil {
		return nil, errNoSet
	}
	if r.config.Now().Sub(current.fetched) > r.config.MaxAge {
		return nil, errOldSet
	}
	return current.set, nil
}

// Key returns a key of the current set. For a kid that is not in it, it may
// wait for one look at the issuer's set, for less than a second.
func (r *RemoteKeys) Key(ctx context.Context, kid string) (Key, error) {
	if set, err := r.usable(); err == nil {
		if key, known := set.keys[kid]; known {
			return key, nil
		}
	}
	r.lookFor(ctx, kid)
	// Whether or not this request looked, another's look may just have ended.
	set, err := r.usable()
	if err != nil {
		return Key{}, err
	}
	return set.Key(ctx, kid)
}

// EventKey returns a key of the current set for the signatures of revocation
// events. It never waits; call Refresh when a new one may exist.
func (r *RemoteKeys) EventKey(kid string) (ed25519.PublicKey, bool) {
	set, err := r.usable()
	if err != nil {
		return nil, false
	}
	return set.EventKey(kid)
}

// Generation grows when the set of keys has changed; it is 0 before the first.
func (r *RemoteKeys) Generation() uint64 {
	if current := r.current.Load(); current != nil {
		return current.generation
	}
	return 0
}

// Ready says why tokens cannot be verified now, or nil.
func (r *RemoteKeys) Ready(context.Context) error {
	_, err := r.usable()
	return err
}
