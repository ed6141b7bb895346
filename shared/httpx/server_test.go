package httpx_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/labstack/echo/v4"

	"gatehouse.internal/shared/httpx"
	"gatehouse.internal/shared/lifecycle"
)

// running serves h until stop is called, which returns what the server says.
func running(t *testing.T, h http.Handler, options ...httpx.ServerOption) (server *httpx.Server, stop func() error) {
	t.Helper()
	server, err := httpx.Listen("test", "127.0.0.1:0", h, options...)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- lifecycle.Run(ctx, slog.New(slog.DiscardHandler), server.Part()) }()
	stop = func() error {
		cancel()
		err, open := <-done
		if open {
			close(done)
		}
		return err
	}
	t.Cleanup(func() { _ = stop() })
	return server, stop
}

func hello(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") }

func TestServer_listens_at_once_and_gives_the_address_back(t *testing.T) {
	server, err := httpx.Listen("gateway", "127.0.0.1:0", http.HandlerFunc(hello))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := httpx.Listen("second", server.Addr(), http.HandlerFunc(hello)); err == nil || !strings.HasPrefix(err.Error(), "second: ") {
		t.Errorf("a taken address gives %v", err)
	}
	if err := server.Close(); err != nil {
		t.Error(err)
	}
	if err := server.Close(); err != nil {
		t.Errorf("a second Close gives %v", err)
	}
	again, err := httpx.Listen("again", server.Addr(), http.HandlerFunc(hello))
	if err != nil {
		t.Fatal(err)
	}
	_ = again.Close()
}

func TestServer_lets_requests_end_when_it_stops(t *testing.T) {
	entered, leave := make(chan struct{}), make(chan struct{})
	server, stop := running(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(entered)
		<-leave
		hello(w, r)
	}))
	answered := make(chan string, 1)
	go func() {
		answer, err := get(t, "http://"+server.Addr())
		if err != nil {
			answered <- err.Error()
			return
		}
		defer func() { _ = answer.Body.Close() }()
		body, _ := io.ReadAll(answer.Body)
		answered <- string(body)
	}()
	<-entered
	stopped := make(chan error, 1)
	go func() { stopped <- stop() }()
	eventually(t, "new connections are refused", func() bool {
		conn, err := net.Dial("tcp", server.Addr())
		if err == nil {
			_ = conn.Close()
		}
		return err != nil
	})
	close(leave)
	if got := <-answered; got != "hello" {
		t.Errorf("the request under way got %q", got)
	}
	if err := <-stopped; err != nil {
		t.Errorf("stopping: %v", err)
	}
}

// eventually waits for a condition, with a deadline.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline := time.After(5 * time.Second)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-deadline:
			t.Fatalf("not within 5 s: %s", what)
		case <-tick.C:
		}
	}
}

func TestServer_cuts_off_requests_that_do_not_end(t *testing.T) {
	entered := make(chan struct{})
	server, stop := running(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(entered)
		<-r.Context().Done()
	}), httpx.WithDrain(10*time.Millisecond, 0))
	failed := make(chan error, 1)
	go func() {
		answer, err := get(t, "http://"+server.Addr())
		if err == nil {
			_ = answer.Body.Close()
		}
		failed <- err
	}()
	<-entered
	if err := stop(); err == nil || !strings.Contains(err.Error(), "requests were cut off after 10ms") {
		t.Errorf("stopping gives %v", err)
	}
	if err := <-failed; err == nil {
		t.Error("the request was answered")
	}
}

func TestServer_fails_when_its_listener_does(t *testing.T) {
	server, err := httpx.Listen("test", "127.0.0.1:0", http.HandlerFunc(hello))
	if err != nil {
		t.Fatal(err)
	}
	_ = server.Close()
	if err := lifecycle.Run(t.Context(), slog.New(slog.DiscardHandler), server.Part()); err == nil || !strings.HasPrefix(err.Error(), "test: ") {
		t.Errorf("got %v", err)
	}
}

func TestServer_bounds_headers(t *testing.T) {
	server, _ := running(t, http.HandlerFunc(hello))
	conn := dial(t, server.Addr())
	go func() {
		_, _ = fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: x\r\nX: %s\r\n\r\n", strings.Repeat("a", 64<<10))
	}()
	if answer, _ := answerOn(t, conn); answer.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("got %d", answer.StatusCode)
	}
}

func TestServer_says_what_net_http_says(t *testing.T) {
	var log journal
	server, stop := running(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("x") }),
		httpx.WithLog(httpx.Log(&log, "debug")))
	if answer, err := get(t, "http://"+server.Addr()); err == nil {
		_ = answer.Body.Close()
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
	if !strings.Contains(log.String(), "panic serving") {
		t.Errorf("log %q", log.String())
	}
}

func TestServer_TLS(t *testing.T) {
	certFile, keyFile := httpx.WritePair(t, t.TempDir(), 7, time.Now())
	s := newService(httpx.Options{})
	s.GET("/", ok)
	server, _ := running(t, s, httpx.WithTLS(certFile, keyFile))
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}
	defer client.CloseIdleConnections()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+server.Addr()+"/", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	if got := answer.TLS.PeerCertificates[0].SerialNumber.Int64(); got != 7 {
		t.Errorf("it is certificate %d", got)
	}
	if answer.Header.Get("Strict-Transport-Security") == "" {
		t.Error("S-P18 there is no HSTS")
	}
}

func TestListen_without_a_usable_certificate_is_an_error(t *testing.T) {
	certFile, _ := httpx.WritePair(t, t.TempDir(), 7, time.Now())
	for name, files := range map[string][2]string{
		"no files": {"/none", "/none"}, "no key": {certFile, "/none"}, "a certificate as key": {certFile, certFile}, "one of two": {certFile, ""},
	} {
		if _, err := httpx.Listen("test", "127.0.0.1:0", http.HandlerFunc(hello), httpx.WithTLS(files[0], files[1])); err == nil {
			t.Errorf("%s: it listens", name)
		}
	}
	server, err := httpx.Listen("test", "127.0.0.1:0", http.HandlerFunc(hello), httpx.WithTLS("", ""))
	if err != nil {
		t.Errorf("no TLS at all: %v", err)
	} else {
		_ = server.Close()
	}
}

func TestWriter_informational_answers_pass_by(t *testing.T) {
	s := newService(httpx.Options{})
	s.GET("/x", func(c echo.Context) error {
		w := c.Response().Writer
		w.Header().Set("Link", "</style.css>; rel=preload")
		w.WriteHeader(http.StatusEarlyHints)
		w.Header().Del("Link")
		w.WriteHeader(http.StatusCreated)
		_, err := io.WriteString(w, "made")
		return err
	})
	server, _ := running(t, s)
	conn := dial(t, server.Addr())
	if _, err := io.WriteString(conn, "GET /x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	all, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	hints, final, _ := strings.Cut(string(all), "\r\n\r\n")
	if !strings.HasPrefix(hints, "HTTP/1.1 103") || strings.Contains(hints, "nosniff") {
		t.Errorf("first came %q", hints)
	}
	if !strings.HasPrefix(final, "HTTP/1.1 201") || strings.Count(final, "nosniff") != 1 || !strings.HasSuffix(final, "made") {
		t.Errorf("then came %q", final)
	}
}

func TestWriter_a_connection_can_be_taken_over(t *testing.T) {
	s := newService(httpx.Options{})
	s.GET("/x", func(c echo.Context) error {
		conn, _, err := c.Response().Hijack()
		if err != nil {
			return err
		}
		defer func() { _ = conn.Close() }()
		_, err = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\n\r\nhello")
		return err
	})
	server, stop := running(t, s)
	conn := dial(t, server.Addr())
	if _, err := io.WriteString(conn, "GET /x HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if all, _ := io.ReadAll(conn); !strings.HasSuffix(string(all), "hello") {
		t.Errorf("got %q", all)
	}
	_ = stop()
	eventually(t, "the request is logged", func() bool { return strings.Contains(s.log.String(), `"status":101`) })
	if w := s.call("GET", "/x", ""); w.Code != http.StatusInternalServerError {
		t.Errorf("where it cannot be taken over the caller gets %d", w.Code)
	}
}
