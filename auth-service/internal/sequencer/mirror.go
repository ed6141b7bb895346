package sequencer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"gatehouse.internal/shared/contract"
	"gatehouse.internal/shared/revocation"
	"gatehouse.internal/shared/sqldb"
)

// The bounds of writing to Redis.
const (
	mirrorTimeout = time.Second
	mirrorChunk   = 500 // entries that one script call writes
	mirrorRest    = time.Second
)

// mirror keeps Redis in step with the database, beside the rounds and never in
// their way. A proof for Redis follows the same order as a head: Redis's clock
// is read first, then a round looks into the database, then what it has found
// is written, and the proof last.
type mirror struct {
	s      *Sequencer
	keys   revocation.RedisKeys
	rounds chan finished

	// These are the run's own: Redis's clock as it was last read, our own when
	// that was, and until when Redis is left alone after a failure.
	redisTime, takenAt, restUntil time.Time
}

// finished is a round that has ended: when it began, and what it found.
type finished struct {
	began time.Time
	state state
}

func newMirror(s *Sequencer) *mirror {
	return &mirror{s: s, keys: revocation.RedisKeys{Prefix: s.RedisPrefix}, rounds: make(chan finished, 1)}
}

// tell replaces a round that was not taken yet by a newer one.
func (m *mirror) tell(f finished) {
	select {
	case <-m.rounds:
	default:
	}
	m.rounds <- f
}

func (m *mirror) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case f := <-m.rounds:
			m.follow(ctx, f)
		}
	}
}

// follow brings Redis in step with a round. The moment that is proven is one
// at which Redis's clock was read before that round began.
func (m *mirror) follow(ctx context.Context, f finished) {
	now := m.s.Now()
	if now.Before(m.restUntil) {
		return
	}
	proven := time.Time{}
	if !m.takenAt.IsZero() && m.takenAt.Before(f.began) {
		proven = m.redisTime
	}
	next, err := m.step(ctx, f.state, proven)
	if err != nil {
		m.redisTime, m.takenAt, m.restUntil = time.Time{}, time.Time{}, now.Add(mirrorRest)
		if ctx.Err() == nil {
			m.s.Log.Warn("redis is not in step with the revocation log", "error", err)
		}
		return
	}
	m.redisTime, m.takenAt = next, m.s.Now()
}

// step writes what Redis lacks up to the round's last number, and a proof if
// there is a moment to prove. It returns Redis's clock, read after that.
func (m *mirror) step(ctx context.Context, s state, proven time.Time) (time.Time, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*mirrorTimeout)
	defer cancel()
	epoch, last, err := m.head(ctx)
	if err != nil {
		return time.Time{}, err
	}
	if ahead(s, epoch, last) {
		return time.Time{}, m.verifyAhead(ctx, epoch, last)
	}
	if epoch != s.Epoch || last+1 < s.Oldest {
		m.s.metrics.refills.Inc()
		if err := m.empty(ctx, s); err != nil {
			return time.Time{}, err
		}
		last = s.Oldest - 1
	}
	if err := m.fill(ctx, s, last); err != nil {
		return time.Time{}, err
	}
	if !proven.IsZero() {
		if err := m.prove(ctx, s, proven); err != nil {
			return time.Time{}, err
		}
	}
	call, cancelCall := context.WithTimeout(ctx, mirrorTimeout)
	defer cancelCall()
	now, err := m.s.Redis.Time(call).Result()
	if err != nil {
		return time.Time{}, fmt.Errorf("read the clock of redis: %w", err)
	}
	return now, nil
}

// head reads how far Redis has come; an empty Redis is at 0 of epoch 0.
func (m *mirror) head(ctx context.Context) (epoch, last uint64, err error) {
	ctx, cancel := context.WithTimeout(ctx, mirrorTimeout)
	defer cancel()
	values, err := m.s.Redis.HMGet(ctx, m.keys.Head(), "epoch", "last").Result()
	if err != nil {
		return 0, 0, fmt.Errorf("read the head of redis: %w", err)
	}
	number := func(v any) uint64 {
		text, _ := v.(string)
		n, _ := strconv.ParseUint(text, 10, 64) // what is not a number counts as nothing, and is filled anew
		return n
	}
	return number(values[0]), number(values[1]), nil
}

// verifyAhead opens a new epoch if Redis holds signed proof of numbers which
// the database has lost, and fills Redis anew if it merely says so.
func (m *mirror) verifyAhead(ctx context.Context, epoch, last uint64) error {
	current, err := m.s.log.look(ctx) // another replica may have gone on since the round
	if err != nil || !ahead(current, epoch, last) {
		return err
	}
	sealed, err := m.s.Redis.Get(ctx, m.keys.Proof()).Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		return fmt.Errorf("read the proof of redis: %w", err)
	}
	var proof revocation.RedisProof
	payload, err := revocation.Open(revocation.PurposeProof, m.s.Keys, []byte(sealed))
	if err == nil && json.Unmarshal(payload, &proof) == nil && ahead(current, proof.Epoch, proof.Last) {
		return m.s.newEpoch(ctx, proof.Epoch)
	}
	m.s.Log.Error("redis claims revocations without proof; filling it anew")
	return m.empty(ctx, current)
}

// empty takes back what Redis says of itself, and sets its head to just before
// the oldest number. Entries stay: they expire, and none is ever untrue.
func (m *mirror) empty(ctx context.Context, s state) error {
	ctx, cancel := context.WithTimeout(ctx, mirrorTimeout)
	defer cancel()
	_, err := m.s.Redis.TxPipelined(ctx, func(p redis.Pipeliner) error {
		p.Del(ctx, m.keys.Proof())
		p.HSet(ctx, m.keys.Head(), "epoch", decimal(s.Epoch), "last", decimal(s.Oldest-1))
		return nil
	})
	if err != nil {
		return fmt.Errorf("empty redis: %w", err)
	}
	return nil
}

// fill writes the numbers after last up to the round's.
func (m *mirror) fill(ctx context.Context, s state, last uint64) error {
	for last < s.Last {
		b, err := m.s.log.batch(ctx, last+1, min(s.Last, last+mirrorChunk))
		if err != nil {
			return err
		}
		if b.Epoch != s.Epoch || len(b.Entries) == 0 || b.First != last+1 {
			return fmt.Errorf("numbers from %d are gone from the log; trying again", last+1)
		}
		if err := m.write(ctx, b); err != nil {
			return err
		}
		last = b.Last()
	}
	return nil
}

// apply writes a batch only if Redis's head is its predecessor. ARGV: epoch,
// predecessor, last number, then kind, expiry (Unix ms) and version of each
// entry; KEYS: the head, then one for each entry.
var apply = redis.NewScript(`
local at = redis.call('HMGET', KEYS[1], 'epoch', 'last')
if at[1] ~= ARGV[1] or at[2] ~= ARGV[2] then return 0 end
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
for i = 2, #KEYS do
  local kind, expiry, version = ARGV[3*i-2], ARGV[3*i-1], ARGV[3*i]
  local ttl = redis.call('PTTL', KEYS[i])
  if kind == 'i' then
    redis.call('SET', KEYS[i], '1')
  else
    local old = tonumber(redis.call('HGET', KEYS[i], kind) or '0')
    if old < tonumber(version) then redis.call('HSET', KEYS[i], kind, version) end
  end
  redis.call('PEXPIRE', KEYS[i], math.max(ttl, tonumber(expiry) - now, 1))
end
redis.call('HSET', KEYS[1], 'last', ARGV[3])
return 1
`)

func (m *mirror) write(ctx context.Context, b contract.Batch) error {
	keys := []string{m.keys.Head()}
	args := []any{decimal(b.Epoch), decimal(b.First - 1), decimal(b.Last())}
	for i := range b.Entries {
		e := &b.Entries[i]
		key, kind := m.keys.ID(e.Subject), "i"
		switch e.Kind {
		case contract.RevokeKey:
			key = m.keys.Key(e.KeyID)
		case contract.RevokeUser:
			key, kind = m.keys.User(e.Subject), "r"
		case contract.RevokeUserStale:
			key, kind = m.keys.User(e.Subject), "s"
		}
		keys = append(keys, key)
		args = append(args, kind, e.ExpiresAt.UnixMilli(), decimal(e.MinVersion))
	}
	ctx, cancel := context.WithTimeout(ctx, mirrorTimeout)
	defer cancel()
	done, err := apply.Run(ctx, m.s.Redis, keys, args...).Int()
	if err != nil {
		return fmt.Errorf("write revocations to redis: %w", err)
	}
	if done != 1 {
		return errors.New("the head of redis has moved; trying again")
	}
	return nil
}

// prove writes the sealed proof that Redis holds all that was committed before
// the moment at, by its own clock.
func (m *mirror) prove(ctx context.Context, s state, at time.Time) error {
	payload, err := json.Marshal(revocation.RedisProof{V: 1, Epoch: s.Epoch, Last: s.Last, At: sqldb.Micros(at)})
	if err != nil {
		return fmt.Errorf("encode redis proof: %w", err)
	}
	sealed, err := m.s.seal(ctx, revocation.PurposeProof, payload)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, mirrorTimeout)
	defer cancel()
	if err := m.s.Redis.Set(ctx, m.keys.Proof(), sealed, 0).Err(); err != nil {
		return fmt.Errorf("write redis proof: %w", err)
	}
	return nil
}

func decimal(n uint64) string { return strconv.FormatUint(n, 10) }
