package httpx_test

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"gatehouse.internal/shared/httpx"
)

// from opens a connection from one of the addresses of this machine.
func from(t *testing.T, address string, server *httpx.Server) net.Conn {
	t.Helper()
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(address)}}
	conn, err := dialer.DialContext(t.Context(), "tcp", server.Addr())
	if errors.Is(err, syscall.EADDRNOTAVAIL) && address != "127.0.0.1" {
		t.Skipf("this machine has no %s: %v", address, err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	return conn
}

const hi = "GET / HTTP/1.1\r\nHost: x\r\n\r\n"

// asks makes a request on a connection and gives the status, or 0.
func asks(conn net.Conn) int {
	if _, err := io.WriteString(conn, hi); err != nil {
		return 0
	}
	answer, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		return 0
	}
	defer func() { _ = answer.Body.Close() }()
	_, _ = io.Copy(io.Discard, answer.Body)
	return answer.StatusCode
}

func TestServer_SP16_connections_of_one_client_are_bounded(t *testing.T) {
	registry := prometheus.NewRegistry()
	server, _ := running(t, http.HandlerFunc(hello), httpx.WithConnectionMetrics(registry, "test"), httpx.WithLimits(httpx.Limits{
		ConnectionsPerClient: 3, Exempt: []netip.Prefix{netip.MustParsePrefix("127.0.0.9/32")},
	}))
	var first net.Conn
	for i := range 3 {
		conn := from(t, "127.0.0.2", server)
		if got := asks(conn); got != http.StatusOK {
			t.Errorf("connection %d: %d", i+1, got)
		}
		first = conn
	}
	over := from(t, "127.0.0.2", server)
	answer, body := answerOn(t, over)
	if answer.StatusCode != http.StatusServiceUnavailable || !strings.Contains(body, `"overloaded"`) || answer.Header.Get("Retry-After") == "" {
		t.Errorf("one too many: %d %v %s", answer.StatusCode, answer.Header, body)
	}
	if got := asks(from(t, "127.0.0.3", server)); got != http.StatusOK {
		t.Errorf("another client: %d", got)
	}
	for i := range 5 {
		if got := asks(from(t, "127.0.0.9", server)); got != http.StatusOK {
			t.Errorf("connection %d of a proxy: %d", i+1, got)
		}
	}
	_ = first.Close()
	eventually(t, "there is room again", func() bool { return asks(from(t, "127.0.0.2", server)) == http.StatusOK })
	if n := testutil.CollectAndCount(registry, "gatehouse_http_connections_refused_total"); n != 1 {
		t.Errorf("%d series of refused connections", n)
	}
}

func TestServer_counts_what_happens_before_a_request(t *testing.T) {
	registry := prometheus.NewRegistry()
	certFile, keyFile := httpx.WritePair(t, t.TempDir(), 7, time.Now())
	server, _ := running(t, http.HandlerFunc(hello), httpx.WithConnectionMetrics(registry, "test"), httpx.WithTLS(certFile, keyFile))
	for _, request := range []string{"GET / HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\nHost: x\n\n", "GET / HTTP/1.2\r\nHost: x\r\n\r\n"} {
		conn := tls.Client(dial(t, server.Addr()), &tls.Config{InsecureSkipVerify: true}) // the test's own server
		if _, err := io.WriteString(conn, request); err != nil {
			t.Fatal(err)
		}
		_, _ = answerOn(t, conn)
	}
	open := tls.Client(dial(t, server.Addr()), &tls.Config{InsecureSkipVerify: true})
	if asks(open) != http.StatusOK {
		t.Fatal("it is not served")
	}
	eventually(t, "one connection is left", func() bool { return server.Connections() == 1 })
	got := map[string]float64{}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			name := family.GetName()
			for _, label := range m.GetLabel() {
				if label.GetName() == "code" {
					name += " " + label.GetValue()
				}
			}
			got[name] = m.GetGauge().GetValue() + m.GetCounter().GetValue()
		}
	}
	for name, want := range map[string]float64{
		"gatehouse_http_connections": 1, "gatehouse_http_unreadable_requests_total malformed_request": 2,
		"gatehouse_http_unreadable_requests_total unsupported_http_version": 1,
	} {
		if got[name] != want {
			t.Errorf("%s is %v, want %v", name, got[name], want)
		}
	}
	if expiry := got["gatehouse_http_certificate_expiry_seconds"]; expiry < float64(time.Now().Unix()) {
		t.Errorf("the certificate expires at %v", expiry)
	}
}

func TestServer_SP16_those_that_rest_make_room(t *testing.T) {
	busy, leave := make(chan struct{}, 10), make(chan struct{})
	server, _ := running(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/wait" {
			busy <- struct{}{}
			<-leave
		}
		hello(w, r)
	}), httpx.WithLimits(httpx.Limits{Connections: 3}))
	one, another := from(t, "127.0.0.1", server), from(t, "127.0.0.1", server)
	working := from(t, "127.0.0.1", server)
	if _, err := io.WriteString(working, "GET /wait HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	<-busy
	if asks(one) != 200 || asks(another) != 200 {
		t.Fatal("the first connections are not served")
	}
	eventually(t, "a new one is served", func() bool { return asks(from(t, "127.0.0.1", server)) == http.StatusOK })
	if n := server.Connections(); n > 3 {
		t.Errorf("there are %d connections", n)
	}
	close(leave)
	if answer, body := answerOn(t, working); answer.StatusCode != 200 || body != "hello" {
		t.Errorf("the busy one gets %d %q", answer.StatusCode, body)
	}
}

func TestServer_SP16_where_nobody_rests_there_is_no_room(t *testing.T) {
	busy, leave := make(chan struct{}, 10), make(chan struct{})
	server, _ := running(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		busy <- struct{}{}
		<-leave
		hello(w, r)
	}), httpx.WithLimits(httpx.Limits{Connections: 2}))
	defer close(leave)
	for range 2 {
		if _, err := io.WriteString(from(t, "127.0.0.1", server), hi); err != nil {
			t.Fatal(err)
		}
		<-busy
	}
	for range 3 {
		if answer, body := answerOn(t, from(t, "127.0.0.1", server)); answer.StatusCode != 503 {
			t.Errorf("got %d %s", answer.StatusCode, body)
		}
	}
	if n := server.Connections(); n != 2 {
		t.Errorf("%d connections are counted", n)
	}
}

// A hundred clients that send their head, or nothing at all, as slowly as they
// like are all gone when their time is up, and another is served meanwhile.
func TestServer_SP16_slow_clients_hold_a_connection_for_a_while_only(t *testing.T) {
	server, _ := running(t, http.HandlerFunc(hello), httpx.WithLimits(httpx.Limits{Head: 500 * time.Millisecond, Idle: 500 * time.Millisecond}))
	var slow []net.Conn
	for i := range 100 {
		conn := from(t, "127.0.0.1", server)
		slow = append(slow, conn)
		switch i % 4 {
		case 0: // says nothing
		case 1: // begins a head
			_, _ = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\nX: ")
		case 2: // was served, and rests
			asks(conn)
		case 3: // was served, and begins another head
			asks(conn)
			_, _ = io.WriteString(conn, "GET / HT")
		}
	}
	eventually(t, "another client is served", func() bool { return asks(from(t, "127.0.0.1", server)) == http.StatusOK })
	for i, conn := range slow {
		if _, err := io.ReadAll(conn); isTimeout(err) {
			t.Errorf("slow client %d is still there", i)
		}
	}
	eventually(t, "all have gone", func() bool { return server.Connections() == 0 })
}

// A client that asks again and again and reads nothing is cut off, although no
// handler takes long.
func TestServer_SP16_a_client_that_reads_nothing_is_cut_off(t *testing.T) {
	large := strings.Repeat("x", 1<<20)
	gone := make(chan struct{})
	server, _ := running(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for {
			if _, err := io.WriteString(w, large); err != nil {
				close(gone)
				return
			}
		}
	}), httpx.WithLimits(httpx.Limits{Stall: 200 * time.Millisecond}))
	conn := from(t, "127.0.0.1", server)
	if _, err := io.WriteString(conn, hi); err != nil {
		t.Fatal(err)
	}
	select {
	case <-gone:
	case <-time.After(10 * time.Second):
		t.Error("it is still being waited for")
	}
	eventually(t, "it is counted out", func() bool { return server.Connections() == 0 })
}

// One that reads slowly, but does read, is not.
func TestServer_SP16_a_client_that_reads_is_not(t *testing.T) {
	const size = 16 << 20
	server, _ := running(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", fmt.Sprint(size))
		for range size >> 20 {
			_, _ = io.WriteString(w, strings.Repeat("x", 1<<20))
		}
	}), httpx.WithLimits(httpx.Limits{Stall: 10 * time.Second}))
	conn := from(t, "127.0.0.1", server)
	if _, err := io.WriteString(conn, hi); err != nil {
		t.Fatal(err)
	}
	if answer, body := answerOn(t, conn); answer.StatusCode != 200 || len(body) != size {
		t.Errorf("got %d and %d bytes", answer.StatusCode, len(body))
	}
}
