package limit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/redis/go-redis/v9"

	"gatehouse.internal/shared/revocation"
)

// The bounds of asking Redis, and of counting without it.
const (
	// DefaultBudget is how long a request waits for Redis at most.
	DefaultBudget = 50 * time.Millisecond
	// DefaultRest is how long Redis is left alone after it failed.
	DefaultRest = time.Second
	// DefaultLocalKeys is how many callers a node keeps count of on its own.
	DefaultLocalKeys = 1 << 17

	poolSize = 64
)

// Config is what a Limiter needs. Zero values stand for the defaults.
type Config struct {
	URL       string // redis://…; a secret, as it may hold a password
	Prefix    string // of all keys
	Budget    time.Duration
	Rest      time.Duration
	LocalKeys int
	Now       func() time.Time // time.Now if nil
	Log       *slog.Logger
}

// Limiter counts requests. It is for use by many goroutines at once.
type Limiter struct {
	client  *redis.Client
	script  *redis.Script
	prefix  string
	budget  time.Duration
	circuit *circuit
	local   *local
}

// New returns a limiter which has not yet talked to Redis, so that it does not
// matter whether the server is there.
func New(c Config) (*Limiter, error) {
	options, err := revocation.RedisOptions(c.URL)
	if err != nil {
		return nil, fmt.Errorf("rate limits: %w", err)
	}
	options.PoolSize = poolSize
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Budget <= 0 {
		c.Budget = DefaultBudget
	}
	if c.Rest <= 0 {
		c.Rest = DefaultRest
	}
	if c.LocalKeys <= 0 {
		c.LocalKeys = DefaultLocalKeys
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return &Limiter{
		client:  redis.NewClient(options),
		script:  redis.NewScript(take),
		prefix:  c.Prefix + ":limit:",
		budget:  c.Budget,
		circuit: &circuit{rest: c.Rest, now: c.Now, log: c.Log},
		local:   newLocal(c.LocalKeys, c.Now),
	}, nil
}

// Close gives the connections to Redis back.
func (l *Limiter) Close() error {
	if err := l.client.Close(); err != nil {
		return fmt.Errorf("close rate limits: %w", err)
	}
	return nil
}

// Degraded reports whether this node counts on its own at the moment.
func (l *Limiter) Degraded() bool { return l.circuit.open() }

// Allow counts one request against the rule under the key, and tells whether
// it may pass. A request that is refused is not counted.
func (l *Limiter) Allow(ctx context.Context, key string, r Rule) Result {
	if l.circuit.enter() {
		allowed, used, err := l.ask(ctx, key, r)
		if errors.Is(err, context.Canceled) && ctx.Err() != nil {
			l.circuit.abandon() // the caller went away: nothing is known of Redis
		} else {
			l.circuit.leave(err)
		}
		if err == nil {
			l.local.set(key, used)
			return r.result(allowed, used)
		}
	}
	allowed, used := l.local.take(key, r)
	answer := r.result(allowed, used)
	answer.Local = true
	return answer
}

// take is the algorithm in one atomic step. The key holds the moment at which
// the caller's requests are all free again, by the clock of Redis.
const take = `
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local spacing, burst = tonumber(ARGV[1]), tonumber(ARGV[2])
local free = tonumber(redis.call('GET', KEYS[1]) or '') or now
free = math.min(math.max(free, now), now + burst)
if free + spacing - now > burst then return {0, free - now} end
free = free + spacing
redis.call('SET', KEYS[1], string.format('%.0f', free), 'PX', math.ceil((free - now) / 1000) + 1)
return {1, free - now}`

// ask counts a request in Redis. used is what is taken up afterwards.
func (l *Limiter) ask(ctx context.Context, key string, r Rule) (allowed bool, used time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, l.budget)
	defer cancel()
	answer, err := l.script.Run(ctx, l.client, []string{l.prefix + key},
		r.spacing().Microseconds(), r.burst().Microseconds()).Int64Slice()
	if err != nil {
		return false, 0, fmt.Errorf("count a request in Redis: %w", err)
	}
	if len(answer) != 2 {
		return false, 0, fmt.Errorf("count a request in Redis: an answer of %d numbers", len(answer))
	}
	return answer[0] == 1, time.Duration(answer[1]) * time.Microsecond, nil
}
