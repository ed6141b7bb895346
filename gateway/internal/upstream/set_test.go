package upstream

import (
	"sync"
	"testing"
	"time"

	"gatehouse.internal/shared/fault"
)

// clock is a time that a test moves.
type clock struct{ at time.Time }

func (c *clock) now() time.Time          { return c.at }
func (c *clock) advance(d time.Duration) { c.at = c.at.Add(d) }

func open(t *testing.T, c *clock, s Settings) *Set {
	t.Helper()
	s.Now = c.now
	set, err := New(s)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// taken acquires n times and counts the answers by host. Places are kept.
func taken(t *testing.T, s *Set, n int) map[string]int {
	t.Helper()
	got := map[string]int{}
	for range n {
		target, err := s.Acquire(nil)
		if err != nil {
			t.Fatal(err)
		}
		got[target.URL.Host]++
	}
	return got
}

func three() []string { return []string{"http://a:1", "http://b:1", "http://c:1"} }

func TestSet_New(t *testing.T) {
	for _, c := range []struct{ name, target string }{
		{"not a URL", "http://a b"},
		{"another scheme", "ftp://a:1"},
		{"no host", "http://"},
		{"only a host", "orders-1"},
		{"a path", "http://a:1/base"},
		{"a query", "http://a:1?x"},
		{"a password", "http://u:p@a:1"},
	} {
		t.Run(c.name+" is refused", func(t *testing.T) {
			if _, err := New(Settings{Targets: []string{c.target}}); err == nil {
				t.Errorf("New(%q) took it", c.target)
			}
		})
	}
	t.Run("no target is refused", func(t *testing.T) {
		if _, err := New(Settings{}); err == nil {
			t.Error("New took it")
		}
	})
	t.Run("an unknown balance is refused", func(t *testing.T) {
		if _, err := New(Settings{Targets: three(), Balance: "best"}); err == nil {
			t.Error("New took it")
		}
	})
	t.Run("a closing slash is fine", func(t *testing.T) {
		set, err := New(Settings{Targets: []string{"https://a:1/"}})
		if err != nil || set.Targets()[0].URL.String() != "https://a:1" {
			t.Errorf("New: %v, %v", set, err)
		}
	})
}

func TestSet_Balance(t *testing.T) {
	t.Run("round robin spreads evenly", func(t *testing.T) {
		for host, n := range taken(t, open(t, &clock{}, Settings{Targets: three()}), 9) {
			if n != 3 {
				t.Errorf("%s got %d of 9", host, n)
			}
		}
	})
	t.Run("the fewest calls under way win", func(t *testing.T) {
		s := open(t, &clock{}, Settings{Targets: three(), Balance: LeastConn})
		s.Targets()[0].enter()
		s.Targets()[2].enter()
		if got, _ := s.Acquire(nil); got != s.Targets()[1] {
			t.Errorf("took %s", got.URL)
		}
	})
	t.Run("an idle service uses all its targets", func(t *testing.T) {
		s := open(t, &clock{}, Settings{Targets: three(), Balance: LeastConn})
		seen := map[*Target]bool{}
		for range 3 {
			got, _ := s.Acquire(nil)
			got.Release()
			seen[got] = true
		}
		if len(seen) != 3 {
			t.Errorf("used %d targets", len(seen))
		}
	})
	t.Run("of two that were drawn the less busy one is taken", func(t *testing.T) {
		s := open(t, &clock{}, Settings{Targets: three(), Balance: RandomTwo, Intn: func(int) int { return 0 }})
		s.Targets()[0].enter() // drawn: 0 and 1
		if got, _ := s.Acquire(nil); got != s.Targets()[1] {
			t.Errorf("took %s", got.URL)
		}
	})
	t.Run("if neither of the two is fit, another one is taken", func(t *testing.T) {
		s := open(t, &clock{}, Settings{Targets: three(), Balance: RandomTwo, Intn: func(int) int { return 0 }})
		s.Targets()[0].sick.Store(true)
		s.Targets()[1].sick.Store(true)
		if got, err := s.Acquire(nil); got != s.Targets()[2] {
			t.Errorf("took %v, %v", got, err)
		}
	})
	t.Run("drawing works with one target and with real randomness", func(t *testing.T) {
		for _, targets := range [][]string{three()[:1], three()} {
			taken(t, open(t, &clock{}, Settings{Targets: targets, Balance: RandomTwo}), 50)
		}
	})
}

func TestSet_Acquire(t *testing.T) {
	for _, balance := range []Balance{RoundRobin, LeastConn, RandomTwo} {
		t.Run(string(balance)+" never passes the bound of calls under way", func(t *testing.T) {
			s := open(t, &clock{}, Settings{Targets: three(), Balance: balance, MaxInFlight: 2})
			got := taken(t, s, 6)
			for host, n := range got {
				if n != 2 {
					t.Errorf("%s has %d", host, n)
				}
			}
			if _, err := s.Acquire(nil); !fault.Is(err, fault.Overloaded) {
				t.Errorf("the seventh gives %v", err)
			}
			s.Targets()[1].Release()
			if again, err := s.Acquire(nil); err != nil || again != s.Targets()[1] {
				t.Errorf("after a release: %v, %v", again, err)
			}
		})
	}
	t.Run("parallel callers never pass the bound", func(t *testing.T) {
		s := open(t, &clock{}, Settings{Targets: three(), MaxInFlight: 5})
		var got sync.Map
		var group sync.WaitGroup
		for i := range 100 {
			group.Go(func() {
				if _, err := s.Acquire(nil); err == nil {
					got.Store(i, true)
				}
			})
		}
		group.Wait()
		n := 0
		got.Range(func(any, any) bool { n++; return true })
		if n != 15 {
			t.Errorf("%d places were given, 15 exist", n)
		}
	})
	t.Run("the excepted target is not taken", func(t *testing.T) {
		s := open(t, &clock{}, Settings{Targets: three()[:2]})
		for range 10 {
			if got, err := s.Acquire(s.Targets()[0]); err != nil || got != s.Targets()[1] {
				t.Fatalf("took %v, %v", got, err)
			}
		}
	})
	t.Run("with one target there is no other", func(t *testing.T) {
		s := open(t, &clock{}, Settings{Targets: three()[:1]})
		if _, err := s.Acquire(s.Targets()[0]); !fault.Is(err, fault.UpstreamUnavailable) {
			t.Errorf("got %v", err)
		}
	})
}
