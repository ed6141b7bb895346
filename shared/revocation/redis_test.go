package revocation

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/redis/go-redis/v9"

	"gatehouse.internal/shared/contract"
	"gatehouse.internal/shared/embedded/testenv"
)

// store is a Redis with what a sequencer writes there.
type store struct {
	t      testing.TB
	client *redis.Client
	keys   RedisKeys
	issuer issuer
}

func newStore(t testing.TB, url, prefix string) *store {
	t.Helper()
	client, err := NewRedisClient(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = client.Close() })
	s := &store{t: t, client: client, keys: RedisKeys{Prefix: prefix}, issuer: newIssuer(t, "e1")}
	s.prove(3, s.time())
	s.must(client.HSet(t.Context(), s.keys.Head(), "epoch", "1", "last", "3").Err())
	return s
}

func (s *store) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// time reads the server's clock.
func (s *store) time() time.Time {
	s.t.Helper()
	at, err := s.client.Time(s.t.Context()).Result()
	s.must(err)
	return at
}

// prove writes the proof that everything up to a number was there at a moment.
func (s *store) prove(last uint64, at time.Time) {
	s.t.Helper()
	payload, err := json.Marshal(RedisProof{V: proofFormat, Epoch: 1, Last: last, At: at.UnixMicro()})
	s.must(err)
	s.must(s.client.Set(s.t.Context(), s.keys.Proof(), Seal(PurposeProof, s.issuer.kid, s.issuer.key, payload), 0).Err())
}

// opinion is that of a node which has not asked yet.
func (s *store) opinion(now func() time.Time) *Redis {
	return NewRedis(s.client, s.keys.Prefix, s.issuer, now)
}

// between is what stands between a client and its Redis.
type between struct {
	trips  atomic.Int64
	shift  atomic.Int64  // by which Redis's clock is set, in nanoseconds
	gate   chan struct{} // each trip waits for it to close; may be nil
	silent bool          // Redis does not answer
}

func (h *between) DialHook(next redis.DialHook) redis.DialHook          { return next }
func (h *between) ProcessHook(next redis.ProcessHook) redis.ProcessHook { return next }

func (h *between) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error {
		if !slices.ContainsFunc(cmds, func(cmd redis.Cmder) bool { return cmd.Name() == "time" }) {
			return next(ctx, cmds) // what a new connection begins with
		}
		h.trips.Add(1)
		if h.silent {
			<-ctx.Done()
			return ctx.Err()
		}
		if h.gate != nil {
			<-h.gate
		}
		err := next(ctx, cmds)
		for _, cmd := range cmds {
			if c, is := cmd.(*redis.TimeCmd); is {
				c.SetVal(c.Val().Add(time.Duration(h.shift.Load())))
			}
		}
		return err
	}
}

func TestRedis_F33_a_clock_that_is_set_back_makes_no_proof_younger_that_was_seen(t *testing.T) {
	testenv.EachRedis(t, func(t *testing.T, url, prefix string) {
		s := newStore(t, url, prefix)
		var h between
		s.client.AddHook(&h)
		clock := &clock{start}
		second := s.opinion(clock.now)
		second.patience = time.Minute
		age := func() time.Duration {
			t.Helper()
			opinion, err := second.Ask(t.Context(), aboutUser(1), 1)
			s.must(err)
			return opinion.Age
		}
		first := age()
		pass := func(d, redisClock time.Duration) {
			clock.advance(d)
			h.shift.Add(int64(redisClock))
		}
		pass(20*time.Second, 20*time.Second)
		if got := age(); got < first+20*time.Second {
			t.Errorf("age %v after 20 s", got)
		}
		pass(time.Second, -15*time.Second) // set back by 16 s
		if got := age(); got < first+21*time.Second {
			t.Errorf("age %v after 21 s and a clock that was set back", got)
		}
		s.prove(3, s.time().Add(time.Duration(h.shift.Load())))
		if got := age(); got > 15*time.Second {
			t.Errorf("age %v of a new proof by the new clock", got)
		}
	})
}

func TestRedis_questions_that_come_together_share_trips_and_each_has_its_own_answer(t *testing.T) {
	testenv.EachRedis(t, func(t *testing.T, url, prefix string) {
		const callers = 200
		s := newStore(t, url, prefix)
		for n := range callers {
			if n%3 == 0 {
				s.must(s.client.Set(t.Context(), s.keys.ID(aboutUser(n).Refs.Session), "1", time.Minute).Err())
			}
			if n%3 == 1 {
				s.must(s.client.HSet(t.Context(), s.keys.User(aboutUser(n).Refs.User), "s", "2").Err())
			}
		}
		h := between{gate: make(chan struct{})}
		s.client.AddHook(&h)
		second := s.opinion(time.Now)
		second.patience = time.Minute
		var all sync.WaitGroup
		for n := range callers {
			until(t, "the first make trips", func() bool { return h.trips.Load() == int64(min(n, maxTrips)) })
			all.Go(func() {
				want := []Verdict{Revoked, Stale, Good}[n%3]
				if opinion, err := second.Ask(t.Context(), aboutUser(n), 1); err != nil || opinion.Verdict != want {
					t.Errorf("caller %d: %+v, %v, want verdict %d", n, opinion, err, want)
				}
			})
		}
		until(t, "all but the first are in the line", func() bool { return second.line.length() == callers-maxTrips })
		close(h.gate)
		all.Wait()
		if got := h.trips.Load(); got > maxTrips+(callers+maxShared-1)/maxShared {
			t.Errorf("%d trips for %d questions", got, callers)
		}
	})
}

func TestRedis_a_caller_who_goes_away_does_not_take_the_answers_of_others_along(t *testing.T) {
	url, prefix := testenv.Redis(t)
	s := newStore(t, url, prefix)
	h := between{gate: make(chan struct{})}
	s.client.AddHook(&h)
	second := s.opinion(time.Now)
	second.patience = time.Minute
	ctx, goAway := context.WithCancel(t.Context())
	var all sync.WaitGroup
	for n := range maxTrips {
		all.Go(func() { _, _ = second.Ask(ctx, aboutUser(1), 1) })
		until(t, "a trip has begun", func() bool { return h.trips.Load() == int64(n+1) })
	}
	for range 10 {
		all.Go(func() { _, _ = second.Ask(ctx, aboutUser(2), 1) })
	}
	var err error
	all.Go(func() { _, err = second.Ask(t.Context(), aboutUser(3), 1) })
	until(t, "the others wait", func() bool { return second.line.length() == 11 })
	goAway()
	until(t, "one is left in the line", func() bool { return second.line.length() == 1 })
	close(h.gate)
	all.Wait()
	if err != nil {
		t.Errorf("the one who stayed has no answer: %v", err)
	}
	if second.line.free != maxTrips || second.line.length() != 0 {
		t.Errorf("%d of %d trips are free, %d questions in the line", second.line.free, maxTrips, second.line.length())
	}
}

func TestRedis_I9_a_hung_redis_holds_nobody_longer_than_the_bound_and_is_left_alone_then(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		client := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1", ContextTimeoutEnabled: true})
		defer func() { _ = client.Close() }()
		h := between{silent: true}
		client.AddHook(&h)
		second := NewRedis(client, "p", newIssuer(t, "e1"), time.Now)
		var all sync.WaitGroup
		for n := range 3 * maxAtOnce {
			all.Go(func() {
				asked := time.Now()
				if _, err := second.Ask(t.Context(), aboutUser(n), 1); err == nil {
					t.Error("an opinion of a Redis that does not answer")
				}
				if took := time.Since(asked); took > askTimeout {
					t.Errorf("an answer after %v", took)
				}
			})
		}
		all.Wait()
		if got := h.trips.Load(); got > maxTrips {
			t.Errorf("%d trips to a Redis that does not answer", got)
		}
		if _, err := second.Ask(t.Context(), aboutUser(1), 1); !errors.Is(err, errResting) {
			t.Errorf("asked again at once: %v", err)
		}
		time.Sleep(askRest)
		_, _ = second.Ask(t.Context(), aboutUser(1), 1)
		if got := h.trips.Load(); got > maxTrips+1 || second.line.free != maxTrips || second.line.length() != 0 {
			t.Errorf("%d trips; %d are free, %d questions in the line", got, second.line.free, second.line.length())
		}
	})
}

func (l *line) length() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.waiting)
}

// until waits for a condition.
func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	if holds() {
		return
	}
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	deadline := time.After(20 * time.Second)
	for !holds() {
		select {
		case <-ticker.C:
		case <-deadline:
			t.Fatalf("not within 20 s: %s", what)
		}
	}
}

// BenchmarkRedis_Ask asks about different tokens, that many at once, as the
// requests of a node do which has lost the broker. It waits for every answer,
// and prints how many there are a second, and how many come later than the
// bound of a question.
func BenchmarkRedis_Ask(b *testing.B) {
	for _, server := range []struct {
		name  string
		start func(testing.TB) (url, prefix string)
	}{{"embedded", testenv.Redis}, {"real", testenv.RealRedis}} {
		for _, callers := range []int{2, 16, 128} {
			b.Run(fmt.Sprintf("%s/%d_callers", server.name, callers), func(b *testing.B) {
				url, prefix := server.start(b)
				second := newStore(b, url, prefix).opinion(time.Now)
				second.patience = time.Minute
				var late atomic.Int64
				b.SetParallelism(callers / runtime.GOMAXPROCS(0))
				b.ReportAllocs()
				b.ResetTimer()
				b.RunParallel(func(pb *testing.PB) {
					for n := 0; pb.Next(); n++ {
						asked := time.Now()
						if _, err := second.Ask(b.Context(), aboutUser(n), 1); err != nil {
							b.Error(err)
							return
						}
						if time.Since(asked) > askTimeout {
							late.Add(1)
						}
					}
				})
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "answers/s")
				b.ReportMetric(100*float64(late.Load())/float64(b.N), "late-%")
			})
		}
	}
}

// aboutUser gives the claims of one of many tokens.
func aboutUser(n int) *contract.Claims {
	subject := contract.ParseSubjectID(strconv.Itoa(n))
	return &contract.Claims{KeyID: "k1", Version: 1, Refs: contract.Refs{Token: subject, Session: subject, User: subject}}
}
