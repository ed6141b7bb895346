// Package throttle counts tries for package auth: in Redis for all replicas
// together, several bounds in one atomic step, or in memory while Redis is away
// or slow.
//
// It decides how many tries are left (the generic cell rate algorithm, a token
// bucket that is one number). It promises that of N tries at once exactly as
// many pass as are left under every bound, that it always has an answer within
// its budget, and that memory is bounded. It refuses to know whom a key stands
// for: keys come in as they are and are never logged.
package throttle

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"gatehouse.internal/auth-service/internal/auth"
	"gatehouse.internal/shared/revocation"
)

// The bounds of asking Redis, and of counting without it.
const (
	DefaultBudget = 100 * time.Millisecond // that a caller waits for Redis at most
	DefaultRest   = time.Second            // that Redis is left alone after it failed
	DefaultKeys   = 1 << 17                // that are counted in memory
	poolSize      = 64
	reportEvery   = time.Minute // refusals under one key are reported afresh after it
)

// Config is what a Throttle needs. Zero values but URL, Prefix and Registry
// stand for the defaults.
type Config struct {
	URL      string // redis://…; a secret, as it may hold a password
	Prefix   string // of all keys
	Budget   time.Duration
	Rest     time.Duration
	Keys     int
	Now      func() time.Time
	Log      *slog.Logger
	Registry prometheus.Registerer
}

// Throttle fulfils auth.Throttle. It is for use by many goroutines at once.
type Throttle struct {
	client *redis.Client
	prefix string
	budget time.Duration
	pause  *pause
	memory *memory
	counts counts
}

var _ auth.Throttle = (*Throttle)(nil)

// New returns a Throttle which has not talked to Redis yet, so that it does not
// matter whether the server is there.
func New(c Config) (*Throttle, error) {
	options, err := revocation.RedisOptions(c.URL)
	if err != nil {
		return nil, fmt.Errorf("throttle: %w", err)
	}
	options.PoolSize = poolSize
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	p := &pause{rest: positive(c.Rest, DefaultRest), now: c.Now, log: c.Log}
	counts, err := newCounts(c.Registry, p)
	if err != nil {
		return nil, fmt.Errorf("throttle: %w", err)
	}
	return &Throttle{
		client: redis.NewClient(options), prefix: c.Prefix + ":tries:", budget: positive(c.Budget, DefaultBudget),
		pause: p, memory: newMemory(positive(c.Keys, DefaultKeys), c.Now), counts: counts,
	}, nil
}

func positive[T int | time.Duration](value, otherwise T) T {
	if value <= 0 {
		return otherwise
	}
	return value
}

// Close gives the connections to Redis back.
func (t *Throttle) Close() error {
	if err := t.client.Close(); err != nil {
		return fmt.Errorf("close throttle: %w", err)
	}
	return nil
}

// Alone reports whether this replica counts by itself at the moment.
func (t *Throttle) Alone() bool { return t.pause.resting() }

// Take counts a try under each of the bounds; see auth.Throttle.
func (t *Throttle) Take(ctx context.Context, bounds []auth.Bound) auth.Verdict {
	if len(bounds) == 0 {
		return auth.Verdict{Allowed: true}
	}
	var v auth.Verdict
	shared := t.ask(ctx, func(ctx context.Context) error {
		s, err := t.take(ctx, bounds)
		if err == nil {
			v = s.verdict(bounds)
			t.memory.note(bounds, s)
		}
		return err
	})
	if !shared {
		return t.TakeHere(bounds)
	}
	if !v.Allowed {
		t.counts.refused.WithLabelValues(v.Bound.Name).Inc()
	}
	return v
}

// TakeHere counts a try in memory; see auth.Throttle.
func (t *Throttle) TakeHere(bounds []auth.Bound) auth.Verdict {
	v := t.memory.take(bounds).verdict(bounds)
	if !v.Allowed {
		t.counts.refused.WithLabelValues(v.Bound.Name).Inc()
	}
	return v
}

// Return takes a try back; see auth.Throttle.
func (t *Throttle) Return(ctx context.Context, bounds []auth.Bound) {
	if len(bounds) == 0 {
		return
	}
	t.memory.giveBack(bounds)
	t.ask(ctx, func(ctx context.Context) error { return t.giveBack(ctx, bounds) })
}

// Used tells what is taken up; see auth.Throttle.
func (t *Throttle) Used(ctx context.Context, bounds []auth.Bound) []int {
	if len(bounds) == 0 {
		return nil
	}
	used := t.memory.used(bounds)
	t.ask(ctx, func(ctx context.Context) error {
		shared, err := t.look(ctx, bounds)
		if err == nil {
			used = shared
		}
		return err
	})
	out := make([]int, len(bounds))
	for i, b := range bounds {
		out[i] = int((used[i] + spacing(b) - 1) / spacing(b))
	}
	return out
}

// Forget makes all tries free again; see auth.Throttle.
func (t *Throttle) Forget(ctx context.Context, bounds []auth.Bound) {
	if len(bounds) == 0 {
		return
	}
	t.memory.forget(bounds)
	t.ask(ctx, func(ctx context.Context) error { return t.forget(ctx, bounds) })
}

// ask runs a question to Redis within the budget, unless Redis rests, and
// reports whether there was an answer.
func (t *Throttle) ask(ctx context.Context, question func(ctx context.Context) error) bool {
	if !t.pause.enter() {
		return false
	}
	bounded, cancel := context.WithTimeout(ctx, t.budget)
	defer cancel()
	err := question(bounded)
	if errors.Is(err, context.Canceled) && ctx.Err() != nil {
		t.pause.abandon() // the caller went away: nothing is known of Redis
	} else {
		t.pause.leave(err)
	}
	return err == nil
}

// spacing is how long it takes until one more try is free.
func spacing(b auth.Bound) time.Duration {
	return max(b.Per/time.Duration(b.Tries), time.Microsecond).Truncate(time.Microsecond)
}

// burst is how long it takes until all tries are free.
func burst(b auth.Bound) time.Duration { return spacing(b) * time.Duration(b.Tries) }

// state is what was found out about bounds: which one is used up and for how
// long (at -1 none is), or how much of each is taken up now.
type state struct {
	refused int
	wait    time.Duration
	fresh   bool
	used    []time.Duration
}

func (s state) verdict(bounds []auth.Bound) auth.Verdict {
	if s.refused < 0 {
		return auth.Verdict{Allowed: true}
	}
	return auth.Verdict{Bound: bounds[s.refused], RetryAfter: s.wait, Fresh: s.fresh}
}
