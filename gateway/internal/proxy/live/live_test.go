package live

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"gatehouse.internal/shared/contract"
	"gatehouse.internal/shared/fault"
)

// told records how answers were told to end.
type told struct {
	mu     sync.Mutex
	causes map[string][]Cause
}

func (l *told) of(name string) []Cause {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.causes[name]
}

// ender is an answer that ends as soon as it is told to.
type ender struct {
	name     string
	told     *told
	registry *Registry
	answer   *Answer
}

func (e *ender) End(cause Cause) {
	e.told.mu.Lock()
	e.told.causes[e.name] = append(e.told.causes[e.name], cause)
	e.told.mu.Unlock()
	e.registry.Remove(e.answer)
}

// source is a fake of what is known of revocations.
type source struct {
	mu    sync.Mutex
	fresh bool
	asked int
	say   func(claims *contract.Claims, limit time.Duration) error
}

func (s *source) Check(_ context.Context, c *contract.Claims, limit time.Duration) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked++
	if s.say == nil {
		return nil
	}
	return s.say(c, limit)
}

func (s *source) Fresh(time.Duration) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.fresh
}

func (s *source) set(change func(*source)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(s)
}

func (s *source) questions() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked
}

// scene is a running registry in a bubble of its own time.
type scene struct {
	*Registry
	source *source
	told   *told
	ended  map[Cause]int
	leave  func()
}

func newScene(t *testing.T) *scene {
	t.Helper()
	s := &scene{source: &source{fresh: true}, told: &told{causes: map[string][]Cause{}}, ended: map[Cause]int{}}
	s.Registry = New(Options{
		Revocations: s.source, Fresh: s.source.Fresh, Now: time.Now,
		Ended: func(_ Kind, c Cause) { s.ended[c]++ }, // under the registry's lock
	})
	begin := func(run func(context.Context) error) (end func()) {
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan struct{})
		go func() { defer close(done); _ = run(ctx) }()
		return sync.OnceFunc(func() { cancel(); <-done })
	}
	run := begin(s.Run)
	t.Cleanup(run)
	s.leave = begin(s.Leave)
	t.Cleanup(s.leave)
	return s
}

func subject(n byte) contract.SubjectID { return contract.SubjectID{15: n} }

// open adds an answer of a token: of session n, user 100+n, token 200+n.
func (s *scene) open(name string, n byte, edit func(*Answer)) *Answer {
	a := &Answer{Kind: EventStream, MaxStaleness: 2 * time.Second, Claims: &contract.Claims{
		Version: 5, KeyID: "k1", Refs: contract.Refs{Session: subject(n), User: subject(100 + n), Token: subject(200 + n)},
	}}
	if edit != nil {
		edit(a)
	}
	a.Ender = &ender{name: name, told: s.told, registry: s.Registry, answer: a}
	s.Add(a)
	return a
}

func TestRegistry_I13_a_revocation_ends_what_it_concerns_and_nothing_else(t *testing.T) {
	for _, c := range []struct {
		name  string
		entry contract.Entry
		want  []Cause // of the first; the second goes on
	}{
		{"its token", contract.Entry{Kind: contract.RevokeToken, Subject: subject(201)}, []Cause{Revoked}},
		{"its session", contract.Entry{Kind: contract.RevokeSession, Subject: subject(1)}, []Cause{Revoked}},
		{"its user", contract.Entry{Kind: contract.RevokeUser, Subject: subject(101), MinVersion: 6}, []Cause{Revoked}},
		{"its user's roles", contract.Entry{Kind: contract.RevokeUserStale, Subject: subject(101), MinVersion: 6}, []Cause{Stale}},
		{"older tokens of its user", contract.Entry{Kind: contract.RevokeUser, Subject: subject(101), MinVersion: 5}, nil},
		{"a session with the id of its user", contract.Entry{Kind: contract.RevokeSession, Subject: subject(101)}, nil},
		{"another key", contract.Entry{Kind: contract.RevokeKey, KeyID: "k3"}, nil},
		{"its key", contract.Entry{Kind: contract.RevokeKey, KeyID: "k1"}, []Cause{Revoked}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newScene(t)
				s.open("one", 1, nil)
				s.open("two", 2, func(a *Answer) { a.Claims.KeyID = "k2" })
				s.open("nobody's", 0, func(a *Answer) { a.Claims = nil })
				s.Applied([]contract.Entry{c.entry, c.entry})
				synctest.Wait() // and no time passes
				if diff := cmp.Diff(s.told.of("one"), c.want); diff != "" {
					t.Errorf("(-got +want):\n%s", diff)
				}
				if s.told.of("two") != nil || s.told.of("nobody's") != nil || s.Len() != 3-len(c.want) {
					t.Errorf("others were told %v", s.told.causes)
				}
			})
		})
	}
}

func TestRegistry_I13_what_was_revoked_before_it_was_added_is_noticed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t)
		s.source.set(func(s *source) {
			s.say = func(*contract.Claims, time.Duration) error { return fault.New(fault.TokenRevoked, "") }
		})
		s.open("late", 1, nil)
		synctest.Wait()
		if got := s.told.of("late"); len(got) != 1 || got[0] != Revoked {
			t.Errorf("told %v", got)
		}
	})
}

// TestRegistry_I13_no_order_of_adding_and_revoking_hides_one races the two:
// the set is changed before Applied is called, as a view does it.
func TestRegistry_I13_no_order_of_adding_and_revoking_hides_one(t *testing.T) {
	s := newScene(t)
	var revoked sync.Map
	s.source.say = func(c *contract.Claims, _ time.Duration) error {
		if _, is := revoked.Load(c.Refs.Session); is {
			return fault.New(fault.TokenRevoked, "")
		}
		return nil
	}
	var group sync.WaitGroup
	for n := range byte(200) {
		group.Go(func() { s.open(fmt.Sprint(n), n, nil) })
		group.Go(func() {
			revoked.Store(subject(n), true)
			s.Applied([]contract.Entry{{Kind: contract.RevokeSession, Subject: subject(n)}})
		})
	}
	group.Wait()
	deadline := time.After(10 * time.Second)
	for s.Len() > 0 {
		select {
		case <-deadline:
			t.Fatalf("%d answers of revoked sessions go on", s.Len())
		case <-time.After(time.Millisecond):
		}
	}
}

func TestRegistry_an_answer_ends_when_its_time_has_come(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t)
		s.open("short", 1, func(a *Answer) { a.Until = time.Now().Add(time.Minute) })
		s.open("late", 2, func(a *Answer) { a.Until = time.Now().Add(-time.Second) })
		s.Remove(s.open("done", 3, func(a *Answer) { a.Until = time.Now().Add(time.Minute) }))
		time.Sleep(time.Minute - time.Millisecond)
		synctest.Wait()
		if s.told.of("short") != nil || len(s.told.of("late")) != 1 {
			t.Errorf("told %v", s.told.causes)
		}
		time.Sleep(time.Millisecond)
		synctest.Wait()
		if got := s.told.of("short"); len(got) != 1 || got[0] != Expired || s.told.of("done") != nil {
			t.Errorf("told %v", s.told.causes)
		}
		if diff := cmp.Diff(s.ended, map[Cause]int{Expired: 2, Ended: 1}); diff != "" {
			t.Errorf("(-got +want):\n%s", diff)
		}
	})
}

func TestRegistry_I2_I13_a_node_that_does_not_know_enough_ends_what_demands_it(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t)
		for n := range byte(100) {
			s.open("strict", n, nil)
		}
		s.open("lax", 150, func(a *Answer) { a.MaxStaleness = 30 * time.Second })
		s.open("nobody's", 0, func(a *Answer) { a.Claims = nil })
		began := s.source.questions() // one for each that was added
		time.Sleep(4 * time.Second)
		if s.source.questions() != began {
			t.Errorf("asked %d times while the node knew enough", s.source.questions()-began)
		}
		s.source.set(func(s *source) {
			s.fresh = false
			s.say = func(_ *contract.Claims, limit time.Duration) error {
				if limit < 10*time.Second {
					return fault.New(fault.RevocationStateUnknown, "")
				}
				return nil
			}
		})
		time.Sleep(judgePause)
		synctest.Wait()
		if got := s.told.of("strict"); len(got) != 100 || got[0] != Unknown {
			t.Errorf("%d of 100 were told: %v", len(got), got)
		}
		if s.told.of("lax") != nil || s.told.of("nobody's") != nil {
			t.Errorf("told %v", s.told.causes)
		}
		if asked := s.source.questions() - began; asked > judges+1 {
			t.Errorf("a source that knows nothing was asked %d times", asked)
		}
	})
}

func TestRegistry_a_source_is_asked_once_a_token_and_not_too_often(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t)
		strictest := 2 * time.Second
		s.source.set(func(s *source) {
			s.fresh = false
			s.say = func(_ *contract.Claims, limit time.Duration) error { strictest = min(strictest, limit); return nil }
		})
		for range 1000 {
			s.open("tab", 1, nil) // of the same token
		}
		time.Sleep(10*time.Second + judgePause/2)
		synctest.Wait()
		if asked := s.source.questions(); asked < 18 || asked > 21 {
			t.Errorf("asked %d times in 10 s, want twice a second", asked)
		}
		if strictest != 1500*time.Millisecond { // what it knows must hold until the next question
			t.Errorf("knowledge of %v was enough", strictest)
		}
		s.source.set(func(s *source) {
			s.say = func(*contract.Claims, time.Duration) error { return fault.New(fault.TokenRevoked, "") }
		})
		time.Sleep(time.Second)
		synctest.Wait()
		if got := s.told.of("tab"); len(got) != 1000 || got[0] != Revoked {
			t.Errorf("%d of 1000 were told", len(got))
		}
	})
}

func TestRegistry_Leave_ends_the_endless_when_the_gateway_stops_and_waits_for_them(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t)
		s.open("stream", 1, nil)
		s.open("socket", 2, func(a *Answer) { a.Kind, a.Claims = WebSocket, nil })
		s.open("download", 3, func(a *Answer) { a.Kind = Other })
		slow := &Answer{Kind: WebSocket}
		slow.Ender = endFunc(func(Cause) { time.AfterFunc(time.Second, func() { s.Remove(slow) }) })
		s.Add(slow)
		began := time.Now()
		s.leave()
		if took := time.Since(began); took != time.Second {
			t.Errorf("it took %v", took)
		}
		if diff := cmp.Diff(s.told.causes, map[string][]Cause{"stream": {Stopping}, "socket": {Stopping}}); diff != "" {
			t.Errorf("(-got +want):\n%s", diff)
		}
		if s.Count(Other) != 1 || s.Len() != 1 {
			t.Errorf("%d answers are left", s.Len())
		}
	})
}

func TestRegistry_I13_what_begins_or_is_revoked_while_the_gateway_stops_ends_as_ever(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t)
		s.open("download", 1, func(a *Answer) { a.Kind = Other })
		s.leave()
		s.open("late stream", 2, nil)
		s.open("late socket", 3, func(a *Answer) { a.Kind = WebSocket })
		s.Applied([]contract.Entry{{Kind: contract.RevokeSession, Subject: subject(1)}})
		synctest.Wait() // and no time passes
		want := map[string][]Cause{"download": {Revoked}, "late stream": {Stopping}, "late socket": {Stopping}}
		if diff := cmp.Diff(s.told.causes, want); diff != "" {
			t.Errorf("(-got +want):\n%s", diff)
		}
	})
}

func TestRegistry_Leave_does_not_wait_for_ever(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t)
		s.Add(&Answer{Kind: WebSocket, Ender: endFunc(func(Cause) {})})
		began := time.Now()
		s.leave()
		if took := time.Since(began); took != stopPause {
			t.Errorf("it took %v", took)
		}
	})
}

type endFunc func(Cause)

func (f endFunc) End(c Cause) { f(c) }

// BenchmarkRegistry_Applied is what a node pays for a full batch of
// revocations, most of which concern none of its answers.
func BenchmarkRegistry_Applied(b *testing.B) {
	for _, open := range []int{0, 1, 100_000} {
		b.Run(fmt.Sprintf("%d answers", open), func(b *testing.B) {
			r := New(Options{Revocations: &source{}, Now: time.Now})
			for n := range open {
				id := func(kind byte) contract.SubjectID {
					return contract.SubjectID{0: kind, 12: byte(n >> 16), 13: byte(n >> 8), 15: byte(n)}
				}
				r.Add(&Answer{Kind: EventStream, MaxStaleness: time.Second, Claims: &contract.Claims{Refs: contract.Refs{Session: id(1), User: id(2), Token: id(3)}}})
			}
			entries := make([]contract.Entry, contract.MaxBatchEntries)
			for i := range entries {
				entries[i] = contract.Entry{Kind: contract.RevokeSession, Subject: contract.SubjectID{0: 9, 14: byte(i >> 8), 15: byte(i)}}
			}
			b.ReportAllocs()
			for b.Loop() {
				r.Applied(entries)
			}
		})
	}
}
