package throttle

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"gatehouse.internal/auth-service/internal/auth"
	"gatehouse.internal/shared/embedded/testenv"
)

// clock is a time that the test moves.
type clock struct{ ahead atomic.Int64 }

func (c *clock) now() time.Time {
	return time.Unix(1_800_000_000, 0).Add(time.Duration(c.ahead.Load()))
}
func (c *clock) advance(d time.Duration) { c.ahead.Add(int64(d)) }

// open gives a Throttle whose budget does not matter on a busy machine.
func open(t testing.TB, c Config) *Throttle {
	t.Helper()
	if c.Budget == 0 {
		c.Budget = 30 * time.Second
	}
	c.Registry = prometheus.NewRegistry()
	out, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := out.Close(); err != nil {
			t.Error(err)
		}
	})
	return out
}

// absent is the address of a server that is not there.
func absent(t testing.TB) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	return "redis://" + listener.Addr().String()
}

func bound(name string, tries int, per time.Duration) auth.Bound {
	return auth.Bound{Name: name, Key: name, Limit: auth.Limit{Tries: tries, Per: per}}
}

// eachWay runs a test over both kinds of Redis, and without one.
func eachWay(t *testing.T, run func(t *testing.T, c Config)) {
	testenv.EachRedis(t, func(t *testing.T, url, prefix string) { run(t, Config{URL: url, Prefix: prefix}) })
	t.Run("alone", func(t *testing.T) { run(t, Config{URL: absent(t), Rest: time.Hour}) })
}

func TestThrottle_SW5_parallelTriesCountExactly(t *testing.T) {
	eachWay(t, func(t *testing.T, c Config) {
		x := open(t, c)
		bounds := []auth.Bound{bound("pair", 10, time.Hour), bound("account", 30, time.Hour)}
		var allowed atomic.Int64
		var wg sync.WaitGroup
		for range 100 {
			wg.Go(func() {
				if x.Take(t.Context(), bounds).Allowed {
					allowed.Add(1)
				}
			})
		}
		wg.Wait()
		if allowed.Load() != 10 {
			t.Errorf("%d of 100 tries at once passed, want 10", allowed.Load())
		}
		if diff := cmp.Diff([]int{10, 10}, x.Used(t.Context(), bounds)); diff != "" {
			t.Errorf("what was refused is counted under another bound (-want +got):\n%s", diff)
		}
	})
}

func TestThrottle_theBoundWithTheLongestWaitIsNamed(t *testing.T) {
	eachWay(t, func(t *testing.T, c Config) {
		x := open(t, c)
		short, long, free := bound("short", 1, time.Minute), bound("long", 1, time.Hour), bound("free", 5, time.Hour)
		if v := x.Take(t.Context(), []auth.Bound{short, long, free}); !v.Allowed {
			t.Fatalf("%+v", v)
		}
		v := x.Take(t.Context(), []auth.Bound{short, long, free})
		if v.Allowed || v.Bound != long || v.RetryAfter <= 59*time.Minute || v.RetryAfter > time.Hour || !v.Fresh {
			t.Errorf("%+v, want a refusal by long", v)
		}
		if v = x.Take(t.Context(), []auth.Bound{short, long, free}); v.Allowed || v.Fresh {
			t.Errorf("%+v, want a refusal that is no news", v)
		}
	})
}

func TestThrottle_triesAreReturnedAndForgotten(t *testing.T) {
	eachWay(t, func(t *testing.T, c Config) {
		x := open(t, c)
		bounds := []auth.Bound{bound("a", 3, time.Hour), bound("b", 5, time.Hour)}
		used := func(want ...int) {
			t.Helper()
			if diff := cmp.Diff(want, x.Used(t.Context(), bounds)); diff != "" {
				t.Errorf("used (-want +got):\n%s", diff)
			}
		}
		x.Return(t.Context(), bounds) // of nothing
		used(0, 0)
		x.Take(t.Context(), bounds)
		x.Take(t.Context(), bounds)
		used(2, 2)
		x.Return(t.Context(), bounds[:1])
		used(1, 2)
		x.Return(t.Context(), bounds)
		used(0, 1)
		x.Take(t.Context(), bounds)
		x.Forget(t.Context(), bounds[1:])
		used(1, 0)
	})
}

func TestThrottle_keysExpireWithWhatTheyCount(t *testing.T) {
	testenv.EachRedis(t, func(t *testing.T, url, prefix string) {
		x := open(t, Config{URL: url, Prefix: prefix})
		x.Take(t.Context(), []auth.Bound{bound("a", 10, 10*time.Minute)})
		ttl, err := x.client.PTTL(t.Context(), prefix+":tries:a").Result()
		if err != nil || ttl <= 0 || ttl > time.Minute+10*time.Millisecond {
			t.Errorf("time to live %v, %v; want a minute", ttl, err)
		}
	})
}

func TestThrottle_F18_withoutRedisAReplicaCountsAlone(t *testing.T) {
	c := &clock{}
	x := open(t, Config{URL: absent(t), Now: c.now, Rest: time.Second})
	b := []auth.Bound{bound("a", 10, 15*time.Minute)}
	for i := range 10 {
		if v := x.Take(t.Context(), b); !v.Allowed || !x.Alone() {
			t.Fatalf("try %d: %+v", i+1, v)
		}
	}
	if v := x.Take(t.Context(), b); v.Allowed || v.RetryAfter != 90*time.Second {
		t.Errorf("try 11: %+v", v)
	}
	c.advance(90*time.Second - time.Microsecond)
	if v := x.Take(t.Context(), b); v.Allowed || v.RetryAfter != time.Microsecond || !v.Fresh {
		t.Errorf("a moment too early: %+v", v)
	}
	c.advance(time.Microsecond)
	if v := x.Take(t.Context(), b); !v.Allowed {
		t.Errorf("after 90 s: %+v", v)
	}
}

func TestThrottle_F18_goesOnFromWhereRedisWasAndAsksAgain(t *testing.T) {
	server, prefix := testenv.Redis(t)
	door := newDoor(t, server)
	c := &clock{}
	x := open(t, Config{URL: door.url(), Prefix: prefix, Now: c.now, Rest: time.Second})
	b := []auth.Bound{bound("a", 10, 10*time.Hour)}
	for range 4 {
		x.Take(t.Context(), b)
	}
	door.shut()
	if v := x.Take(t.Context(), b); !v.Allowed || !x.Alone() || x.memory.used(b)[0] < 4*time.Hour {
		t.Errorf("%+v with %v taken up, alone %v", v, x.memory.used(b), x.Alone())
	}
	door.open()
	if x.Take(t.Context(), b); !x.Alone() {
		t.Error("it did not let Redis rest")
	}
	c.advance(time.Second)
	if v := x.Take(t.Context(), b); !v.Allowed || x.Alone() {
		t.Errorf("it did not ask again: %+v", v)
	}
}

func TestThrottle_aCallerWhoGoesAwaySaysNothingOfRedis(t *testing.T) {
	server, prefix := testenv.Redis(t)
	x := open(t, Config{URL: server, Prefix: prefix})
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if v := x.Take(gone, []auth.Bound{bound("a", 1, time.Hour)}); !v.Allowed || x.Alone() {
		t.Errorf("%+v, alone %v", v, x.Alone())
	}
	if v := x.Take(gone, []auth.Bound{bound("a", 1, time.Hour)}); v.Allowed {
		t.Error("tries of callers who go away are not counted at all")
	}
}

func TestThrottle_metrics(t *testing.T) {
	x := open(t, Config{URL: absent(t)})
	b := []auth.Bound{bound("pair", 1, time.Hour)}
	x.Take(t.Context(), b)
	x.Take(t.Context(), b)
	families, err := x.counts.lines(t)
	if err != nil || !strings.Contains(families, `gatehouse_auth_throttled_total pair 1`) || !strings.Contains(families, "gatehouse_auth_throttle_alone  1") {
		t.Errorf("%v in\n%s", err, families)
	}
}

// lines gives the metrics as lines of name, label and value.
func (c counts) lines(t *testing.T) (string, error) {
	t.Helper()
	r := prometheus.NewRegistry()
	r.MustRegister(c.refused, c.alone)
	families, err := r.Gather()
	var out strings.Builder
	for _, f := range families {
		for _, m := range f.GetMetric() {
			label := ""
			if l := m.GetLabel(); len(l) > 0 {
				label = l[0].GetValue()
			}
			fmt.Fprintln(&out, f.GetName(), label, m.GetCounter().GetValue()+m.GetGauge().GetValue())
		}
	}
	return out.String(), err
}

func TestNew_refusesABadURLWithoutRepeatingIt(t *testing.T) {
	if _, err := New(Config{URL: "http://:secret@h"}); err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("got %v", err)
	}
}

func TestMemory_isBounded(t *testing.T) {
	m := newMemory(100, (&clock{}).now)
	for i := range 10_000 {
		m.take([]auth.Bound{{Key: fmt.Sprint(i), Limit: auth.Limit{Tries: 3, Per: time.Hour}}})
	}
	if n := m.size(); n > 100 {
		t.Errorf("%d keys are held, want 100 at most", n)
	}
}

// door is a way to a server that can be shut.
type door struct {
	t        *testing.T
	target   string
	listener net.Listener
	closed   atomic.Bool
	mu       sync.Mutex
	conns    []net.Conn
}

func newDoor(t *testing.T, server string) *door {
	t.Helper()
	u, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	d := &door{t: t, target: u.Host}
	if d.listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(d.serve)
	t.Cleanup(func() { _ = d.listener.Close(); d.shut(); wg.Wait() })
	return d
}

func (d *door) serve() {
	var wg sync.WaitGroup
	defer wg.Wait()
	for {
		in, err := d.listener.Accept()
		if err != nil {
			return
		}
		out, err := net.Dial("tcp", d.target)
		d.mu.Lock()
		if err != nil || d.closed.Load() {
			_ = in.Close()
			if err == nil {
				_ = out.Close()
			}
			d.mu.Unlock()
			continue
		}
		d.conns = append(d.conns, in, out)
		d.mu.Unlock()
		for _, way := range [][2]net.Conn{{in, out}, {out, in}} {
			wg.Go(func() {
				buffer := make([]byte, 4096)
				for {
					n, err := way[0].Read(buffer)
					if err == nil {
						_, err = way[1].Write(buffer[:n])
					}
					if err != nil {
						_ = way[0].Close()
						_ = way[1].Close()
						return
					}
				}
			})
		}
	}
}

func (d *door) url() string { return "redis://" + d.listener.Addr().String() }

func (d *door) shut() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.closed.Store(true)
	for _, c := range d.conns {
		_ = c.Close()
	}
	d.conns = nil
}

func (d *door) open() { d.closed.Store(false) }
