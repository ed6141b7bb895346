package gatewayapp

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"gatehouse.internal/shared/fault"
)

// TestUpstreams has a route file say how upstreams are used, and looks at what
// they get through the whole gateway.
func TestUpstreams(t *testing.T) {
	serve := func(protocols func(*http.Protocols), answer http.HandlerFunc) string {
		up := httptest.NewUnstartedServer(answer)
		up.Config.Protocols = new(http.Protocols)
		protocols(up.Config.Protocols)
		up.Start()
		t.Cleanup(up.Close)
		return up.URL
	}
	http1 := func(p *http.Protocols) { p.SetHTTP1(true) }
	var flaky, heavy, light, sick atomic.Int64
	count := func(n *atomic.Int64) http.HandlerFunc {
		return func(http.ResponseWriter, *http.Request) { n.Add(1) }
	}
	gone := make(chan struct{})
	urls := strings.NewReplacer(
		"FLAKY", serve(http1, func(w http.ResponseWriter, _ *http.Request) {
			if flaky.Add(1)%2 == 1 {
				w.WriteHeader(http.StatusServiceUnavailable)
			}
		}),
		"HEAVY", serve(http1, count(&heavy)), "LIGHT", serve(http1, count(&light)),
		"SICK", serve(http1, func(w http.ResponseWriter, _ *http.Request) { sick.Add(1); w.WriteHeader(http.StatusBadGateway) }),
		"H2C", serve(func(p *http.Protocols) { p.SetUnencryptedHTTP2(true) }, func(w http.ResponseWriter, r *http.Request) {
			_, _ = fmt.Fprintf(w, "%s as %s", r.Proto, r.Header.Get("X-User-Id"))
		}),
		"SLOW", serve(http1, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done(); close(gone) }),
	)
	file := filepath.Join(t.TempDir(), "upstreams.yaml")
	content := urls.Replace(`
upstreams:
  flaky: { targets: [FLAKY], failure_statuses: [503], retries: { attempts: 1 } }
  weighted: { targets: [{ url: HEAVY, weight: 3 }, LIGHT] }
  broken: { targets: [SICK], failure_statuses: [502], breaker: { min_calls: 3, open_for: 10m } }
  modern: { targets: [H2C], protocol: h2c }
  slow: { targets: [SLOW], connect_timeout: 1s, idle_timeout: 1s, max_requests: 5 }
routes:
  - { name: flaky, match: { path: /flaky }, upstream: flaky, auth: none }
  - { name: weighted, match: { path: /weighted }, upstream: weighted, auth: none }
  - { name: broken, match: { path: /broken }, upstream: broken, auth: none }
  - { name: modern, match: { path: /modern }, upstream: modern, auth: required }
  - { name: slow, match: { path: /slow }, upstream: slow, auth: none, total_timeout: 200ms }
`)
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, func(c *Config) { c.Routes = append(c.Routes, file) })

	if res, body := w.do("GET", "/flaky"); res.StatusCode != 200 || flaky.Load() != 2 {
		t.Errorf("retries: %d %s after %d calls", res.StatusCode, body, flaky.Load())
	}
	for range 40 {
		w.do("GET", "/weighted")
	}
	if heavy.Load() != 30 || light.Load() != 10 {
		t.Errorf("weights 3 and 1: %d and %d calls", heavy.Load(), light.Load())
	}
	for range 3 {
		w.do("GET", "/broken")
	}
	w.until("the breaker is open", func() bool { return w.app.backends.open()["broken"] })
	res, body := w.do("GET", "/broken")
	wantProblem(t, res, body, 503, fault.UpstreamUnavailable)
	if sick.Load() != 3 || res.Header.Get("Retry-After") == "" {
		t.Errorf("an open breaker: %d calls, Retry-After %q", sick.Load(), res.Header.Get("Retry-After"))
	}
	if res, body := w.do("GET", "/modern", "Authorization: Bearer "+w.token(nil)); res.StatusCode != 200 || !strings.HasPrefix(body, "HTTP/2.0 as 0") {
		t.Errorf("h2c: %d %s", res.StatusCode, body)
	}
	res, body = w.do("GET", "/slow")
	wantProblem(t, res, body, 504, fault.UpstreamTimeout)
	<-gone

	ops, err := w.client.Get("http://" + w.app.OpsAddr() + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = ops.Body.Close() }()
	metrics, _ := io.ReadAll(ops.Body)
	for _, want := range []string{`gatehouse_gateway_upstream_retries_total{upstream="flaky"} 1`, `gatehouse_gateway_upstream_breaker_open{upstream="broken"} 1`} {
		if !strings.Contains(string(metrics), want) {
			t.Errorf("metrics lack %s", want)
		}
	}
}
