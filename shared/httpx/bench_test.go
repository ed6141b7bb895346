package httpx_test

import (
	"encoding/json"
	"io"
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
