package upstream

import (
	"context"
	"errors"
	"net/url"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse.internal/shared/fault"
)

func repeat(n int, f func()) {
	for range n {
		f()
	}
}

func TestTarget_Report(t *testing.T) {
	t.Run("one failure is not enough to be left out", func(t *testing.T) {
		s := open(t, &clock{}, Settings{Targets: three()})
		s.Targets()[0].Report(Failed)
		if got := taken(t, s, 9); got["a:1"] != 3 {
			t.Errorf("calls by target: %v", got)
		}
	})
	t.Run("failures in a row are", func(t *testing.T) {
		c := &clock{}
		s := open(t, c, Settings{Targets: three()})
		repeat(DefaultFailures, func() { s.Targets()[0].Report(Failed) })
		if got := taken(t, s, 9); got["a:1"] != 0 {
			t.Errorf("calls by target: %v", got)
		}
		if !s.Targets()[0].State().Ejected {
			t.Error("the state does not tell")
		}
		c.advance(DefaultFirstEjection)
		if got := taken(t, s, 9); got["a:1"] == 0 {
			t.Error("it never comes back")
		}
	})
	t.Run("an answer ends the row", func(t *testing.T) {
		s := open(t, &clock{}, Settings{Targets: three()})
		repeat(20, func() {
			repeat(DefaultFailures-1, func() { s.Targets()[0].Report(Failed) })
			s.Targets()[0].Report(Answered)
		})
		if s.Targets()[0].State().Ejected {
			t.Error("it is left out")
		}
	})
	t.Run("what a client did never counts", func(t *testing.T) {
		s := open(t, &clock{}, Settings{Targets: three()})
		repeat(1000, func() { s.Targets()[0].Report(Neutral) })
		if s.Targets()[0].State().Ejected {
			t.Error("it is left out")
		}
	})
	t.Run("no connection is enough at once", func(t *testing.T) {
		s := open(t, &clock{}, Settings{Targets: three()})
		s.Targets()[0].Report(Unreachable)
		if got := taken(t, s, 9); got["a:1"] != 0 {
			t.Errorf("calls by target: %v", got)
		}
	})
	t.Run("each time in a row is longer, up to a bound", func(t *testing.T) {
		c := &clock{}
		s := open(t, c, Settings{Targets: three()})
		for _, seconds := range []int{1, 2, 4, 8, 16, 30, 30, 30} {
			s.Targets()[0].Report(Unreachable)
			c.advance(time.Duration(seconds)*time.Second - 1)
			if !s.Targets()[0].State().Ejected {
				t.Errorf("it is back before %d s", seconds)
			}
			c.advance(1)
			if s.Targets()[0].State().Ejected {
				t.Errorf("it is still out after %d s", seconds)
			}
		}
	})
	t.Run("back on probation, one failure is enough", func(t *testing.T) {
		c := &clock{}
		s := open(t, c, Settings{Targets: three()})
		s.Targets()[0].Report(Unreachable)
		c.advance(time.Second)
		s.Targets()[0].Report(Failed)
		if !s.Targets()[0].State().Ejected {
			t.Error("it is in")
		}
	})
	t.Run("never more than half of the targets are left out", func(t *testing.T) {
		for n := 1; n <= 3; n++ {
			s := open(t, &clock{}, Settings{Targets: three()[:n]})
			out := 0
			for _, target := range s.Targets() {
				repeat(100, func() { target.Report(Failed); target.Report(Unreachable) })
				if target.State().Ejected {
					out++
				}
			}
			if out != n/2 {
				t.Errorf("of %d, %d are left out", n, out)
			}
		}
	})
	t.Run("one that failed is better than none", func(t *testing.T) {
		s := open(t, &clock{}, Settings{Targets: three()[:2]})
		s.Targets()[0].Report(Unreachable)
		s.Targets()[1].sick.Store(true)
		if got, err := s.Acquire(nil); err != nil || got != s.Targets()[0] {
			t.Errorf("took %v, %v", got, err)
		}
	})
}

func TestSet_Watch(t *testing.T) {
	t.Run("a sick target gets nothing until it is well", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s, err := New(Settings{Targets: three()})
			if err != nil {
				t.Fatal(err)
			}
			var ill atomic.Bool
			var told []bool
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan struct{})
			go func() {
				defer close(done)
				s.Watch(ctx, Health{
					Interval: time.Second,
					Probe: func(_ context.Context, u *url.URL) error {
						if ill.Load() && u.Host == "a:1" {
							return errors.New("not well")
						}
						return nil
					},
					Changed: func(target *Target, err error) {
						if target.URL.Host == "a:1" {
							told = append(told, err == nil)
						}
					},
				})
			}()
			pass := func(d time.Duration) { time.Sleep(d); synctest.Wait() }
			pass(time.Second / 2)
			ill.Store(true)
			pass(time.Second)
			if !s.Targets()[0].State().Healthy {
				t.Error("one missed probe makes it sick")
			}
			pass(time.Second)
			if got := taken(t, s, 9); got["a:1"] != 0 {
				t.Errorf("calls by target: %v", got)
			}
			ill.Store(false)
			pass(time.Second)
			if !s.Targets()[0].State().Healthy {
				t.Error("it is still sick")
			}
			cancel()
			<-done
			if len(told) != 2 || told[0] || !told[1] {
				t.Errorf("told %v", told)
			}
		})
	})
	t.Run("a probe that hangs is a missed one, and all sick is unavailable", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s, err := New(Settings{Targets: three()})
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan struct{})
			go func() {
				defer close(done)
				s.Watch(ctx, Health{Interval: 5 * time.Second, Timeout: time.Second, Probe: func(ctx context.Context, _ *url.URL) error {
					<-ctx.Done()
					return ctx.Err()
				}})
			}()
			time.Sleep(7 * time.Second)
			synctest.Wait()
			if _, err := s.Acquire(nil); !fault.Is(err, fault.UpstreamUnavailable) {
				t.Errorf("got %v", err)
			}
			cancel()
			<-done
		})
	})
	t.Run("stopping in the middle of a probe makes nobody sick", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s, _ := New(Settings{Targets: three()[:1]})
			for range DefaultUnhealthy + 1 {
				ctx, cancel := context.WithCancel(t.Context())
				time.AfterFunc(time.Millisecond, cancel)
				s.Watch(ctx, Health{Interval: time.Second, Probe: func(ctx context.Context, _ *url.URL) error {
					<-ctx.Done()
					return ctx.Err()
				}})
			}
			if !s.Targets()[0].State().Healthy {
				t.Error("it is sick")
			}
		})
	})
}

func TestSet_AcquireAllocatesNothing(t *testing.T) {
	for _, balance := range []Balance{RoundRobin, LeastConn, RandomTwo} {
		s := open(t, &clock{}, Settings{Targets: three(), Balance: balance})
		n := testing.AllocsPerRun(100, func() {
			target, _ := s.Acquire(nil)
			target.Report(Answered)
			target.Release()
		})
		if n != 0 {
			t.Errorf("%s: %v allocations", balance, n)
		}
	}
}
