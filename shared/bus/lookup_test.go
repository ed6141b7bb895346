package bus_test

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/dns/dnsmessage"

	"gatehouse.internal/shared/fault"
)

// names is a name server that knows one address for every name, knows none, or
// says nothing.
type names struct {
	conn  net.PacketConn
	state atomic.Int32

	mu    sync.Mutex
	asked []net.Conn // by look-ups, which may go on when nobody waits for them
	over  bool
}

const (
	known int32 = iota
	unknown
	silent
)

// resolveBy has this process ask one name server until the test ends.
func resolveBy(t *testing.T) *names {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	n := &names{conn: conn}
	var group sync.WaitGroup
	group.Go(n.serve)
	before := net.DefaultResolver
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: n.dial}
	t.Cleanup(func() {
		net.DefaultResolver = before
		n.end()
		group.Wait()
	})
	return n
}

func (n *names) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.over {
		return nil, net.ErrClosed
	}
	conn, err := new(net.Dialer).DialContext(ctx, "udp", n.conn.LocalAddr().String())
	if err == nil {
		n.asked = append(n.asked, conn)
	}
	return conn, err
}

// end has every look-up end, too.
func (n *names) end() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.over = true
	_ = n.conn.Close()
	for _, conn := range n.asked {
		_ = conn.Close()
	}
}

func (n *names) serve() {
	packet := make([]byte, 1500)
	for {
		size, from, err := n.conn.ReadFrom(packet)
		if err != nil {
			return
		}
		var query dnsmessage.Message
		if query.Unpack(packet[:size]) != nil || len(query.Questions) != 1 || n.state.Load() == silent {
			continue
		}
		q := query.Questions[0]
		m := dnsmessage.Message{Header: dnsmessage.Header{ID: query.ID, Response: true}, Questions: query.Questions}
		if n.state.Load() == unknown {
			m.RCode = dnsmessage.RCodeNameError
		} else if q.Type == dnsmessage.TypeA {
			m.Answers = []dnsmessage.Resource{{
				Header: dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class, TTL: 1},
				Body:   &dnsmessage.AResource{A: netip.MustParseAddr("127.0.0.1").As4()},
			}}
		}
		if answer, err := m.Pack(); err == nil {
			_, _ = n.conn.WriteTo(answer, from)
		}
	}
}

// F43 I9: names that do not resolve when the connection is to be made anew hold
// up nobody, and the first answer makes it.
func TestConnect_F43_a_name_that_does_not_resolve_holds_up_nobody(t *testing.T) {
	n := resolveBy(t)
	s := startServer(t)
	w := startWire(t, s.nats.URL()[len("nats://"):])
	_, port, err := net.SplitHostPort(w.listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	b := connect(t, "nats://broker.gatehouse.test:"+port, "p")
	for _, state := range []int32{unknown, silent} {
		n.state.Store(state)
		w.cut()
		eventually(t, "the cut is noticed", func() bool { return b.Publish("core", nil) != nil })
		for range 100 {
			within(t, 50*time.Millisecond, "a call without a broker", func() {
				ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
				defer cancel()
				if err := errors.Join(b.Publish("core", nil), b.Ready(ctx)); !fault.Is(err, fault.Unavailable) {
					t.Fatalf("state %d: %v", state, err)
				}
			})
			if err := pause(t, 10*time.Millisecond); err != nil {
				t.Fatal(err)
			}
		}
		n.state.Store(known)
		eventually(t, "the bus is ready", func() bool { return b.Ready(t.Context()) == nil })
	}
	n.state.Store(silent)
	w.cut()
	eventually(t, "the cut is noticed", func() bool { return b.Publish("core", nil) != nil })
	if err := pause(t, 300*time.Millisecond); err != nil { // it is looking by now
		t.Fatal(err)
	}
	within(t, 3*time.Second, "Close", b.Close)
}
