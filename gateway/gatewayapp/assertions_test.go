package gatewayapp

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"gatehouse.internal/shared/authn"
	"gatehouse.internal/shared/config"
	"gatehouse.internal/shared/contract"
	"gatehouse.internal/shared/fault"
	"gatehouse.internal/shared/token"
	"gatehouse.internal/shared/token/tokentest"
)

// A service believes nothing but what the gateway signed for it, by the gateway's
// own key set: a request that bypasses the gateway is refused.
func TestAssertions_S_P7_a_service_believes_the_gateway_alone(t *testing.T) {
	service := &authn.Authenticator{Assertions: true}
	var seen []string
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen = r.Header.Values(contract.HeaderAssertion)
		if strings.HasPrefix(r.URL.Path, "/plain") {
			return
		}
		service.Require(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			claims, _ := authn.ClaimsFrom(r.Context())
			_, _ = io.WriteString(w, claims.Subject)
		})).ServeHTTP(w, r)
	}))
	t.Cleanup(up.Close)
	file := filepath.Join(t.TempDir(), "routes.yaml")
	content := strings.ReplaceAll(`
upstreams: { proven: { targets: ["UP"] } }
routes:
  - { name: proven, match: { path: /proven }, upstream: proven, auth: required, assertion: orders }
  - { name: proven-optional, match: { path: /proven/maybe }, upstream: proven, auth: optional, assertion: orders }
  - { name: plain, match: { path: /plain }, upstream: proven, auth: none }
  - { name: others, match: { path: /others }, upstream: proven, auth: required, assertion: others }
`, "UP", up.URL)
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, func(c *Config) { c.Routes = append(c.Routes, file) })
	res, body := w.do("GET", "/.well-known/gatehouse/jwks.json")
	set, err := token.ParseSet([]byte(body))
	if err != nil || res.Header.Get("Content-Type") != "application/jwk-set+json" {
		t.Fatalf("%d %s: %v", res.StatusCode, body, err)
	}
	service.Tokens, err = token.NewVerifier(token.Settings{
		Issuer: tokentest.IssuerURL + "/gateway", Audience: "orders", Type: contract.AssertionType, MaxLifetime: time.Minute,
	}, set, time.Now)
	if err != nil {
		t.Fatal(err)
	}

	bearer := "Authorization: Bearer " + w.token(nil)
	refused := func(res *http.Response, body string, kind fault.Kind) { // by the service, not by the gateway
		t.Helper()
		if res.StatusCode != http.StatusUnauthorized || !strings.Contains(body, `"`+string(kind)+`"`) {
			t.Errorf("%d %s, want %s", res.StatusCode, body, kind)
		}
	}
	if res, body := w.do("GET", "/proven", bearer); res.StatusCode != 200 || body != tokentest.Claims(time.Now()).Subject {
		t.Fatalf("%d %s", res.StatusCode, body)
	}
	good := seen[0]
	res, body = w.do("GET", "/others", bearer)
	refused(res, body, fault.TokenInvalid)
	res, body = w.do("GET", "/proven/maybe")
	refused(res, body, fault.TokenMissing)
	// What a client says is never taken for the gateway's word.
	for _, name := range []string{contract.HeaderAssertion, "x_gatehouse_assertion", "X-GATEHOUSE-Assertion"} {
		if w.do("GET", "/plain", name+": "+good); len(seen) != 0 {
			t.Errorf("%s passes", name)
		}
		res, body = w.do("GET", "/proven/maybe", name+": "+good)
		refused(res, body, fault.TokenMissing)
	}
	// An assertion is no access token.
	res, body = w.do("GET", "/api/orders/1", "Authorization: Bearer "+good)
	wantProblem(t, res, body, 401, fault.TokenInvalid)
}

// TestAssertions_keyOfNobodyElse has the log say that other nodes do not know
// the key by which this one signs, for the routes that are concerned.
func TestAssertions_keyOfNobodyElse(t *testing.T) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	given := config.Secret(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	for _, c := range []struct {
		name, rule string
		key        config.Secret
		warned     bool
	}{
		{"asked for, without a key", ", assertion: orders", "", true},
		{"asked for, with a key", ", assertion: orders", given, false},
		{"not asked for", "", "", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "routes.yaml")
			content := `
upstreams: { up: { targets: ["http://127.0.0.1:9"] } }
routes:
  - { name: proven, match: { path: /proven }, upstream: up, auth: required` + c.rule + ` }
`
			if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
			var log strings.Builder
			a := &App{cfg: Config{AssertionKey: c.key, Routes: []string{file}, AuthURL: []string{"http://a"}, UserURL: []string{"http://u"}}, registry: prometheus.NewRegistry()}
			a.log, a.metrics = slog.New(slog.NewJSONHandler(&log, nil)), newMetrics(a.registry)
			a.roles = newRoles(a)
			if err := a.openRoutes(); err != nil {
				t.Fatal(err)
			}
			a.backends.close()
			if said := strings.Contains(log.String(), "GATEWAY_ASSERTION_KEY is not set"); said != c.warned || said && !strings.Contains(log.String(), `"routes":["proven"]`) {
				t.Errorf("the log says\n%s", log.String())
			}
			if strings.Contains(log.String(), "PRIVATE") {
				t.Error("the key is in the log")
			}
		})
	}
}
