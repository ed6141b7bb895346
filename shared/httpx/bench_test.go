package httpx_test

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"

	"gatehouse.internal/shared/httpx"
)

// BenchmarkNew shows what the surroundings of a handler cost: ids, trace, log
// record, metrics and headers, beside an Echo that has none of them.
func BenchmarkNew(b *testing.B) {
	for name, e := range map[string]*echo.Echo{
		"bare":  echo.New(),
		"httpx": httpx.New(httpx.Options{Log: httpx.Log(io.Discard, "info"), Registry: prometheus.NewRegistry(), Service: "bench"}),
	} {
		e.GET("/users/:id", ok)
		b.Run(name, func(b *testing.B) {
			r := httptest.NewRequest(http.MethodGet, "/users/1", http.NoBody)
			b.ReportAllocs()
			for b.Loop() {
				e.ServeHTTP(httptest.NewRecorder(), r)
			}
		})
	}
}

// BenchmarkServer shows what a connection of Listen costs, beside one of
// net/http alone: one request after the other on one connection.
func BenchmarkServer(b *testing.B) {
	handler := http.HandlerFunc(hello)
	bare := httptest.NewServer(handler)
	defer bare.Close()
	server, err := httpx.Listen("bench", "127.0.0.1:0", handler)
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(b.Context())
	done := make(chan error, 1)
	go func() { done <- server.Part().Run(ctx) }()
	defer func() {
		cancel()
		if err := <-done; err != nil {
			b.Error(err)
		}
	}()
	for _, c := range []struct{ name, addr string }{{"net/http", bare.Listener.Addr().String()}, {"httpx", server.Addr()}} {
		b.Run(c.name, func(b *testing.B) { askRepeatedly(b, c.addr) })
	}
}

func askRepeatedly(b *testing.B, addr string) {
	conn, err := (&net.Dialer{}).DialContext(b.Context(), "tcp", addr)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	answer := make([]byte, 4<<10)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
			b.Fatal(err)
		}
		if _, err := conn.Read(answer); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkBind shows what strictness costs, beside encoding/json alone.
func BenchmarkBind(b *testing.B) {
	const doc = `{"email":"ann@example.com","roles":["user","admin"],"nested":{"N":[1,2,3]},"labels":{"a":"b"}}`
	b.Run("encoding/json", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			var v body
			if err := json.NewDecoder(strings.NewReader(doc)).Decode(&v); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("httpx", func(b *testing.B) {
		e := echo.New()
		b.ReportAllocs()
		for b.Loop() {
			r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(doc))
			r.Header.Set("Content-Type", "application/json")
			var v body
			if err := httpx.Bind(e.NewContext(r, httptest.NewRecorder()), &v); err != nil {
				b.Fatal(err)
			}
		}
	})
}
