package httpx_test

import (
	"bufio"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/labstack/echo/v4"

	"gatehouse.internal/shared/httpx"
)

// next makes a request on a connection and gives its answer.
func next(t *testing.T, conn net.Conn) *http.Response {
	t.Helper()
	if _, err := io.WriteString(conn, hi); err != nil {
		t.Fatal(err)
	}
	answer, _ := answerOn(t, conn)
	return answer
}

func TestServer_that_drains_has_its_clients_leave(t *testing.T) {
	server, _ := running(t, http.HandlerFunc(hello))
	resting, silent := dial(t, server.Addr()), dial(t, server.Addr())
	if next(t, resting).Close {
		t.Error("it is told to leave before the drain")
	}
	server.Drain()
	if answer := next(t, resting); answer.StatusCode != 200 || !answer.Close {
		t.Errorf("one that rested gets %d, close: %v", answer.StatusCode, answer.Close)
	}
	if answer := next(t, silent); answer.StatusCode != 200 || !answer.Close {
		t.Errorf("one that had said nothing gets %d, close: %v", answer.StatusCode, answer.Close)
	}
	if answer := next(t, dial(t, server.Addr())); answer.StatusCode != 200 || !answer.Close {
		t.Errorf("a new one gets %d, close: %v", answer.StatusCode, answer.Close)
	}
	if _, err := io.ReadAll(resting); err != nil {
		t.Errorf("the connection ends with %v", err)
	}
}

func TestServer_that_drains_tells_those_whose_request_is_under_way(t *testing.T) {
	entered, leave := make(chan struct{}), make(chan struct{})
	s := newService(httpx.Options{})
	s.GET("/", func(c echo.Context) error {
		close(entered)
		<-leave
		return c.String(http.StatusOK, "hello")
	})
	server, _ := running(t, s)
	conn := dial(t, server.Addr())
	if _, err := io.WriteString(conn, hi); err != nil {
		t.Fatal(err)
	}
	<-entered
	server.Drain()
	close(leave)
	if answer, body := answerOn(t, conn); answer.StatusCode != 200 || body != "hello" || !answer.Close {
		t.Errorf("got %d %q, close: %v", answer.StatusCode, body, answer.Close)
	}
}

// Between the moment at which a server takes no new connection and the one at
// which it is gone, those who have a connection are served.
func TestServer_that_stops_serves_those_who_are_connected(t *testing.T) {
	entered, leave := make(chan struct{}, 1), make(chan struct{})
	server, stop := running(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/wait" {
			entered <- struct{}{}
			<-leave
		}
		hello(w, r)
	}), httpx.WithDrain(20*time.Second, 5*time.Second))
	busy, resting, silent := dial(t, server.Addr()), dial(t, server.Addr()), dial(t, server.Addr())
	next(t, resting)
	if _, err := io.WriteString(busy, "GET /wait HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	<-entered
	eventually(t, "all are connected", func() bool { return server.Connections() == 3 })
	stopped := make(chan error, 1)
	go func() { stopped <- stop() }()
	eventually(t, "new connections are refused", func() bool {
		conn, err := net.Dial("tcp", server.Addr())
		if err == nil {
			_ = conn.Close()
		}
		return err != nil
	})
	for name, conn := range map[string]net.Conn{"resting": resting, "silent": silent} {
		if answer := next(t, conn); answer.StatusCode != 200 || !answer.Close {
			t.Errorf("the %s one gets %d, close: %v", name, answer.StatusCode, answer.Close)
		}
	}
	close(leave)
	if answer, body := answerOn(t, busy); answer.StatusCode != 200 || body != "hello" {
		t.Errorf("the busy one gets %d %q", answer.StatusCode, body)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}

func TestServer_that_stops_closes_connections_that_stay_silent(t *testing.T) {
	server, stop := running(t, http.HandlerFunc(hello), httpx.WithDrain(20*time.Second, time.Second))
	resting, silent, half := dial(t, server.Addr()), dial(t, server.Addr()), dial(t, server.Addr())
	next(t, resting)
	_, _ = io.WriteString(half, "GET / HT")
	eventually(t, "all are connected", func() bool { return server.Connections() == 3 })
	done := make(chan error, 1)
	go func() { done <- stop() }()
	for name, conn := range map[string]net.Conn{"resting": resting, "silent": silent} {
		if _, err := io.ReadAll(conn); isTimeout(err) {
			t.Errorf("the %s one is left open", name)
		}
	}
	if _, err := io.WriteString(half, "TP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Error(err)
	}
	if answer, _ := answerOn(t, half); answer.StatusCode != 200 {
		t.Errorf("the one whose head was coming gets %d", answer.StatusCode)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestServer_that_drains_says_GOAWAY_in_HTTP2(t *testing.T) {
	certFile, keyFile := httpx.WritePair(t, t.TempDir(), 7, time.Now())
	server, stop := running(t, http.HandlerFunc(hello), httpx.WithTLS(certFile, keyFile))
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: true} // the test's own server
	defer transport.CloseIdleConnections()
	ask := func() (*http.Response, error) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+server.Addr()+"/", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := transport.RoundTrip(r)
		if err == nil {
			_, _ = io.Copy(io.Discard, answer.Body)
			_ = answer.Body.Close()
		}
		return answer, err
	}
	for range 3 {
		if answer, err := ask(); err != nil || answer.ProtoMajor != 2 {
			t.Fatalf("got %v, %v", answer, err)
		}
	}
	server.Drain()
	if answer, err := ask(); err != nil || answer.StatusCode != 200 {
		t.Errorf("during the drain: %v, %v", answer, err)
	}
	eventually(t, "the client has left", func() bool { return server.Connections() == 0 })
	if err := stop(); err != nil {
		t.Error(err)
	}
}

func TestServer_TLS_tells_a_client_in_clear(t *testing.T) {
	certFile, keyFile := httpx.WritePair(t, t.TempDir(), 7, time.Now())
	server, _ := running(t, http.HandlerFunc(hello), httpx.WithTLS(certFile, keyFile))
	conn := dial(t, server.Addr())
	if _, err := io.WriteString(conn, hi); err != nil {
		t.Fatal(err)
	}
	if answer, body := answerOn(t, conn); answer.StatusCode != 400 || !strings.Contains(body, "HTTPS") {
		t.Errorf("got %d %s", answer.StatusCode, body)
	}
	if all, err := io.ReadAll(conn); len(all) > 0 || isTimeout(err) {
		t.Errorf("then %q, %v", all, err)
	}
}

// A handshake that does not go on holds a connection no longer than a head.
func TestServer_SP16_TLS_handshakes_are_bounded(t *testing.T) {
	certFile, keyFile := httpx.WritePair(t, t.TempDir(), 7, time.Now())
	server, stop := running(t, http.HandlerFunc(hello), httpx.WithTLS(certFile, keyFile), httpx.WithLimits(httpx.Limits{Head: 100 * time.Millisecond}))
	for _, start := range []string{"", "\x16\x03\x01\x02\x00\x01", "\x16"} {
		conn := dial(t, server.Addr())
		_, _ = io.WriteString(conn, start)
		if _, err := io.ReadAll(conn); isTimeout(err) {
			t.Errorf("after %q it is left open", start)
		}
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}

func TestServer_TLS_speaks_HTTP1_as_well(t *testing.T) {
	certFile, keyFile := httpx.WritePair(t, t.TempDir(), 7, time.Now())
	s := newService(httpx.Options{})
	s.GET("/", func(c echo.Context) error { return c.String(http.StatusOK, c.Scheme()) })
	server, stop := running(t, s, httpx.WithTLS(certFile, keyFile))
	for _, protocols := range [][]string{nil, {"http/1.1"}} {
		conn := tls.Client(dial(t, server.Addr()), &tls.Config{InsecureSkipVerify: true, NextProtos: protocols}) // the test's own server
		in := bufio.NewReader(conn)
		for range 3 {
			if _, err := io.WriteString(conn, hi); err != nil {
				t.Fatal(err)
			}
			answer, err := http.ReadResponse(in, nil)
			if err != nil {
				t.Fatal(err)
			}
			body, _ := io.ReadAll(answer.Body)
			_ = answer.Body.Close()
			if answer.StatusCode != 200 || string(body) != "https" || answer.Header.Get("Strict-Transport-Security") == "" {
				t.Errorf("got %d %q %v", answer.StatusCode, body, answer.Header)
			}
		}
	}
	old := tls.Client(dial(t, server.Addr()), &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}) // must fail
	if err := old.HandshakeContext(t.Context()); err == nil {
		t.Error("TLS 1.1 is spoken")
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}
