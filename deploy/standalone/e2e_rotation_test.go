package main

import (
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestE2E_S_T20_twenty_rotations_under_load_refuse_nobody rotates the signing
// key twenty times, with callers whose tokens are older, and with such as get a
// token of the newest key each time, on all gateways.
func TestE2E_S_T20_twenty_rotations_under_load_refuse_nobody(t *testing.T) {
	d := e2e(t)
	root := d.admin(t)
	old := d.login(t, d.register(t, true))
	var (
		running sync.WaitGroup
		calls   atomic.Int64
		done    = make(chan struct{})
	)
	reach := func(node int, access string) {
		one := &deployment{urls: d.urls[node : node+1], client: d.client}
		if a := one.do(t, call{method: "GET", path: "/api/echo/x", token: access}); a.status != http.StatusOK {
			t.Errorf("gateway %d refuses with %d %s", node, a.status, a.code())
		}
		calls.Add(1)
	}
	for i := range 4 {
		running.Go(func() {
			for n := i; ; n++ {
				select {
				case <-done:
					return
				default:
					reach(n%len(d.urls), old.access)
				}
			}
		})
		fresh := d.login(t, d.register(t, true))
		running.Go(func() {
			for n := i; ; n++ {
				select {
				case <-done:
					return
				default:
				}
				a := d.do(t, refreshCall(fresh.refresh, 0))
				if a.status != http.StatusOK {
					t.Errorf("a refresh is refused with %d %s", a.status, a.code())
					return
				}
				fresh = sessionOf(t, a)
				reach(n%len(d.urls), fresh.access)
			}
		})
	}
	for range 20 {
		before := calls.Load()
		d.want(t, call{method: "POST", path: "/admin/keys/rotate", token: root.access}, http.StatusCreated, "")
		eventually(t, "callers go on", 20*time.Second, func() bool { return calls.Load() >= before+50 || t.Failed() })
	}
	close(done)
	running.Wait()
	t.Logf("%d calls during 20 rotations", calls.Load())
}
