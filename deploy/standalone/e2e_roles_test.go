package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const rolesFile = `
roles:
  clerk: { description: Answers the telephone., permissions: [orders:read] }
  manager: { inherits: [clerk], permissions: [orders:refund] }
`

const permittedRoutes = `
upstreams:
  echo: { targets: ["URL"] }
routes:
  - { name: orders, match: { path: /orders/*, methods: [GET] }, upstream: echo, auth: required, permissions: [orders:read] }
  - { name: refunds, match: { path: /refunds/*, methods: [POST] }, upstream: echo, auth: required, permissions: [orders:read, orders:refund] }
`

// TestE2E_permissions walks from a role in a file to a request that it permits,
// through three gateways.
func TestE2E_permissions(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a system of its own")
	}
	upstream := newUpstream(t)
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	roles, routes := write("roles.yaml", rolesFile), write("routes.yaml", withURL(permittedRoutes, upstream))
	d, stop, err := startInProcess("-data", filepath.Join(dir, "data"), "-roles", roles, "-routes", routes)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := stop(); err != nil {
			t.Error(err)
		}
	}()
	root, u := d.admin(t), d.register(t, true)
	s := d.login(t, u)
	setRoles := func(roles ...string) call {
		return call{method: "PUT", path: "/admin/users/" + s.userID + "/roles", token: root.access, body: map[string]any{"roles": roles}}
	}
	orders := func(s session) call { return call{method: "GET", path: "/orders/7", token: s.access} }
	refunds := func(s session) call { return call{method: "POST", path: "/refunds/7", token: s.access} }
	for _, url := range d.urls { // each gateway learns the table for itself
		one := &deployment{urls: []string{url}, client: d.client}
		eventually(t, "the gateway knows what roles permit", 10*time.Second, func() bool { return one.do(t, orders(s)).status == http.StatusForbidden })
	}
	d.want(t, setRoles("clerc"), http.StatusUnprocessableEntity, "validation_failed")
	for _, c := range []struct {
		role            string
		orders, refunds int
	}{{"clerk", http.StatusOK, http.StatusForbidden}, {"manager", http.StatusOK, http.StatusOK}, {"user", http.StatusForbidden, http.StatusForbidden}} {
		d.want(t, setRoles(c.role), http.StatusOK, "")
		d.everyNode(t, orders(s), http.StatusUnauthorized, "token_stale") // at once
		s = sessionOf(t, d.want(t, refreshCall(s.refresh, 0), http.StatusOK, ""))
		code := func(status int) string {
			if status == http.StatusForbidden {
				return "insufficient_role"
			}
			return ""
		}
		d.everyNode(t, orders(s), c.orders, code(c.orders))
		d.everyNode(t, refunds(s), c.refunds, code(c.refunds))
	}
	d.machines(t, root)
	listed := d.want(t, call{method: "GET", path: "/admin/roles", token: root.access}, http.StatusOK, "").items()
	if len(listed) != 4 || listed[2]["name"] != "manager" || len(listed[2]["effective_permissions"].([]any)) != 2 {
		t.Errorf("roles: %v", listed)
	}
	d.want(t, call{method: "GET", path: "/internal/roles.json"}, http.StatusNotFound, "route_not_found")
}

// machines has a service account call what its role permits, until it is deleted.
func (d *deployment) machines(t *testing.T, root session) {
	t.Helper()
	made := d.want(t, call{method: "POST", path: "/admin/service-accounts", token: root.access,
		body: map[string]any{"name": "billing", "roles": []string{"clerk"}}}, http.StatusCreated, "")
	secret, _ := made.json["secrets"].([]any)[0].(map[string]any)["client_secret"].(string)
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, d.urls[0]+"/auth/token", strings.NewReader("grant_type=client_credentials"))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.SetBasicAuth(made.text("id"), secret)
	response, err := d.client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	var token struct {
		AccessToken string `json:"access_token"`
	}
	if err := json.NewDecoder(response.Body).Decode(&token); err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("status %d, %v", response.StatusCode, err)
	}
	orders := call{method: "GET", path: "/orders/7", token: token.AccessToken}
	d.everyNode(t, orders, http.StatusOK, "")
	d.everyNode(t, call{method: "POST", path: "/refunds/7", token: token.AccessToken}, http.StatusForbidden, "insufficient_role")
	d.want(t, call{method: "DELETE", path: "/admin/service-accounts/" + made.text("id"), token: root.access}, http.StatusNoContent, "")
	d.everyNode(t, orders, http.StatusUnauthorized, "token_revoked")
}

// newUpstream is a service that answers everything with 200.
func newUpstream(t *testing.T) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) }))
	t.Cleanup(server.Close)
	return server.URL
}

func withURL(text, url string) string { return strings.Replace(text, "URL", url, 1) }
