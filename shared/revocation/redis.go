package revocation

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/logging"

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
		return nil, errors.New("not a Redis URL (redis://[:password@]host:port/db)") // the text may hold a password
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
// not hold up requests.
type Redis struct {
	client  redis.UniversalClient
	keys    RedisKeys
	signers EventKeys
	now     func() time.Time
	slots   chan struct{}
	rest    atomic.Int64 // Unix nanoseconds until which Redis is left alone
	proof   atomic.Pointer[openedProof]
}

// openedProof remembers a proof whose signature held, so that the same bytes
// are not verified again.
type openedProof struct {
	sealed string
	proof  RedisProof
}

// NewRedis returns a second opinion. The client stays the caller's to close.
func NewRedis(client redis.UniversalClient, prefix string, signers EventKeys, now func() time.Time) *Redis {
	return &Redis{client: client, keys: RedisKeys{prefix}, signers: signers, now: now, slots: make(chan struct{}, maxAtOnce)}
}

var (
	errBusy    = errors.New("too many questions to Redis at once")
	errResting = errors.New("redis failed a moment ago")
)

// Ask gives Redis's verdict on a token and the age of its knowledge by its own
// clock. Absence of a revocation counts only beside a proof, read in the same
// transaction, that covers what has been written: an emptied Redis is an error.
func (r *Redis) Ask(ctx context.Context, c *contract.Claims, epoch uint64) (Opinion, error) {
	if r.now().UnixNano() < r.rest.Load() {
		return Opinion{}, errResting
	}
	select {
	case r.slots <- struct{}{}:
		defer func() { <-r.slots }()
	default:
		return Opinion{}, errBusy
	}
	asked := r.now()
	question, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	answer, err := r.query(question, c)
	if err != nil {
		if ctx.Err() == nil { // not the caller's own haste
			r.rest.Store(r.now().Add(askRest).UnixNano())
		}
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
	at          time.Time
	epoch, last string
	proof       string
	verdict     Verdict
}

func (r *Redis) query(ctx context.Context, c *contract.Claims) (redisAnswer, error) {
	pipe := r.client.TxPipeline()
	clock := pipe.Time(ctx)
	head := pipe.HMGet(ctx, r.keys.Head(), "epoch", "last")
	proof := pipe.Get(ctx, r.keys.Proof())
	dead := pipe.Exists(ctx, r.keys.ID(c.Refs.Token), r.keys.ID(c.Refs.Session), r.keys.Key(c.KeyID))
	user := pipe.HMGet(ctx, r.keys.User(c.Refs.User), "r", "s")
	if _, err := pipe.Exec(ctx); err != nil && !errors.Is(err, redis.Nil) {
		return redisAnswer{}, err
	}
	answer := redisAnswer{at: clock.Val(), proof: proof.Val()}
	answer.epoch, _ = text(head.Val(), 0)
	answer.last, _ = text(head.Val(), 1)
	f := floor{revoked: version(user.Val(), 0), stale: version(user.Val(), 1)}
	answer.verdict = f.verdict(c.Version)
	if dead.Val() > 0 {
		answer.verdict = Revoked
	}
	return answer, nil
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

// age is how old Redis's knowledge is, by Redis's clock.
func (r *Redis) age(a redisAnswer, epoch uint64) (time.Duration, error) {
	if a.proof == "" || a.epoch == "" {
		return 0, errors.New("redis has no proof of how complete it is")
	}
	proof, err := r.opened(a.proof)
	if err != nil {
		return 0, err
	}
	last, err := strconv.ParseUint(a.last, 10, 64)
	if err != nil || a.epoch != strconv.FormatUint(proof.Epoch, 10) || last < proof.Last {
		return 0, fmt.Errorf("redis proves number %d of epoch %d but holds %.20q of %.20q", proof.Last, proof.Epoch, a.last, a.epoch)
	}
	if proof.Epoch < epoch {
		return 0, fmt.Errorf("redis holds epoch %d, the newest is %d", proof.Epoch, epoch)
	}
	age := a.at.Sub(time.UnixMicro(proof.At))
	if age < 0 {
		return 0, errors.New("the clock of redis went back")
	}
	return age, nil
}

func (r *Redis) opened(sealed string) (RedisProof, error) {
	if last := r.proof.Load(); last != nil && last.sealed == sealed {
		return last.proof, nil
	}
	payload, err := Open(PurposeProof, r.signers, []byte(sealed))
	if err != nil {
		return RedisProof{}, err
	}
	var proof RedisProof
	if err := json.Unmarshal(payload, &proof); err != nil || proof.V != proofFormat {
		return RedisProof{}, fmt.Errorf("decode redis proof of version %d: %w", proof.V, errors.Join(err, contract.ErrNewerFormat))
	}
	r.proof.Store(&openedProof{sealed, proof})
	return proof, nil
}
