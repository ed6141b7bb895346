package upstream

import (
	"sync"
	"testing"
	"time"

	"gatehouse.internal/shared/fault"
)

// broken is a set of one target, which no ejection protects, with a breaker
// that opens when half of at least ten calls fail.
func broken(t *testing.T, c *clock) *Set {
	t.Helper()
	return open(t, c, Settings{Targets: three()[:1], Breaker: &Breaker{FailurePercent: 50, MinCalls: 10, OpenFor: 5 * time.Second}})
}

// call makes a call that ends as told, and reports whether it was let through.
func call(t *testing.T, s *Set, o Outcome) bool {
	t.Helper()
	target, err := s.Acquire(nil)
	if err != nil {
		if f, ok := err.(*fault.Error); !ok || f.Kind != fault.UpstreamUnavailable || f.RetryAfter <= 0 { //nolint:errorlint // it is returned as it is
			t.Fatalf("Acquire: %v", err)
		}
		return false
	}
	target.Report(o)
	target.Release()
	return true
}

func TestSet_Breaker(t *testing.T) {
	t.Run("it opens when the share of failures is reached", func(t *testing.T) {
		s := broken(t, &clock{})
		repeat(5, func() { call(t, s, Answered) })
		repeat(4, func() { call(t, s, Failed) })
		if !call(t, s, Unreachable) {
			t.Fatal("it was open before")
		}
		if call(t, s, Answered) || !s.Open() {
			t.Error("it is closed")
		}
	})
	t.Run("few calls prove nothing, and few failures neither", func(t *testing.T) {
		s := broken(t, &clock{})
		repeat(9, func() { call(t, s, Failed) })
		if s.Open() {
			t.Error("nine calls opened it")
		}
		s = broken(t, &clock{})
		repeat(100, func() { call(t, s, Answered); call(t, s, Answered); call(t, s, Failed) })
		if s.Open() {
			t.Error("a third opened it")
		}
	})
	t.Run("what clients did wrong never counts", func(t *testing.T) {
		s := broken(t, &clock{})
		repeat(1000, func() { call(t, s, Neutral) })
		if s.Open() {
			t.Error("it is open")
		}
	})
	t.Run("what is long ago does not count", func(t *testing.T) {
		c := &clock{}
		s := broken(t, c)
		repeat(9, func() { call(t, s, Failed) })
		c.advance(breakerWindow)
		repeat(9, func() { call(t, s, Failed) })
		if s.Open() {
			t.Error("it is open")
		}
		c.advance(breakerWindow / 2)
		call(t, s, Failed)
		if !s.Open() {
			t.Error("what was lately does not count either")
		}
	})
	t.Run("while open one call at a time tries, and an answer closes it", func(t *testing.T) {
		c := &clock{}
		s := broken(t, c)
		repeat(10, func() { call(t, s, Failed) })
		c.advance(5*time.Second - 1)
		if call(t, s, Answered) {
			t.Fatal("a call is let through before its time")
		}
		c.advance(1)
		var through sync.Map
		var group sync.WaitGroup
		for i := range 20 {
			group.Go(func() {
				if target, err := s.Acquire(nil); err == nil {
					through.Store(i, target)
				}
			})
		}
		group.Wait()
		var trials []*Target
		through.Range(func(_, v any) bool { trials = append(trials, v.(*Target)); return true })
		if len(trials) != 1 {
			t.Fatalf("%d calls were let through", len(trials))
		}
		trials[0].Report(Failed)
		if call(t, s, Answered) {
			t.Error("a failed trial closed it")
		}
		c.advance(5 * time.Second)
		if !call(t, s, Answered) || s.Open() {
			t.Error("an answer did not close it")
		}
		repeat(9, func() { call(t, s, Failed) })
		if s.Open() {
			t.Error("what was before the answer counts still")
		}
	})
	t.Run("a trial that proves nothing is followed by another", func(t *testing.T) {
		c := &clock{}
		s := broken(t, c)
		repeat(10, func() { call(t, s, Failed) })
		repeat(3, func() {
			c.advance(5 * time.Second)
			if !call(t, s, Neutral) || call(t, s, Answered) {
				t.Error("not one call was let through")
			}
		})
	})
	t.Run("without one, nothing is kept back", func(t *testing.T) {
		s := open(t, &clock{}, Settings{Targets: three()[:1]})
		repeat(1000, func() { call(t, s, Failed) })
		if s.Open() || !call(t, s, Failed) {
			t.Error("calls are kept back")
		}
	})
}
