package limit_test

import (
	"testing"
	"time"

	"gatehouse.internal/gateway/internal/limit"
	"gatehouse.internal/shared/embedded/testenv"
)

// FuzzLimiter compares the local algorithm with a count by hand: never more
// than Requests at once, never more than one further per spacing.
func FuzzLimiter(f *testing.F) {
	f.Add(uint16(3), uint32(1000), []byte{1, 0, 0, 0, 200, 0, 5})
	f.Add(uint16(100), uint32(900_000), []byte{0, 255, 1})
	f.Fuzz(func(t *testing.T, requests uint16, perMillis uint32, waits []byte) {
		rule := limit.Rule{Requests: int(requests)%1000 + 1, Per: time.Duration(perMillis%86_400_000+1000) * time.Millisecond}
		c := &clock{}
		l := open(t, limit.Config{URL: "redis://127.0.0.1:1", Now: c.now, Rest: time.Duration(1<<62 - 1)})
		spacing := rule.Per / time.Duration(rule.Requests)
		passed := 0
		started := c.now()
		for _, w := range waits {
			c.advance(spacing * time.Duration(w) / 64)
			r := l.Allow(t.Context(), "k", rule)
			if r.Allowed {
				passed++
			}
			elapsed := c.now().Sub(started)
			// A spacing is rounded down to whole microseconds, by 1 % at most.
			if most := rule.Requests + int(elapsed*101/100/spacing) + 1; passed > most {
				t.Fatalf("%d passed of %v after %v", passed, rule, elapsed)
			}
			if passed <= rule.Requests && !r.Allowed && passed < rule.Requests {
				t.Fatalf("refused after %d of %v: %+v", passed, rule, r)
			}
			if r.Remaining < 0 || r.Remaining > rule.Requests || r.Reset < 0 || r.Reset > rule.Per || r.Allowed == (r.RetryAfter > 0) {
				t.Fatalf("%v: %+v", rule, r)
			}
			if !r.Allowed {
				c.advance(r.RetryAfter)
				if again := l.Allow(t.Context(), "k", rule); !again.Allowed {
					t.Fatalf("%v: refused again after RetryAfter: %+v, %+v", rule, r, again)
				}
				passed++
			}
		}
	})
}

func BenchmarkLimiter_Allow(b *testing.B) {
	run := func(b *testing.B, l *limit.Limiter) {
		b.ReportAllocs()
		for b.Loop() {
			l.Allow(b.Context(), "k", limit.Rule{Requests: 1_000_000, Per: time.Hour})
		}
	}
	b.Run("embedded", func(b *testing.B) {
		url, prefix := testenv.Redis(b)
		run(b, open(b, limit.Config{URL: url, Prefix: prefix}))
	})
	b.Run("real", func(b *testing.B) {
		url, prefix := testenv.RealRedis(b)
		run(b, open(b, limit.Config{URL: url, Prefix: prefix}))
	})
	b.Run("local", func(b *testing.B) {
		run(b, open(b, limit.Config{URL: absent(b), Rest: time.Hour}))
	})
}
