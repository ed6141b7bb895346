package upstream

import (
	"testing"
	"time"

	"gatehouse.internal/shared/fault"
)

// spent counts the retries that are allowed now.
func spent(s *Set) (n int) {
	for n < 10_000 {
		target, err := s.Retry(nil)
		if err != nil {
			return n
		}
		target.Release()
		n++
	}
	return n
}

func TestSet_Retry(t *testing.T) {
	t.Run("retries are a share of the calls", func(t *testing.T) {
		s := open(t, &clock{}, Settings{Targets: three(), RetryPercent: 20})
		spent(s)
		taken(t, s, 200)
		if got := spent(s); got != 40 {
			t.Errorf("%d retries for 200 calls, want 40", got)
		}
	})
	t.Run("a few are allowed however few calls there are", func(t *testing.T) {
		c := &clock{}
		s := open(t, c, Settings{Targets: three(), RetryPercent: 1})
		if got := spent(s); got != minRetries {
			t.Errorf("%d at first, want %d", got, minRetries)
		}
		c.advance(time.Second / minRetries * 11 / 10)
		if got := spent(s); got != 1 {
			t.Errorf("%d after the time of one", got)
		}
		c.advance(1000 * time.Hour)
		if got := spent(s); got != minRetries {
			t.Errorf("%d after a long time, want %d", got, minRetries)
		}
	})
	t.Run("what can be saved up is bounded", func(t *testing.T) {
		s := open(t, &clock{}, Settings{Targets: three(), RetryPercent: 100, MaxInFlight: 100_000})
		taken(t, s, 10_000)
		if got := spent(s); got < mostRetries || got > mostRetries+1 {
			t.Errorf("%d, want %d", got, mostRetries)
		}
	})
	t.Run("none without a budget", func(t *testing.T) {
		if got := spent(open(t, &clock{}, Settings{Targets: three()})); got != 0 {
			t.Errorf("%d retries", got)
		}
	})
	t.Run("another target is asked, or the same if there is no other", func(t *testing.T) {
		s := open(t, &clock{}, Settings{Targets: three()[:2], RetryPercent: 100})
		first, second := s.Targets()[0], s.Targets()[1]
		if got, err := s.Retry(first); err != nil || got != second {
			t.Errorf("got %v, %v", got, err)
		}
		second.sick.Store(true)
		if got, err := s.Retry(first); err != nil || got != first {
			t.Errorf("got %v, %v", got, err)
		}
		first.sick.Store(true)
		if _, err := s.Retry(first); !fault.Is(err, fault.UpstreamUnavailable) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("an open breaker keeps retries back", func(t *testing.T) {
		s := open(t, &clock{}, Settings{Targets: three(), RetryPercent: 100, Breaker: &Breaker{FailurePercent: 1, MinCalls: 1, OpenFor: time.Second}})
		target, err := s.Acquire(nil)
		if err != nil {
			t.Fatal(err)
		}
		target.Report(Failed)
		if _, err := s.Retry(target); !fault.Is(err, fault.UpstreamUnavailable) {
			t.Errorf("got %v", err)
		}
	})
}

func TestSet_Ramp(t *testing.T) {
	c := &clock{}
	draw := 0
	s := open(t, c, Settings{Targets: three(), Ramp: 10 * time.Second, Intn: func(n int) int { draw = (draw + 7) % n; return draw }})
	s.Targets()[0].Report(Unreachable)
	for _, step := range []struct {
		after       time.Duration
		least, most int // of 3000 calls
	}{{DefaultFirstEjection, 130, 160}, {5 * time.Second, 560, 660}, {5 * time.Second, 1000, 1000}} {
		c.advance(step.after)
		got := 0
		for range 3000 {
			target, err := s.Acquire(nil)
			if err != nil {
				t.Fatal(err)
			}
			if target == s.Targets()[0] {
				got++
			}
			target.Release()
		}
		if got < step.least || got > step.most {
			t.Errorf("%v later the target gets %d of 3000 calls, want %d to %d", step.after, got, step.least, step.most)
		}
	}
	t.Run("a target that was sick comes back the same way", func(t *testing.T) {
		target := s.Targets()[1]
		h := Health{Unhealthy: 1, Healthy: 2}
		target.probed(h, fault.New(fault.Internal, ""))
		if target.probed(h, nil); !target.sick.Load() {
			t.Error("one probe of two made it well")
		}
		if target.probed(h, nil); target.sick.Load() {
			t.Error("it is still sick")
		}
		got := 0
		for range 3000 {
			if found, err := s.Acquire(nil); err == nil && found == target {
				got++
				found.Release()
			}
		}
		if got < 90 || got > 220 {
			t.Errorf("it gets %d of 3000 calls at once", got)
		}
	})
	t.Run("alone it gets them all", func(t *testing.T) {
		only := open(t, c, Settings{Targets: three()[:1], Ramp: time.Second, Intn: func(n int) int { return n - 1 }})
		only.Targets()[0].back.Store(1)
		if got := taken(t, only, 10); got["a:1"] != 10 {
			t.Errorf("got %v", got)
		}
	})
}
