package proxy

import (
	"context"
	"net"
	"net/netip"
	"slices"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

// silent is a dialer for which some hosts never answer; the others do so as
// the system has it.
func silent(timeout time.Duration, hosts ...string) *net.Dialer {
	return &net.Dialer{Timeout: timeout, ControlContext: func(ctx context.Context, _, address string, _ syscall.RawConn) error {
		if host, _, _ := net.SplitHostPort(address); slices.Contains(hosts, host) {
			<-ctx.Done()
			return ctx.Err()
		}
		return nil
	}}
}

// TestNames_blame has a connection fail for several reasons, and looks at which
// addresses are put aside for it.
func TestNames_blame(t *testing.T) {
	const a, b = "127.0.0.2", "127.0.0.3" // nobody listens there
	none := context.WithCancel
	within := func(d time.Duration) func(context.Context) (context.Context, context.CancelFunc) {
		return func(ctx context.Context) (context.Context, context.CancelFunc) { return context.WithTimeout(ctx, d) }
	}
	leaves := func(ctx context.Context) (context.Context, context.CancelFunc) {
		ctx, cancel := context.WithCancel(ctx)
		time.AfterFunc(2*time.Second, cancel)
		return ctx, cancel
	}
	cases := []struct {
		name   string
		asks   func(context.Context) (context.Context, context.CancelFunc)
		dialer *net.Dialer
		blamed []string
		took   time.Duration
	}{
		{"both are silent", none, silent(3*time.Second, a, b), []string{a, b}, 3 * time.Second},
		{"both are silent, and a connection may take a moment", none, silent(100*time.Millisecond, a, b), []string{a, b}, 100 * time.Millisecond},
		{"the caller has a moment", within(500 * time.Millisecond), silent(3*time.Second, a, b), nil, 500 * time.Millisecond},
		{"the caller's time is over", within(0), silent(3*time.Second, a, b), nil, 0},
		{"the caller has less time than a connection, but enough to tell", within(2500 * time.Millisecond), silent(3*time.Second, a, b), []string{a, b}, 2500 * time.Millisecond},
		{"the caller has more time than a connection", within(time.Minute), silent(100*time.Millisecond, a, b), []string{a, b}, 100 * time.Millisecond},
		{"the caller goes away at the second", leaves, silent(3*time.Second, a, b), []string{a}, 2 * time.Second},
		{"both refuse, whatever time the caller has", within(500 * time.Millisecond), silent(3 * time.Second), []string{a, b}, 0},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := NewNames(NamesOptions{Hosts: []string{"orders.test"}})
				n.replace("orders.test", []netip.Addr{netip.MustParseAddr(b), netip.MustParseAddr(a)}) // the turn begins with the second
				ctx, cancel := c.asks(t.Context())
				defer cancel()
				began := time.Now()
				conn, err := n.dial(ctx, c.dialer, "tcp", "orders.test:1")
				if err == nil {
					_ = conn.Close()
					t.Fatal("connected")
				}
				if took := time.Since(began); took != c.took {
					t.Errorf("it took %v, want %v", took, c.took)
				}
				var blamed []string
				for address := range n.host["orders.test"].refused {
					blamed = append(blamed, address.String())
				}
				if slices.Sort(blamed); !slices.Equal(blamed, c.blamed) {
					t.Errorf("%v are put aside, want %v; %v", blamed, c.blamed, err)
				}
			})
		})
	}
}

// A caller with little time still gets to the address that answers.
func TestNames_hurriedCallersReachTheNextAddress(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	n := NewNames(NamesOptions{Hosts: []string{"orders.test"}})
	n.replace("orders.test", []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("127.0.0.2")})
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	conn, err := n.dial(ctx, silent(10*time.Second, "127.0.0.2"), "tcp", "orders.test:"+port)
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.Close()
}

// A look-up that ends because whoever asked has no time says nothing of the
// name.
func TestNames_blameOfALookup(t *testing.T) {
	const moment = 20 * time.Millisecond
	for _, c := range []struct {
		name            string
		caller, dialing time.Duration
		failed          int
	}{{"the caller has a moment", moment, time.Minute, 0}, {"the caller has time", time.Minute, moment, 1}} {
		t.Run(c.name, func(t *testing.T) {
			resolver := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
				<-ctx.Done()
				return nil, ctx.Err()
			}}
			failed := 0
			n := NewNames(NamesOptions{Hosts: []string{"orders.test."}, Resolver: resolver, Failed: func() { failed++ }})
			ctx, cancel := context.WithTimeout(t.Context(), c.caller)
			defer cancel()
			if conn, err := n.dial(ctx, &net.Dialer{Timeout: c.dialing}, "tcp", "orders.test.:1"); err == nil {
				_ = conn.Close()
				t.Error("connected")
			}
			if failed != c.failed {
				t.Errorf("%d failures were told, want %d", failed, c.failed)
			}
		})
	}
}
