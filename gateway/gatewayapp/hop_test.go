package gatewayapp

import (
	"net/http"
	"strings"
	"testing"
)

// What a client names in Connection, and what is for one hop anyhow, ends here;
// what the gateway itself says goes on although a client has named it.
func TestPipeline_S_P5_fields_of_one_hop_end_at_the_gateway(t *testing.T) {
	w := newWorld(t, nil)
	good := w.token(nil)
	for _, c := range []struct{ name, connection string }{
		{"named", "Connection: close, X-Mine, x-other\r\n"},
		{"named in several lines", "Connection: close\r\nConnection: x-mine\r\nconnection: ,X-OTHER ,\r\n"},
		{"named with what the gateway adds", "Connection: close, X-Mine, X-Other, X-User-Id, X-User-Roles, X-Session-Id, Authorization, X-Request-Id, X-Forwarded-For, Via, Host, Traceparent\r\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := len(w.requests())
			res, body := w.ask("GET /api/orders/x HTTP/1.1\r\nHost: gw\r\n" + bearer + good + "\r\nX-Mine: 1\r\nx-other: 2\r\nX-Kept: 3\r\n" +
				"Keep-Alive: timeout=5\r\nProxy-Authorization: Basic eDp5\r\nProxy-Connection: keep-alive\r\nTE: trailers\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQ\r\n" + c.connection + "\r\n")
			all := w.requests()
			if res.StatusCode != http.StatusOK || len(all) != before+1 {
				t.Fatalf("%d %s", res.StatusCode, body)
			}
			h := all[before].Header
			for _, gone := range []string{"X-Mine", "X-Other", "Keep-Alive", "Proxy-Authorization", "Proxy-Connection", "Te", "Upgrade", "Http2-Settings"} {
				if values, has := h[gone]; has {
					t.Errorf("the upstream got %s: %q", gone, values)
				}
			}
			if strings.Contains(strings.ToLower(strings.Join(h["Connection"], ",")), "x-mine") {
				t.Errorf("the upstream got Connection: %q", h["Connection"])
			}
			for _, kept := range []string{"X-Kept", "X-User-Id", "X-User-Roles", "X-Session-Id", "Authorization", "X-Request-Id", "X-Forwarded-For", "Via"} {
				if h.Get(kept) == "" {
					t.Errorf("the upstream did not get %s", kept)
				}
			}
		})
	}
}

// A request without a result is not made again, whatever the client says of it,
// and whatever an idle connection of the upstream does.
func TestPipeline_S_P13_what_is_not_idempotent_is_sent_once(t *testing.T) {
	w := newWorld(t, nil)
	seen := 0
	w.answersRaw(func(rw http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			return
		}
		w.mu.Lock()
		seen++
		w.mu.Unlock()
		if conn, _, err := http.NewResponseController(rw).Hijack(); err == nil {
			_ = conn.Close()
		}
	})
	for i, request := range []string{
		"POST /api/public/x HTTP/1.1\r\nHost: gw\r\nContent-Length: 0\r\nIdempotency-Key: k\r\n\r\n",
		"POST /api/public/x HTTP/1.1\r\nHost: gw\r\nContent-Length: 0\r\nX-Idempotency-Key: k\r\n\r\n",
		"POST /api/public/x HTTP/1.1\r\nHost: gw\r\nContent-Length: 5\r\nIdempotency-Key: k\r\n\r\nhello",
		"PATCH /api/public/x HTTP/1.1\r\nHost: gw\r\nContent-Length: 0\r\nIdempotency-Key: k\r\n\r\n",
	} {
		if res, body := w.ask("GET /api/public/warm HTTP/1.1\r\nHost: gw\r\n\r\n"); res.StatusCode != http.StatusOK { // leaves an idle connection
			t.Fatalf("%d %s", res.StatusCode, body)
		}
		res, _ := w.ask(request)
		w.mu.Lock()
		got := seen
		w.mu.Unlock()
		if got != i+1 || res.StatusCode < 500 {
			t.Fatalf("%.40q: the upstream saw it %d times, the client got %d", request, got-i, res.StatusCode)
		}
	}
}

// The gateway is the last recipient of TRACE and OPTIONS, so Max-Forwards has
// nothing to count; what it forwards names it in Via, beside those before it.
func TestPipeline_S_P12_the_way_is_named(t *testing.T) {
	w := newWorld(t, nil)
	for via, want := range map[string]string{"": "1.1 gatehouse-node-1", "Via: 1.0 first, 1.1 second\r\n": "1.0 first, 1.1 second, 1.1 gatehouse-node-1"} {
		before := len(w.requests())
		w.ask("GET /api/public/x HTTP/1.1\r\nHost: gw\r\nMax-Forwards: 0\r\n" + via + "Connection: close\r\n\r\n")
		all := w.requests()
		if len(all) != before+1 {
			t.Fatal("the request did not reach the upstream")
		}
		if got := strings.Join(all[before].Header["Via"], ", "); got != want {
			t.Errorf("Via is %q, want %q", got, want)
		}
	}
	for _, method := range []string{"OPTIONS", "TRACE"} {
		before := len(w.requests())
		res, _ := w.ask(method + " /api/public/x HTTP/1.1\r\nHost: gw\r\nMax-Forwards: 5\r\nConnection: close\r\n\r\n")
		if len(w.requests()) != before || res.StatusCode == http.StatusOK {
			t.Errorf("%s was forwarded, or reflected: %d", method, res.StatusCode)
		}
	}
}
