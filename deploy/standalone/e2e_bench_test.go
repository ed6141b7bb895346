package main

import (
	"context"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// BenchmarkE2E_Logout measures a logout while 50 clients call services: the
// time from the call to its answer, and how many nodes accept the token after
// the answer. Run it with -benchtime 1000x for a thousand logouts. The clients
// either call 20 times a second each, or as fast as they can, which takes every
// core that there is: then all requests wait for their turn, this one too.
func BenchmarkE2E_Logout(b *testing.B) {
	b.Run("50 clients of 20 calls per second", func(b *testing.B) { benchmarkLogout(b, 50*time.Millisecond) })
	b.Run("50 clients as fast as they can", func(b *testing.B) { benchmarkLogout(b, 0) })
}

func benchmarkLogout(b *testing.B, pause time.Duration) {
	d := e2e(b)
	u := d.register(b, true)
	background := startCallers(b, d, d.login(b, u), pause)
	times := make([]time.Duration, 0, b.N)
	accepted, probes := 0, 0
	for b.Loop() {
		b.StopTimer()
		s := d.login(b, u)
		d.everyNode(b, call{method: "GET", path: "/api/echo/x", token: s.access}, http.StatusOK, "")
		b.StartTimer()
		began := time.Now()
		d.want(b, call{method: "POST", path: "/auth/logout", token: s.access, node: probes}, http.StatusNoContent, "")
		times = append(times, time.Since(began))
		b.StopTimer()
		for node := range d.urls {
			probes++
			if d.do(b, call{method: "GET", path: "/api/echo/x", token: s.access, node: node}).status != http.StatusUnauthorized {
				accepted++
			}
		}
		b.StartTimer()
	}
	calls := background()
	reportTimes(b, times)
	b.ReportMetric(float64(accepted), "accepted-after")
	b.ReportMetric(float64(probes), "probes")
	b.ReportMetric(float64(calls), "background-calls")
}

// startCallers has 50 clients call services with one session, with a pause
// after each call, until the returned function is called. That gives the
// number of calls that were answered.
func startCallers(b *testing.B, d *deployment, s session, pause time.Duration) (stop func() int64) {
	b.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var callers sync.WaitGroup
	var answered atomic.Int64
	for i := range 50 {
		callers.Go(func() {
			for ctx.Err() == nil {
				a, err := d.try(ctx, call{method: "GET", path: "/api/echo/x", token: s.access, node: i})
				if ctx.Err() == nil && (err != nil || a.status != http.StatusOK) {
					b.Errorf("a background call: %d %v", a.status, err)
					return
				}
				answered.Add(1)
				select {
				case <-ctx.Done():
				case <-time.After(pause):
				}
			}
		})
	}
	return func() int64 {
		cancel()
		callers.Wait()
		return answered.Load()
	}
}

func reportTimes(b *testing.B, times []time.Duration) {
	slices.Sort(times)
	b.ReportMetric(float64(times[len(times)/2].Microseconds())/1000, "p50-ms")
	b.ReportMetric(float64(times[len(times)*99/100].Microseconds())/1000, "p99-ms")
}

// BenchmarkE2E_ConcurrentRefresh refreshes one token a thousand times at once:
// how many callers stay signed in, and how many successors there are.
func BenchmarkE2E_ConcurrentRefresh(b *testing.B) {
	const callers = 1000
	d := e2e(b)
	u := d.register(b, true)
	var signedIn atomic.Int64
	most := 0
	for b.Loop() {
		b.StopTimer()
		s := d.login(b, u)
		b.StartTimer()
		var mu sync.Mutex
		successors := map[string]bool{}
		var group sync.WaitGroup
		for i := range callers {
			group.Go(func() {
				a, err := d.try(b.Context(), refreshCall(s.refresh, i))
				if err != nil || a.status != http.StatusOK {
					b.Errorf("caller %d: %d %v", i, a.status, err)
					return
				}
				signedIn.Add(1)
				mu.Lock()
				defer mu.Unlock()
				successors[a.text("refresh_token")] = true
			})
		}
		group.Wait()
		most = max(most, len(successors))
	}
	b.ReportMetric(float64(signedIn.Load())/float64(b.N), "signed-in/op")
	b.ReportMetric(float64(most), "successors")
}

// BenchmarkE2E_Start measures the time from the start of the program to its
// ready line, on an empty data folder and on one that has been used.
func BenchmarkE2E_Start(b *testing.B) {
	var first, second []time.Duration
	for b.Loop() {
		b.StopTimer()
		p := newProcess(b, 1)
		b.StartTimer()
		for _, times := range []*[]time.Duration{&first, &second} {
			p.start(b, "-admin-password", p.adminPassword)
			*times = append(*times, p.took)
			if err := p.end(b, syscall.SIGTERM); err != nil {
				b.Errorf("the program did not stop cleanly: %v", err)
			}
		}
	}
	slices.Sort(first)
	slices.Sort(second)
	b.ReportMetric(float64(first[len(first)/2].Milliseconds()), "first-ms")
	b.ReportMetric(float64(second[len(second)/2].Milliseconds()), "second-ms")
}
