package limit_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"gatehouse.internal/gateway/internal/limit"
	"gatehouse.internal/shared/embedded/testenv"
)

// clock is a time that the test moves.
type clock struct{ ahead atomic.Int64 }

func (c *clock) now() time.Time {
	return time.Unix(1_800_000_000, 0).Add(time.Duration(c.ahead.Load()))
}
func (c *clock) advance(d time.Duration) { c.ahead.Add(int64(d)) }

// open gives a limiter whose budget does not matter on a busy machine.
func open(t testing.TB, c limit.Config) *limit.Limiter {
	t.Helper()
	if c.Budget == 0 {
		c.Budget = 30 * time.Second
	}
	l, err := limit.New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

// absent is the address of a server that is not there.
func absent(t testing.TB) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := listener.Close(); err != nil {
			t.Error(err)
		}
	}()
	return "redis://" + listener.Addr().String()
}

// hung is the address of a server that takes connections and never answers.
func hung(t testing.TB) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := listener.Close(); err != nil {
			t.Error(err)
		}
	})
	return "redis://" + listener.Addr().String()
}

var credentials = limit.Rule{Requests: 100, Per: 15 * time.Minute}

func TestLimiter_Allow(t *testing.T) {
	testenv.EachRedis(t, func(t *testing.T, url, prefix string) {
		l := open(t, limit.Config{URL: url, Prefix: prefix})
		t.Run("100 in 15 minutes are 100 at once, and the 101st is refused", func(t *testing.T) {
			for i := range 100 {
				r := l.Allow(t.Context(), "login|a|10.0.0.1", credentials)
				if !r.Allowed || r.Remaining > 99-i || r.Remaining < 98-i || r.Limit != 100 || r.Local || r.RetryAfter != 0 {
					t.Fatalf("request %d: %+v", i+1, r)
				}
			}
			r := l.Allow(t.Context(), "login|a|10.0.0.1", credentials)
			if r.Allowed || r.Remaining != 0 || r.RetryAfter <= 0 || r.RetryAfter > 9*time.Second || r.Reset < 14*time.Minute || r.Reset > 15*time.Minute {
				t.Errorf("request 101: %+v", r)
			}
		})
		t.Run("other callers are not touched", func(t *testing.T) {
			if r := l.Allow(t.Context(), "login|a|10.0.0.2", credentials); !r.Allowed || r.Remaining != 99 {
				t.Errorf("%+v", r)
			}
		})
		t.Run("a request becomes free again", func(t *testing.T) {
			rule := limit.Rule{Requests: 2, Per: 400 * time.Millisecond}
			l.Allow(t.Context(), "free", rule)
			l.Allow(t.Context(), "free", rule)
			refused := l.Allow(t.Context(), "free", rule)
			deadline := time.Now().Add(10 * time.Second)
			for !l.Allow(t.Context(), "free", rule).Allowed {
				if time.Now().After(deadline) {
					t.Fatalf("never; it said %+v", refused)
				}
			}
		})
		t.Run("a smaller rule takes effect at once", func(t *testing.T) {
			for range 50 {
				l.Allow(t.Context(), "rule", credentials)
			}
			if r := l.Allow(t.Context(), "rule", limit.Rule{Requests: 1, Per: time.Minute}); r.Allowed || r.RetryAfter > time.Minute {
				t.Errorf("%+v", r)
			}
		})
		t.Run("keys expire with what they count", func(t *testing.T) {
			key := "expires"
			l.Allow(t.Context(), key, limit.Rule{Requests: 10, Per: time.Minute})
			options, err := redis.ParseURL(url)
			if err != nil {
				t.Fatal(err)
			}
			client := redis.NewClient(options)
			defer func() { _ = client.Close() }()
			ttl, err := client.PTTL(t.Context(), prefix+":limit:"+key).Result()
			if err != nil || ttl <= 0 || ttl > 6*time.Second+10*time.Millisecond {
				t.Errorf("time to live %v, %v", ttl, err)
			}
		})
	})
}

func TestLimiter_AllowCountsParallelRequestsExactly(t *testing.T) {
	testenv.EachRedis(t, func(t *testing.T, url, prefix string) {
		nodes := []*limit.Limiter{
			open(t, limit.Config{URL: url, Prefix: prefix}), open(t, limit.Config{URL: url, Prefix: prefix}), open(t, limit.Config{URL: url, Prefix: prefix}),
		}
		for _, c := range []struct{ requests, callers int }{{100, 300}, {7, 50}, {500, 400}} {
			rule := limit.Rule{Requests: c.requests, Per: time.Hour}
			var allowed, local atomic.Int64
			var wg sync.WaitGroup
			for i := range c.callers {
				wg.Go(func() {
					r := nodes[i%len(nodes)].Allow(t.Context(), fmt.Sprint("parallel", c.requests), rule)
					if r.Allowed {
						allowed.Add(1)
					}
					if r.Local {
						local.Add(1)
					}
				})
			}
			wg.Wait()
			if got, want := allowed.Load(), int64(min(c.requests, c.callers)); got != want || local.Load() != 0 {
				t.Errorf("%d of %d requests passed, want %d; %d were counted locally", got, c.callers, want, local.Load())
			}
		}
	})
}

func TestLimiter_WithoutRedis(t *testing.T) {
	t.Run("F18 a node counts on its own", func(t *testing.T) {
		c := &clock{}
		l := open(t, limit.Config{URL: absent(t), Now: c.now})
		for i := range 100 {
			if r := l.Allow(t.Context(), "k", credentials); !r.Allowed || !r.Local || r.Remaining != 99-i {
				t.Fatalf("request %d: %+v", i+1, r)
			}
		}
		if r := l.Allow(t.Context(), "k", credentials); r.Allowed || r.RetryAfter != 9*time.Second || r.Reset != 15*time.Minute || r.Remaining != 0 {
			t.Errorf("request 101: %+v", r)
		}
		c.advance(9*time.Second - time.Microsecond)
		if r := l.Allow(t.Context(), "k", credentials); r.Allowed || r.RetryAfter != time.Microsecond {
			t.Errorf("a moment too early: %+v", r)
		}
		c.advance(time.Microsecond)
		if r := l.Allow(t.Context(), "k", credentials); !r.Allowed || r.Remaining != 0 {
			t.Errorf("after 9 s: %+v", r)
		}
		c.advance(time.Hour)
		if r := l.Allow(t.Context(), "k", credentials); !r.Allowed || r.Remaining != 99 {
			t.Errorf("after an hour: %+v", r)
		}
	})
	t.Run("F22 a hung server holds up one request for the budget, and then none", func(t *testing.T) {
		c := &clock{}
		l := open(t, limit.Config{URL: hung(t), Budget: 50 * time.Millisecond, Rest: time.Minute, Now: c.now})
		started := time.Now()
		if r := l.Allow(t.Context(), "k", credentials); !r.Allowed || !r.Local || !l.Degraded() {
			t.Fatalf("%+v", r)
		}
		if waited := time.Since(started); waited > 5*time.Second {
			t.Errorf("the first request waited %v", waited)
		}
		started = time.Now()
		for range 1000 {
			l.Allow(t.Context(), "k", credentials)
		}
		if waited := time.Since(started); waited > 5*time.Second {
			t.Errorf("1000 further requests waited %v", waited)
		}
	})
	t.Run("it asks again after a rest", func(t *testing.T) {
		url, prefix := testenv.Redis(t)
		proxy := newSwitch(t, url)
		c := &clock{}
		l := open(t, limit.Config{URL: proxy.url(), Prefix: prefix, Rest: time.Second, Now: c.now})
		rule := limit.Rule{Requests: 10, Per: time.Hour}
		for range 4 {
			if r := l.Allow(t.Context(), "k", rule); r.Local {
				t.Fatalf("%+v", r)
			}
		}
		proxy.turnOff()
		if r := l.Allow(t.Context(), "k", rule); !r.Local || r.Remaining != 5 || !l.Degraded() {
			t.Errorf("a fallback goes on from where Redis was: %+v", r)
		}
		proxy.turnOn()
		if r := l.Allow(t.Context(), "k", rule); !r.Local {
			t.Errorf("it did not rest: %+v", r)
		}
		c.advance(time.Second)
		if r := l.Allow(t.Context(), "k", rule); r.Local || l.Degraded() {
			t.Errorf("it did not ask again: %+v", r)
		}
	})
	t.Run("a caller who goes away says nothing of Redis", func(t *testing.T) {
		url, prefix := testenv.Redis(t)
		l := open(t, limit.Config{URL: url, Prefix: prefix})
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		if r := l.Allow(gone, "k", credentials); !r.Local || l.Degraded() {
			t.Errorf("%+v, degraded %v", r, l.Degraded())
		}
	})
	t.Run("no URL is an error that does not repeat it", func(t *testing.T) {
		if _, err := limit.New(limit.Config{URL: "http://:secret@h"}); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("got %v", err)
		}
	})
}

func TestAddressKey(t *testing.T) {
	same := func(a, b string) bool {
		return limit.AddressKey("r", netip.MustParseAddr(a)) == limit.AddressKey("r", netip.MustParseAddr(b))
	}
	for _, c := range []struct {
		name, a, b string
		want       bool
	}{
		{"S-P17 spellings of one IPv6 address", "2001:db8::1", "2001:0DB8:0:0:0:0:0:1", true},
		{"S-P17 neighbours in a /64", "2001:db8::1", "2001:db8::ffff:ffff:ffff:ffff", true},
		{"another /64", "2001:db8::1", "2001:db8:0:1::1", false},
		{"S-P17 IPv4 in IPv6 spelling", "10.0.0.1", "::ffff:10.0.0.1", true},
		{"two IPv4 addresses in IPv6 spelling", "::ffff:10.0.0.1", "::ffff:10.0.0.2", false},
		{"two IPv4 addresses", "10.0.0.1", "10.0.0.2", false},
		{"S-P17 a zone", "fe80::1%eth0", "fe80::1%eth1", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := same(c.a, c.b); got != c.want {
				t.Errorf("%s and %s: %v", c.a, c.b, got)
			}
		})
	}
	if limit.AddressKey("a", netip.MustParseAddr("1.2.3.4")) == limit.AddressKey("b", netip.MustParseAddr("1.2.3.4")) {
		t.Error("two routes share a count")
	}
	if limit.UserKey("r", "1.2.3.4") == limit.AddressKey("r", netip.MustParseAddr("1.2.3.4")) {
		t.Error("a user shares a count with an address")
	}
}

func TestResult_WriteHeader(t *testing.T) {
	h := http.Header{}
	limit.Result{Allowed: true, Limit: 100, Remaining: 41, Reset: 1500 * time.Millisecond}.WriteHeader(h)
	if h.Get("RateLimit-Limit") != "100" || h.Get("RateLimit-Remaining") != "41" || h.Get("RateLimit-Reset") != "2" || h.Get("Retry-After") != "" {
		t.Errorf("allowed: %v", h)
	}
	h = http.Header{}
	limit.Result{Limit: 100, Reset: time.Minute, RetryAfter: time.Millisecond}.WriteHeader(h)
	if h.Get("RateLimit-Remaining") != "0" || h.Get("RateLimit-Reset") != "60" || h.Get("Retry-After") != "1" {
		t.Errorf("refused: %v", h)
	}
}
