package h1

import (
	"context"
	"errors"
	"net"
	"strings"
	"sync/atomic"
	"testing"
)

// TestTransport_a_target_that_is_gone has the idle connections to a target end
// while nobody takes new ones: that is said at once, after one attempt, and no
// memory is given back twice, which two requests would then share.
func TestTransport_a_target_that_is_gone(t *testing.T) {
	refused := errors.New("refused")
	for _, c := range []struct {
		name, method, body string
		busy               bool
	}{
		{"GET", "GET", "", false}, {"POST", "POST", "", false}, {"POST with a body", "POST", "hello", false}, {"no connection to spare", "GET", "", true},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newTarget(t)
			var gone atomic.Bool
			var dials atomic.Int64
			transport := newTransport(t, func(o *Options) {
				o.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
					if dials.Add(1); gone.Load() {
						return nil, refused
					}
					return new(net.Dialer).DialContext(ctx, network, address)
				}
			})
			p := warm(t, transport, s)
			host := strings.TrimPrefix(s.url, "http://")
			if c.busy {
				pool := transport.pool(host)
				pool.mu.Lock()
				pool.open += transport.o.MaxConns
				pool.mu.Unlock()
			}
			_ = p.Close()
			eventually(t, "its end has come", func() bool { return !transport.pool(host).idle[0].quietForTest() })
			gone.Store(true)
			before := dials.Load()
			_, err := transport.RoundTrip(request(t, c.method, s.url, strings.NewReader(c.body)))
			want, attempts := refused, int64(1)
			if c.busy {
				want, attempts = ErrBusy, 0
			}
			if !errors.Is(err, want) || dials.Load()-before != attempts {
				t.Errorf("%v after %d attempts", err, dials.Load()-before)
			}
			seen := map[*byte]bool{}
			for range 64 {
				b := lend()
				if seen[&b[0]] {
					t.Fatal("a buffer was lent to two")
				}
				seen[&b[0]] = true
			}
		})
	}
}
