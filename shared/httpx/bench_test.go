package httpx_test

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"syscall"
	"testing"
	"time"

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
// net/http alone: one request after the other on one connection, as a browser
// sends it. cpu-us/op is the time of client and server together.
func BenchmarkServer(b *testing.B) {
	handler := http.HandlerFunc(hello)
	bare := httptest.NewUnstartedServer(handler)
	bare.Config.ReadHeaderTimeout, bare.Config.IdleTimeout = 5*time.Second, 2*time.Minute // as ours has them
	bare.Start()
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
	request := []byte("GET /api/orders/17?expand=lines HTTP/1.1\r\nHost: api.example.com\r\nAccept: application/json, text/plain, */*\r\n" +
		"Accept-Encoding: gzip, deflate, br\r\nAccept-Language: en-GB,en;q=0.9\r\nAuthorization: Bearer " + strings.Repeat("x", 400) + "\r\n" +
		"Referer: https://app.example.com/orders\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:131.0) Gecko/20100101 Firefox/131.0\r\n\r\n")
	answer := make([]byte, 4<<10)
	b.ReportAllocs()
	began := processorTime(b)
	for b.Loop() {
		if _, err := conn.Write(request); err != nil {
			b.Fatal(err)
		}
		if _, err := conn.Read(answer); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64((processorTime(b)-began).Nanoseconds())/1000/float64(b.N), "cpu-us/op")
}

// processorTime is what this process has used so far.
func processorTime(b *testing.B) time.Duration {
	b.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
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
