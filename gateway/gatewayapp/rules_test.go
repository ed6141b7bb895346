package gatewayapp

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gatehouse.internal/shared/fault"
)

// withRoutes writes one more file of routes to the upstream that is called
// orders, and gives its path.
func withRoutes(t testing.TB, content string) func(*Config) {
	t.Helper()
	name := filepath.Join(t.TempDir(), "more.yaml")
	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return func(c *Config) { c.Routes = append(c.Routes, name) }
}

func TestPipeline_RulesOfARoute(t *testing.T) {
	w := newWorld(t, withRoutes(t, `
routes:
  - name: ruled
    match: { path: /ruled/* }
    upstream: orders
    auth: required
    forward_authorization: false
    path_parameters: true
    request_headers: { set: { X-Team: orders }, remove: [X-Debug] }
    response_headers: { set: { X-Served-By: orders }, remove: [X-Powered-By] }
  - { name: ruled-strict, match: { path: /ruled/strict/* }, upstream: orders, auth: required, roles: [admin] }
`))
	w.answers(func(rw http.ResponseWriter, _ *http.Request) { rw.Header().Set("X-Powered-By", "engine") })
	auth := "Authorization: Bearer " + w.token(nil)
	t.Run("headers", func(t *testing.T) {
		res, _ := w.do("GET", "/ruled/a;b=c/d", auth, "X-Debug: 1", "X-Team: forged")
		got := w.last()
		if res.StatusCode != http.StatusOK || got.RequestURI != "/ruled/a;b=c/d" {
			t.Fatalf("%d, the upstream saw %s", res.StatusCode, got.RequestURI)
		}
		if h := got.Header; h.Get("X-Team") != "orders" || h.Get("X-Debug") != "" || h.Get("Authorization") != "" || h.Get("X-User-Id") == "" {
			t.Errorf("the upstream got %v", h)
		}
		if h := res.Header; h.Get("X-Served-By") != "orders" || h.Get("X-Powered-By") != "" {
			t.Errorf("the client got %v", h)
		}
	})
	t.Run("the gateway's own answers are its own", func(t *testing.T) {
		res, body := w.do("GET", "/ruled/a")
		wantProblem(t, res, body, http.StatusUnauthorized, fault.TokenMissing)
		if res.Header.Get("X-Served-By") != "" {
			t.Error("a refusal has the header of the upstream's answers")
		}
	})
	t.Run("S-P8 parameters where they are not allowed", func(t *testing.T) {
		before := len(w.requests())
		for _, path := range []string{"/ruled/strict;x/a", "/ruled/strict/a;x", "/ruled;x/strict/a", "/ruled/;/strict", "/ruled/..;/auth/me", "/api/public/a;b", "/nowhere;x"} {
			res, body := w.do("GET", path, auth)
			wantProblem(t, res, body, http.StatusBadRequest, fault.Malformed)
			if strings.Contains(body, path) {
				t.Errorf("the answer repeats the path: %s", body)
			}
		}
		if n := len(w.requests()); n != before {
			t.Errorf("the upstream saw %d of them", n-before)
		}
	})
}
