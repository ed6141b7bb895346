package revocation

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"
	"github.com/redis/go-redis/v9/maintnotifications"

	"gatehouse.internal/shared/contract"
)

// RedisKeys are the keys under which Redis holds the revocations. All of them
// but Head and Proof expire with what they revoke.
type RedisKeys struct{ Prefix string }

// Head is a hash with the fields epoch and last: what has been written so far.
func (k RedisKeys) Head() string { return k.Prefix + ":rev:head" }

// Proof is a sealed RedisProof.
func (k RedisKeys) Proof() string { return k.Prefix + ":rev:proof" }

// ID is there if the token or session is revoked.
func (k RedisKeys) ID(id contract.SubjectID) string {
	return k.Prefix + ":rev:i:" + hex.EncodeToString(id[:])
}

// User is a hash with the fields r and s: the lowest versions that are not
// revoked, and not stale.
func (k RedisKeys) User(id contract.SubjectID) string {
	return k.Prefix + ":rev:u:" + hex.EncodeToString(id[:])
}

// Key is there if the signing key is revoked.
func (k RedisKeys) Key(kid string) string { return k.Prefix + ":rev:k:" + kid }

// RedisProof says, sealed for PurposeProof, that whoever holds the numbers up
// to Last knows all that was committed before At, by Redis's own clock.
type RedisProof struct {
	V     int    `json:"v"` // 1
	Epoch uint64 `json:"epoch"`
	Last  uint64 `json:"last"`
	At    int64  `json:"at"` // Unix microseconds, as Redis's TIME gave them
}

// RedisOptions parses a Redis URL and sets what keeps a slow or absent server
// from holding up a request: deadlines that are honoured, one attempt, and
// short timeouts (go-redis would otherwise take up to 5 s for a deadline of
// 100 ms).
func RedisOptions(url string) (*redis.Options, error) {
	options, err := redis.ParseURL(url)
	if err != nil {
		return nil, errors.New("not a Redis URL (redis://[user:password@]host:port/db)") // the text may hold a password
	}
	// The library writes plain lines to standard error, past the JSON log. What
	// they say comes back as errors, too, and is logged by those who asked.
	redis.SetLogger(new(logging.VoidLogger))
	options.ContextTimeoutEnabled = true
	options.MaxRetries = -1
	options.DialerRetries = 1
	options.DialTimeout = 500 * time.Millisecond
	options.ReadTimeout = time.Second
	options.WriteTimeout = time.Second
	// A new connection begins with HELLO and what was asked for, and with no
	// further questions: it is made while a request waits, and the user of a
	// service may do nothing that the service does not need.
	options.DisableIdentity = true
	options.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	return options, nil
}

// The bounds of asking Redis.
const (
	askTimeout  = 50 * time.Millisecond
	askRest     = 250 * time.Millisecond // after a failure Redis is left alone for this long
	maxAtOnce   = 256
	proofFormat = 1
)

// Redis is the second opinion. It never takes longer than 50 ms, asks at most
// 256 questions at once, and rests after a failure, so that a hung Redis does
// not hold up requests. Questions that come while others are on their way share
// a round trip.
type Redis struct {
	client   redis.UniversalClient
	keys     RedisKeys
	signers  EventKeys
	now      func() time.Time
	patience time.Duration // askTimeout, but in benchmarks
	slots    chan struct{}
	line     line
	rest     atomic.Int64 // Unix nanoseconds until which Redis is left alone
	proof    atomic.Pointer[openedProof]
}

// NewRedis returns a second opinion. The client stays the caller's to close.
func NewRedis(client redis.UniversalClient, prefix string, signers EventKeys, now func() time.Time) *Redis {
	return &Redis{
		client: client, keys: RedisKeys{prefix}, signers: signers, now: now, patience: askTimeout,
		slots: make(chan struct{}, maxAtOnce), line: line{free: maxTrips},
	}
}

var (
	errBusy    = errors.New("too many questions to Redis at once")
	errResting = errors.New("redis failed a moment ago")
)

// Ask gives Redis's verdict on a token and the age of its knowledge by its own
// clock. Absence of a revocation counts only beside a proof, read in the same
// transaction, that covers what has been written: an emptied Redis is an error.
func (r *Redis) Ask(ctx context.Context, c *contract.Claims, epoch uint64) (Opinion, error) {
	if r.resting() {
		return Opinion{}, errResting
	}
	select {
	case r.slots <- struct{}{}:
		defer func() { <-r.slots }()
	default:
		return Opinion{}, errBusy
	}
	asked := r.now()
	answer, err := r.share(ctx, c)
	if err != nil {
		return Opinion{}, fmt.Errorf("ask redis for a second opinion: %w", err)
	}
	if answer.verdict == Revoked {
		return Opinion{Verdict: Revoked}, nil // a revocation needs no proof of completeness
	}
	age, err := r.age(answer, epoch)
	if err != nil {
		return Opinion{}, err
	}
	return Opinion{Verdict: answer.verdict, Age: age + r.now().Sub(asked)}, nil
}

// redisAnswer is what one transaction has read.
type redisAnswer struct {
	asked       time.Time // by this process's clock, before it was sent
	at          time.Time // by Redis's
	epoch, last string
	proof       string
	verdict     Verdict
}

// query asks about some tokens in one transaction, and gives an answer for each.
func (r *Redis) query(ctx context.Context, tokens []*contract.Claims) ([]redisAnswer, error) {
	common := redisAnswer{asked: r.now()}
	pipe := r.client.TxPipeline()
	clock := pipe.Time(ctx)
	head := pipe.HMGet(ctx, r.keys.Head(), "epoch", "last")
	proof := pipe.Get(ctx, r.keys.Proof())
	dead, users := make([]*redis.IntCmd, len(tokens)), make([]*redis.SliceCmd, len(tokens))
	for i, c := range tokens {
		dead[i] = pipe.Exists(ctx, r.keys.ID(c.Refs.Token), r.keys.ID(c.Refs.Session), r.keys.Key(c.KeyID))
		users[i] = pipe.HMGet(ctx, r.keys.User(c.Refs.User), "r", "s")
	}
	if _, err := pipe.Exec(ctx); err != nil && !errors.Is(err, redis.Nil) {
		return nil, err
	}
	common.at, common.proof = clock.Val(), proof.Val()
	common.epoch, _ = text(head.Val(), 0)
	common.last, _ = text(head.Val(), 1)
	answers := make([]redisAnswer, len(tokens))
	for i, c := range tokens {
		answers[i] = common
		f := floor{revoked: version(users[i].Val(), 0), stale: version(users[i].Val(), 1)}
		answers[i].verdict = f.verdict(c.Version)
		if dead[i].Val() > 0 {
			answers[i].verdict = Revoked
		}
	}
	return answers, nil
}

func text(values []any, i int) (string, bool) {
	if i >= len(values) {
		return "", false
	}
	s, ok := values[i].(string)
	return s, ok
}

// version reads a version; what is not a number revokes everything, because
// only a fault or an attacker writes that.
func version(values []any, i int) uint32 {
	s, there := text(values, i)
	if !there {
		return 0
	}
	n, err := strconv.ParseUint(s, 10, 32)
	if err != nil {
		return ^uint32(0)
	}
	return uint32(n)
}
