package proxy

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/net/dns/dnsmessage"
)

// nameServer answers DNS queries for IPv4 addresses over UDP.
type nameServer struct {
	conn net.PacketConn

	mu    sync.Mutex
	names map[string][]string // with a dot at the end
	down  bool                // SERVFAIL to everything
	asked int
}

func newNameServer(t testing.TB) *nameServer {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &nameServer{conn: conn, names: map[string][]string{}}
	var group sync.WaitGroup
	group.Go(s.serve)
	t.Cleanup(func() { _ = conn.Close(); group.Wait() })
	return s
}

func (s *nameServer) serve() {
	packet := make([]byte, 1500)
	for {
		n, from, err := s.conn.ReadFrom(packet)
		if err != nil {
			return
		}
		var query dnsmessage.Message
		if query.Unpack(packet[:n]) != nil || len(query.Questions) != 1 {
			continue
		}
		if answer, err := s.answer(query); err == nil {
			_, _ = s.conn.WriteTo(answer, from)
		}
	}
}

func (s *nameServer) answer(query dnsmessage.Message) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked++
	q := query.Questions[0]
	m := dnsmessage.Message{Header: dnsmessage.Header{ID: query.ID, Response: true, Authoritative: true}, Questions: query.Questions}
	addresses, known := s.names[q.Name.String()]
	switch {
	case s.down:
		m.RCode = dnsmessage.RCodeServerFailure
	case !known:
		m.RCode = dnsmessage.RCodeNameError
	case q.Type == dnsmessage.TypeA:
		for _, a := range addresses {
			m.Answers = append(m.Answers, dnsmessage.Resource{
				Header: dnsmessage.ResourceHeader{Name: q.Name, Type: q.Type, Class: q.Class, TTL: 1},
				Body:   &dnsmessage.AResource{A: netip.MustParseAddr(a).As4()},
			})
		}
	}
	return m.Pack()
}

func (s *nameServer) set(down bool, name string, addresses ...string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down = down
	s.names[name+"."] = addresses
}

// resolver asks this server alone.
func (s *nameServer) resolver() *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", s.conn.LocalAddr().String())
	}}
}

// replicas are servers at several loopback addresses and one port, each of
// which answers with its address.
func replicas(t *testing.T, protocols *http.Protocols, addresses ...string) (port string) {
	t.Helper()
	for i, a := range addresses {
		if i == 0 {
			port = "0"
		}
		l, err := net.Listen("tcp", net.JoinHostPort(a, port))
		if err != nil {
			t.Skipf("this machine has not all of 127.0.0.0/8, or the port is taken: %v", err)
		}
		_, port, _ = net.SplitHostPort(l.Addr().String())
		s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/held" {
				w.WriteHeader(http.StatusOK)
				_ = http.NewResponseController(w).Flush()
				_, _ = io.Copy(io.Discard, r.Body) // until the client is done
			}
			_, _ = io.WriteString(w, a)
		}))
		_ = s.Listener.Close()
		s.Listener, s.Config.Protocols = l, protocols
		s.Start()
		t.Cleanup(s.Close)
	}
	return port
}

func TestNames_followChanges(t *testing.T) {
	for _, protocol := range []Protocol{HTTP1, H2C} {
		t.Run(string(protocol), func(t *testing.T) {
			dns := newNameServer(t)
			dns.set(false, "orders.test", "127.0.0.2")
			protocols := new(http.Protocols)
			protocols.SetHTTP1(protocol == HTTP1)
			protocols.SetUnencryptedHTTP2(protocol == H2C)
			port := replicas(t, protocols, "127.0.0.2", "127.0.0.3")
			names := NewNames(NamesOptions{Hosts: []string{"orders.test"}, Resolver: dns.resolver()})
			transport := NewTransport(TransportOptions{Protocol: protocol, Names: names})
			defer func() { _ = transport.Close() }()
			ask := func(path string, body io.Reader) (*http.Response, error) {
				req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://orders.test:"+port+path, body)
				if err != nil {
					t.Fatal(err)
				}
				return transport.RoundTrip(req)
			}
			want := func(address string) {
				t.Helper()
				res, err := ask("/", nil)
				if err != nil {
					t.Fatal(err)
				}
				body, _ := io.ReadAll(res.Body)
				if _ = res.Body.Close(); string(body) != address {
					t.Fatalf("%s answers, want %s", body, address)
				}
			}
			want("127.0.0.2")
			// One call is under way while the address changes, another one's
			// connection is idle.
			pipe, more := io.Pipe()
			held, err := ask("/held", pipe)
			if err != nil {
				t.Fatal(err)
			}
			want("127.0.0.2")
			dns.set(false, "orders.test", "127.0.0.3")
			names.refresh(t.Context())
			want("127.0.0.3")
			_ = more.Close()
			body, err := io.ReadAll(held.Body)
			if err != nil || string(body) != "127.0.0.2" {
				t.Errorf("the call under way got %q, %v", body, err)
			}
			_ = held.Body.Close()
			want("127.0.0.3")
			// What cannot be looked up stays as it was found last, whatever the
			// name server says.
			dns.set(true, "orders.test")
			names.refresh(t.Context())
			transport.CloseIdleConnections()
			want("127.0.0.3")
			dns.set(false, "orders.test") // no address at all
			names.refresh(t.Context())
			transport.CloseIdleConnections()
			want("127.0.0.3")
			dns.set(false, "orders.test", "127.0.0.2")
			names.refresh(t.Context())
			want("127.0.0.2")
		})
	}
}

// TestNames_turns has new connections go to all addresses, and pass over one
// at which nobody listens.
func TestNames_turns(t *testing.T) {
	dns := newNameServer(t)
	dns.set(false, "orders.test", "127.0.0.4", "127.0.0.3", "127.0.0.2")
	port := replicas(t, nil, "127.0.0.2", "127.0.0.3")
	names := NewNames(NamesOptions{Hosts: []string{"orders.test"}, Resolver: dns.resolver()})
	dialer := &net.Dialer{Timeout: 10 * time.Second}
	count := map[string]int{}
	for range 12 {
		conn, err := names.dial(t.Context(), dialer, "tcp", "orders.test:"+port)
		if err != nil {
			t.Fatal(err)
		}
		host, _, _ := net.SplitHostPort(conn.RemoteAddr().String())
		count[host]++
		_ = conn.Close()
	}
	if count["127.0.0.2"] < 4 || count["127.0.0.3"] < 4 || count["127.0.0.4"] != 0 {
		t.Errorf("connections went to %v", count)
	}
}

func TestNames_unknown(t *testing.T) {
	dns := newNameServer(t)
	var failed int
	names := NewNames(NamesOptions{Hosts: []string{"nowhere.test", "127.0.0.1", "::1"}, Resolver: dns.resolver(), Failed: func() { failed++ }})
	if len(names.host) != 1 {
		t.Errorf("%d names, want one", len(names.host))
	}
	transport := NewTransport(TransportOptions{Names: names})
	defer func() { _ = transport.Close() }()
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://nowhere.test:1/", http.NoBody)
	_, err := transport.RoundTrip(req)
	if dnsError, ok := errors.AsType[*net.DNSError](err); !ok || !dnsError.IsNotFound || !unreachable(err) {
		t.Errorf("%v", err)
	}
	if failed != 1 {
		t.Errorf("%d failures were told", failed)
	}
	names.refresh(t.Context())
	if failed != 2 {
		t.Errorf("%d failures were told", failed)
	}
}

// TestNames_order looks at the order in which addresses are tried.
func TestNames_order(t *testing.T) {
	n := NewNames(NamesOptions{Hosts: []string{"a"}, Refresh: time.Minute})
	addresses := func(texts ...string) (all []netip.Addr) {
		for _, text := range texts {
			all = append(all, netip.MustParseAddr(text))
		}
		return all
	}
	now := time.Now()
	if n.order("a", now) != nil {
		t.Error("addresses that nobody has looked up")
	}
	told := 0
	n.onChange(func() { told++ })
	n.replace("a", addresses("fd00::1", "10.0.0.1", "fd00::2"))
	want := func(texts ...string) {
		t.Helper()
		if got := n.order("a", now); !slices.Equal(got, addresses(texts...)) {
			t.Errorf("order %v, want %v", got, texts)
		}
	}
	want("fd00::2", "fd00::1", "10.0.0.1")
	want("fd00::1", "fd00::2", "10.0.0.1")
	n.refuse("a", netip.MustParseAddr("fd00::1"), now)
	want("fd00::2", "10.0.0.1", "fd00::1")
	n.refuse("a", netip.MustParseAddr("192.0.2.1"), now) // none of its addresses
	now = now.Add(time.Minute)
	want("fd00::1", "fd00::2", "10.0.0.1")
	n.replace("a", addresses("10.0.0.1", "fd00::2", "fd00::1")) // the same
	if told != 0 {
		t.Errorf("%d changes were told of another order", told)
	}
	n.replace("a", addresses("10.0.0.1"))
	want("10.0.0.1")
	if told != 1 {
		t.Errorf("%d changes were told", told)
	}
}

// TestNames_interval has names looked up at once and then at every interval,
// until nobody wants to know any more.
func TestNames_interval(t *testing.T) {
	refusing := &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("no network") }}
	_, _ = refusing.LookupHost(t.Context(), "orders.test.") // has package net make what it keeps, outside of the bubble
	synctest.Test(t, func(t *testing.T) {
		var failed atomic.Int64
		n := NewNames(NamesOptions{Hosts: []string{"orders.test."}, Resolver: refusing, Refresh: 10 * time.Second, Failed: func() { failed.Add(1) }})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { n.Run(ctx); close(done) }()
		synctest.Wait()
		if failed.Load() != 1 {
			t.Errorf("%d look-ups at once", failed.Load())
		}
		time.Sleep(100 * time.Second)
		synctest.Wait()
		if n := failed.Load(); n < 10 || n > 12 {
			t.Errorf("%d look-ups within ten intervals", n)
		}
		cancel()
		<-done
	})
}
