package gatewayapp

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gatehouse.internal/shared/bus"
	"gatehouse.internal/shared/fault"
	"gatehouse.internal/shared/token"
	"gatehouse.internal/shared/token/tokentest"
)

func TestNew_refuses(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = taken.Close() }()
	bad := filepath.Join(t.TempDir(), "bad.yaml")
	if err := os.WriteFile(bad, []byte("routes:\n  - { name: x, match: { path: /x }, upstream: nowhere }\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	good := func() Config {
		return Config{
			Addr: "127.0.0.1:0", OpsAddr: "127.0.0.1:0", AuthURL: []string{"http://127.0.0.1:1"}, UserURL: []string{"http://127.0.0.1:1"},
			Issuer: tokentest.IssuerURL, Audience: tokentest.Audience, NATS: bus.Config{URL: "nats://127.0.0.1:1"}, RedisURL: "redis://127.0.0.1:1",
		}
	}
	for name, spoil := range map[string]func(*Config){
		"settings that cannot work":  func(c *Config) { *c = Config{} },
		"a taken address":            func(c *Config) { c.Addr = taken.Addr().String() },
		"a taken address for ops":    func(c *Config) { c.OpsAddr = taken.Addr().String() },
		"routes with a problem":      func(c *Config) { c.Routes = []string{bad} },
		"routes that are not there":  func(c *Config) { c.Routes = []string{"/nowhere.yaml"} },
		"a certificate not there":    func(c *Config) { c.TLSCert, c.TLSKey = "/nowhere", "/nowhere" },
		"a broker that cannot be":    func(c *Config) { c.NATS.URL = "http://%zz" },
		"credentials not to be read": func(c *Config) { c.NATS.Creds = "/nowhere" },
	} {
		t.Run(name, func(t *testing.T) {
			cfg := good()
			spoil(&cfg)
			if app, err := New(t.Context(), cfg, slog.New(slog.DiscardHandler)); err == nil {
				t.Errorf("it was accepted at %s", app.Addr())
			} else if name == "routes with a problem" && !strings.Contains(err.Error(), "bad.yaml:2") {
				t.Errorf("the place is not named: %v", err)
			}
		})
	}
	t.Run("but starts with everything around it away, and is not ready", func(t *testing.T) {
		app, err := New(t.Context(), good(), slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- app.Run(ctx) }()
		res, err := http.Get("http://" + app.OpsAddr() + "/readyz")
		if err != nil {
			t.Fatal(err)
		}
		body, _ := io.ReadAll(res.Body)
		_ = res.Body.Close()
		if res.StatusCode != http.StatusServiceUnavailable || !strings.Contains(string(body), "keys") || !strings.Contains(string(body), "revocations") {
			t.Errorf("readyz: %d %s", res.StatusCode, body)
		}
		if err := app.Ready(ctx); err == nil {
			t.Error("it says that it is ready")
		}
		// S-B7: a gateway without keys cannot tell, and says so.
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+app.Addr()+"/auth/me", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+tokentest.New(t, token.AlgEdDSA).Token(tokentest.Claims(time.Now())))
		if res, err = http.DefaultClient.Do(req); err != nil {
			t.Fatal(err)
		}
		body, _ = io.ReadAll(res.Body)
		_ = res.Body.Close()
		wantProblem(t, res, string(body), http.StatusServiceUnavailable, fault.Unavailable)
		if res.Header.Get("Retry-After") == "" {
			t.Error("there is no Retry-After")
		}
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
}

func TestApp_Operations(t *testing.T) {
	w := newWorld(t, nil)
	_, _ = w.do("GET", "/api/orders/x", bearer+w.token(nil))
	_, _ = w.do("GET", "/api/orders/x")
	ops := func(path string) (int, string) {
		res, err := w.client.Get("http://" + w.app.OpsAddr() + path)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = res.Body.Close() }()
		body, _ := io.ReadAll(res.Body)
		return res.StatusCode, string(body)
	}
	for _, path := range []string{"/livez", "/readyz"} {
		if status, body := ops(path); status != 200 {
			t.Errorf("%s: %d %s", path, status, body)
		}
		if res, _ := w.do("GET", path); res.StatusCode != http.StatusNotFound {
			t.Errorf("%s on the public port: %d", path, res.StatusCode)
		}
	}
	_, text := ops("/metrics")
	for _, want := range []string{
		`gatehouse_gateway_refusals_total{code="token_missing",route="orders"} 1`, `gatehouse_gateway_upstream_seconds_count{class="2xx",upstream="orders"} 1`,
		`gatehouse_gateway_tokens_good_total 1`, `gatehouse_gateway_signature_checks_total 1`, `gatehouse_revocation_view_age_seconds`,
		`gatehouse_gateway_target_healthy{target=`, `route="orders"`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("metrics lack %s", want)
		}
	}
	if status, _ := ops("/debug/pprof/"); status != 404 {
		t.Errorf("profiling is on without being asked for: %d", status)
	}
}

func TestApp_RoutesChangeWithoutARestart(t *testing.T) {
	w := newWorld(t, nil)
	release := make(chan struct{})
	arrived := make(chan struct{})
	w.answers(func(rw http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/slow") {
			close(arrived)
			<-release
		}
		_, _ = io.WriteString(rw, "ok")
	})
	slow := make(chan string, 1)
	go func() {
		_, body := w.do("GET", "/api/public/slow")
		slow <- body
	}()
	<-arrived
	before := w.app.backends.byName["auth"]
	text, err := os.ReadFile(w.cfg.Routes[0])
	if err != nil {
		t.Fatal(err)
	}
	changed := strings.ReplaceAll(string(text), "targets: [", "timeout: 9s, targets: [") + "  - { name: new, match: { path: /api/new/* }, upstream: orders, auth: none }\n"
	if err := os.WriteFile(w.cfg.Routes[0], []byte(changed), 0o600); err != nil {
		t.Fatal(err)
	}
	w.until("the new route is served", func() bool { res, _ := w.do("GET", "/api/new/x"); return res.StatusCode == http.StatusOK })
	if w.app.backends.byName["auth"] != before {
		t.Error("an upstream that did not change was made anew")
	}
	if err := os.WriteFile(w.cfg.Routes[0], []byte("routes: nonsense"), 0o600); err != nil {
		t.Fatal(err)
	}
	w.until("the problem is seen", func() bool { return w.app.routes.Problems() != nil })
	if res, _ := w.do("GET", "/api/new/x"); res.StatusCode != http.StatusOK {
		t.Errorf("a bad file replaced a good table: %d", res.StatusCode)
	}
	close(release)
	if body := <-slow; body != "ok" {
		t.Errorf("the request that was under way got %q", body)
	}
}

func TestApp_StopsInOrder(t *testing.T) {
	w := newWorld(t, nil)
	arrived, release := make(chan struct{}), make(chan struct{})
	w.answers(func(rw http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/events") {
			rw.Header().Set("Content-Type", "text/event-stream")
			_ = http.NewResponseController(rw).Flush()
			<-r.Context().Done()
			return
		}
		close(arrived)
		<-release
		_ = http.NewResponseController(rw).Flush() // in chunks, as most answers of unknown length
		_, _ = io.WriteString(rw, "whole")
	})
	_, events := w.raw("GET /api/public/events HTTP/1.1\r\nHost: gw\r\n\r\n")
	if _, err := events.ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	_, slow := w.raw("GET /api/public/slow HTTP/1.1\r\nHost: gw\r\n\r\n")
	<-arrived
	stopped := make(chan struct{})
	go func() { defer close(stopped); w.stop() }()
	if _, err := io.Copy(io.Discard, events); err != nil && strings.Contains(err.Error(), "timeout") {
		t.Error("an event stream outlives the gateway's stopping")
	}
	close(release)
	if res, body := readAnswer(t, slow); res.StatusCode != http.StatusOK || body != "whole" {
		t.Errorf("a request under way got %d %q", res.StatusCode, body)
	}
	<-stopped
}

func TestApp_LimitsHoldWithoutRedis(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.RedisURL = "redis://127.0.0.1:1" })
	for i := range 5 {
		began := time.Now()
		res, _ := w.do("GET", "/api/limited/x")
		if want := map[bool]int{true: http.StatusOK, false: http.StatusTooManyRequests}[i < 3]; res.StatusCode != want {
			t.Errorf("request %d: %d", i, res.StatusCode)
		}
		if took := time.Since(began); took > time.Second {
			t.Errorf("request %d waited %v for Redis", i, took)
		}
	}
}

func TestApp_TLS(t *testing.T) {
	certFile, keyFile := certificateFiles(t)
	w := newWorld(t, func(c *Config) { c.TLSCert, c.TLSKey = certFile, keyFile })
	roots := x509.NewCertPool()
	if text, err := os.ReadFile(certFile); err != nil || !roots.AppendCertsFromPEM(text) {
		t.Fatal("the certificate cannot be read")
	}
	for _, http2 := range []bool{false, true} {
		transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}, ForceAttemptHTTP2: http2}
		w.client.Transport = transport
		res, _ := w.do("GET", "/api/orders/x?a;b", bearer+w.token(nil), "X-User-Id: evil", "Cookie: a=1", "Cookie: __Host-access=x")
		got := w.last()
		if res.StatusCode != http.StatusOK || (res.ProtoMajor == 2) != http2 || got.RequestURI != "/api/orders/x?a;b" || got.Header.Get("X-User-Id") == "evil" || got.Header.Get("Cookie") != "a=1" {
			t.Errorf("HTTP/2 %v: %d %s, upstream saw %s %v", http2, res.StatusCode, res.Proto, got.RequestURI, got.Header)
		}
		if got.Header.Get("X-Forwarded-Proto") != "https" || !strings.HasPrefix(got.Header.Get("Via"), map[bool]string{true: "2 ", false: "1.1 "}[http2]) {
			t.Errorf("HTTP/2 %v: X-Forwarded-Proto %q, Via %q", http2, got.Header.Get("X-Forwarded-Proto"), got.Header.Get("Via"))
		}
		if res.Header.Get("Strict-Transport-Security") == "" {
			t.Error("there is no Strict-Transport-Security")
		}
		res, body := w.send("POST", "/api/small/x", strings.NewReader(strings.Repeat("x", 3_000_000)))
		wantProblem(t, res, body, 413, "payload_too_large")
		transport.CloseIdleConnections()
	}
}

func TestApp_TrustedProxiesTellForWhomTheyAsk(t *testing.T) {
	w := newWorld(t, func(c *Config) {
		c.TrustedProxies = append(c.TrustedProxies, netip.MustParsePrefix("127.0.0.0/8"))
	})
	for i := range 8 {
		// The left-most address is the client's own invention.
		res, _ := w.do("GET", "/api/limited/x", fmt.Sprintf("X-Forwarded-For: 198.51.100.%d, 203.0.113.9", i), "X-Request-Id: from-the-proxy")
		if want := map[bool]int{true: 200, false: 429}[i < 3]; res.StatusCode != want {
			t.Errorf("request %d: %d", i, res.StatusCode)
		}
		if res.Header.Get("X-Request-Id") != "from-the-proxy" {
			t.Errorf("X-Request-Id is %q", res.Header.Get("X-Request-Id"))
		}
	}
	if res, _ := w.do("GET", "/api/limited/x", "X-Forwarded-For: 203.0.113.10"); res.StatusCode != http.StatusOK {
		t.Errorf("another client: %d", res.StatusCode)
	}
	if got := w.last().Header.Get("X-Forwarded-For"); got != "203.0.113.10, 127.0.0.1" {
		t.Errorf("upstream saw the chain %q", got)
	}
	neighbours := 0
	for i := range 8 { // IPv6 addresses of one /64 are one client's
		if res, _ := w.do("GET", "/api/limited/x", fmt.Sprintf("X-Forwarded-For: 2001:db8::%d", i)); res.StatusCode == http.StatusOK {
			neighbours++
		}
	}
	if neighbours != 3 {
		t.Errorf("%d of 3 requests from one /64 passed", neighbours)
	}
}
