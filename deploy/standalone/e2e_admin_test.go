package main

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// listed waits until the list of users has the account, and gives it.
func (d *deployment) listed(t *testing.T, root session, u user) map[string]any {
	t.Helper()
	var found []map[string]any
	eventually(t, "the account is in the list", 5*time.Second, func() bool {
		found = d.want(t, call{method: "GET", path: "/admin/users?query=" + url.QueryEscape(u.email), token: root.access}, http.StatusOK, "").items()
		return len(found) == 1
	})
	return found[0]
}

func TestE2E_the_list_of_users(t *testing.T) {
	d := e2e(t)
	root := d.admin(t)
	u := d.register(t, true)
	s := d.login(t, u)
	item := d.listed(t, root, u)
	if item["id"] != s.userID || item["email"] != u.email || item["status"] != "active" {
		t.Errorf("listed as %v", item)
	}
	eventually(t, "one account with roles, status and last login", 5*time.Second, func() bool {
		one := d.want(t, call{method: "GET", path: "/admin/users/" + s.userID, token: root.access}, http.StatusOK, "")
		return one.text("id") == s.userID && one.text("last_login_at") != "" && one.json["email_verified"] == true
	})
	d.want(t, call{method: "GET", path: "/admin/users/01900000-0000-7000-8000-000000000000", token: root.access}, http.StatusNotFound, "not_found")
	page := d.want(t, call{method: "GET", path: "/admin/users?limit=1", token: root.access}, http.StatusOK, "")
	next := page.text("next_cursor")
	if len(page.items()) != 1 || next == "" {
		t.Fatalf("a page of one: %s", page.body)
	}
	second := d.want(t, call{method: "GET", path: "/admin/users?limit=1&cursor=" + url.QueryEscape(next), token: root.access}, http.StatusOK, "")
	if len(second.items()) != 1 || second.items()[0]["id"] == page.items()[0]["id"] {
		t.Errorf("the second page: %s", second.body)
	}
	admins := d.want(t, call{method: "GET", path: "/admin/users?role=admin&status=active&limit=200", token: root.access}, http.StatusOK, "")
	if len(admins.items()) == 0 || strings.Contains(string(admins.body), u.email) {
		t.Errorf("the list of administrators: %s", admins.body)
	}
}

func TestE2E_a_role_change_bites_at_once(t *testing.T) {
	d := e2e(t)
	root := d.admin(t)
	u := d.register(t, true)
	s := d.login(t, u)
	roles := func(roles ...string) call {
		return call{method: "PUT", path: "/admin/users/" + s.userID + "/roles", token: root.access, body: map[string]any{"roles": roles}}
	}
	d.everyNode(t, call{method: "GET", path: "/admin/echo/x", token: s.access}, http.StatusForbidden, "insufficient_role")
	d.want(t, roles("user", "no such role"), http.StatusUnprocessableEntity, "validation_failed")
	d.want(t, roles("user", "admin"), http.StatusOK, "")
	d.everyNode(t, call{method: "GET", path: "/api/echo/x", token: s.access}, http.StatusUnauthorized, "token_stale")
	raised := sessionOf(t, d.want(t, refreshCall(s.refresh, 0), http.StatusOK, "")) // the session lives
	d.everyNode(t, call{method: "GET", path: "/admin/echo/x", token: raised.access}, http.StatusOK, "")
	d.want(t, roles("user"), http.StatusOK, "")
	d.everyNode(t, call{method: "GET", path: "/admin/echo/x", token: raised.access}, http.StatusUnauthorized, "token_stale")
	lowered := sessionOf(t, d.want(t, refreshCall(raised.refresh, 0), http.StatusOK, ""))
	d.everyNode(t, call{method: "GET", path: "/admin/echo/x", token: lowered.access}, http.StatusForbidden, "insufficient_role")
}

func TestE2E_lock_unlock_logout_and_delete(t *testing.T) {
	d := e2e(t)
	root := d.admin(t)
	u := d.register(t, true)
	s := d.login(t, u)
	at := "/admin/users/" + s.userID
	signIn := call{method: "POST", path: "/auth/login", body: map[string]any{"email": u.email, "password": u.password}}
	d.want(t, call{method: "POST", path: at + "/lock", token: root.access}, http.StatusNoContent, "")
	d.everyNode(t, call{method: "GET", path: "/api/echo/x", token: s.access}, http.StatusUnauthorized, "token_revoked")
	d.want(t, refreshCall(s.refresh, 0), http.StatusUnauthorized, "invalid_refresh_token")
	d.want(t, signIn, http.StatusForbidden, "account_locked")
	d.want(t, call{method: "POST", path: "/auth/login", body: map[string]any{"email": u.email, "password": otherPassword}}, http.StatusUnauthorized, "invalid_credentials")
	d.want(t, call{method: "POST", path: at + "/unlock", token: root.access}, http.StatusNoContent, "")
	s = d.login(t, u)
	d.everyNode(t, call{method: "GET", path: "/api/echo/x", token: s.access}, http.StatusOK, "") // I6
	d.want(t, call{method: "POST", path: at + "/logout", token: root.access}, http.StatusNoContent, "")
	d.everyNode(t, call{method: "GET", path: "/api/echo/x", token: s.access}, http.StatusUnauthorized, "token_revoked")
	s = d.login(t, u)
	if items := d.want(t, call{method: "GET", path: at + "/sessions", token: root.access}, http.StatusOK, "").items(); len(items) != 1 {
		t.Errorf("%d sessions, want 1", len(items))
	}
	waited := d.want(t, call{method: "DELETE", path: "/admin/sessions/" + s.id + "?wait=1", token: root.access}, http.StatusOK, "")
	if waited.json["nodes"] != float64(len(d.urls)) || waited.json["applied"] != waited.json["nodes"] || waited.json["elapsed_ms"] == nil {
		t.Errorf("ending a session with wait=1 says %s", waited.body)
	}
	d.everyNode(t, call{method: "GET", path: "/api/echo/x", token: s.access}, http.StatusUnauthorized, "token_revoked")
	s = d.login(t, u)
	if a := d.do(t, call{method: "DELETE", path: at, token: root.access}); a.status != http.StatusOK && a.status != http.StatusNoContent {
		t.Errorf("deleting answers %d", a.status)
	}
	d.everyNode(t, call{method: "GET", path: "/api/echo/x", token: s.access}, http.StatusUnauthorized, "token_revoked")
	d.want(t, signIn, http.StatusUnauthorized, "invalid_credentials")
}

func TestE2E_the_last_administrator_stays(t *testing.T) {
	d := e2e(t)
	root := d.admin(t)
	at := "/admin/users/" + root.userID
	d.want(t, call{method: "PUT", path: at + "/roles", token: root.access, body: map[string]any{"roles": []string{"user"}}}, http.StatusConflict, "conflict")
	d.want(t, call{method: "POST", path: at + "/lock", token: root.access}, http.StatusConflict, "conflict")
	d.want(t, call{method: "DELETE", path: at, token: root.access}, http.StatusConflict, "conflict")
	d.everyNode(t, call{method: "GET", path: "/admin/echo/x", token: root.access}, http.StatusOK, "")
}

func TestE2E_audit_keys_nodes_and_routes(t *testing.T) {
	d := e2e(t)
	root := d.admin(t)
	s := d.login(t, d.register(t, true))
	d.want(t, call{method: "POST", path: "/auth/logout", token: s.access}, http.StatusNoContent, "")
	events := d.want(t, call{method: "GET", path: "/admin/audit?limit=200&user=" + s.userID, token: root.access}, http.StatusOK, "")
	if len(events.items()) < 3 || strings.Contains(string(events.body), goodPassword) || strings.Contains(string(events.body), s.refresh) {
		t.Errorf("audit: %.500s", events.body)
	}
	before := signingKeys(t, d, root)
	d.want(t, call{method: "POST", path: "/admin/keys/rotate", token: root.access}, http.StatusCreated, "")
	if after := signingKeys(t, d, root); after == before {
		t.Error("the active key is the same after rotating")
	}
	d.everyNode(t, call{method: "GET", path: "/admin/echo/x", token: root.access}, http.StatusOK, "")       // the old token
	d.everyNode(t, call{method: "GET", path: "/admin/echo/x", token: d.admin(t).access}, http.StatusOK, "") // a new one
	nodes := d.want(t, call{method: "GET", path: "/admin/nodes", token: root.access}, http.StatusOK, "").items()
	if len(nodes) != len(d.urls) {
		t.Errorf("%d nodes, want %d", len(nodes), len(d.urls))
	}
	for _, n := range nodes {
		if n["degraded"] != false || n["id"] == "" || n["address"] == "" || n["applied"] == nil || n["head"] == nil {
			t.Errorf("node %v", n)
		}
	}
	routes := d.want(t, call{method: "GET", path: "/admin/routes", token: root.access}, http.StatusOK, "")
	if !strings.Contains(string(routes.body), "/api/echo/*") {
		t.Errorf("routes: %.300s", routes.body)
	}
}

func TestE2E_F34_a_revoked_key_is_refused_on_every_node_at_once(t *testing.T) {
	d := e2e(t)
	root := d.admin(t)
	s := d.login(t, d.register(t, true))
	var kid string
	if err := json.Unmarshal([]byte(signingKeys(t, d, root)), &kid); err != nil {
		t.Fatal(err)
	}
	gone := d.want(t, call{method: "POST", path: "/admin/keys/" + kid + "/revoke", token: root.access}, http.StatusOK, "")
	if gone.text("state") != "revoked" || gone.json["applied"] != float64(len(d.urls)) {
		t.Errorf("revoking a key says %s", gone.body)
	}
	d.everyNode(t, call{method: "GET", path: "/api/echo/x", token: s.access}, http.StatusUnauthorized, "token_revoked")
	d.everyNode(t, call{method: "GET", path: "/admin/echo/x", token: root.access}, http.StatusUnauthorized, "token_revoked")
	healed := sessionOf(t, d.want(t, refreshCall(s.refresh, 0), http.StatusOK, "")) // the session lives
	d.everyNode(t, call{method: "GET", path: "/api/echo/x", token: healed.access}, http.StatusOK, "")
}

// signingKeys gives the id of the key that signs tokens.
func signingKeys(t *testing.T, d *deployment, root session) string {
	t.Helper()
	a := d.want(t, call{method: "GET", path: "/admin/keys", token: root.access}, http.StatusOK, "")
	for _, key := range a.items() {
		if key["state"] == "active" && key["use"] == "sig" {
			id, err := json.Marshal(key["kid"])
			if err != nil {
				t.Fatal(err)
			}
			return string(id)
		}
	}
	t.Fatalf("no active signing key in %s", a.body)
	return ""
}
