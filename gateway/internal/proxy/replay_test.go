package proxy

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
)

// net/http's transport, which carries what goes over TLS, repeats a request that
// bears an idempotency key when a connection that had been idle ends without an
// answer. The upstream may have acted on it.
func TestServe_S_P13_what_goes_over_TLS_is_not_repeated_either(t *testing.T) {
	for _, c := range []struct{ name, request string }{
		{"an empty POST with Idempotency-Key", "POST /a HTTP/1.1\r\nHost: gw\r\nContent-Length: 0\r\nIdempotency-Key: k\r\n\r\n"},
		{"an empty POST with X-Idempotency-Key", "POST /a HTTP/1.1\r\nHost: gw\r\nContent-Length: 0\r\nX-Idempotency-Key: k\r\n\r\n"},
		{"a PATCH with a key in lower case", "PATCH /a HTTP/1.1\r\nHost: gw\r\nContent-Length: 0\r\nidempotency-key: k\r\n\r\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var seen, fresh atomic.Int32
			up := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Method == http.MethodGet {
					fresh.Add(1)
					_, _ = io.WriteString(w, "ok")
					return
				}
				seen.Add(1)
				if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
					_ = conn.Close()
				}
			}))
			up.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelInfo)
			up.StartTLS()
			t.Cleanup(up.Close)
			transport := NewTransport(TransportOptions{TLS: &TLSFiles{CA: certificateOf(t, up), ServerName: "example.com"}})
			t.Cleanup(transport.CloseIdleConnections)
			f := tunedFront(t, Options{Transport: transport}, up.URL)
			for range 3 {
				if res, body := f.ask(t, get); res.StatusCode != http.StatusOK {
					t.Fatalf("%d %s", res.StatusCode, body)
				}
				if res, _ := f.ask(t, c.request); res.StatusCode < 500 {
					t.Errorf("the client got %d", res.StatusCode)
				}
			}
			if seen.Load() != 3 || fresh.Load() != 3 {
				t.Errorf("the upstream saw %d of 3 requests, and %d to leave a connection idle", seen.Load(), fresh.Load())
			}
		})
	}
}
