package httpapi_test

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestAPI_S_R8_roles(t *testing.T) {
	w := newWorld(t)
	w.register(ada)
	s, admin := w.login(ada, password), w.admin()
	path := "/admin/users/" + s.User.ID + "/roles"
	changed := decoded[map[string]any](w.call("PUT", path, fields{"roles": []string{"admin"}}, bearer(admin.AccessToken)).want(200))
	if changed["email"] != ada || changed["status"] != "active" || changed["last_login_at"] == nil {
		t.Errorf("account %v", changed)
	}
	w.call("GET", "/auth/me", nil, bearer(s.AccessToken)).wantProblem(401, "token_stale")
	fresh := decoded[tokens](w.call("POST", "/auth/refresh", fields{"refresh_token": s.RefreshToken}).want(200))
	if !slices.Equal(fresh.User.Roles, []string{"admin", "user"}) {
		t.Errorf("roles %v", fresh.User.Roles)
	}
	w.call("GET", "/admin/keys", nil, bearer(fresh.AccessToken)).want(200)
	w.call("PUT", path, fields{"roles": []string{"Not a role"}}, bearer(admin.AccessToken)).wantProblem(422, "validation_failed")
	w.call("PUT", path, fields{}, bearer(admin.AccessToken)).wantProblem(422, "validation_failed")
	w.call("PUT", path, fields{"roles": []string{}}, bearer(admin.AccessToken)).want(200)
	w.demoteRoot().wantProblem(409, "conflict")
}

func TestAPI_S_R5_administrators_end_sessions(t *testing.T) {
	w := newWorld(t)
	w.register(ada)
	admin := bearer(w.admin().AccessToken)
	user := w.login(ada, password).User.ID

	t.Run("lock and unlock", func(t *testing.T) {
		w := w.in(t)
		s := w.login(ada, password)
		w.call("POST", "/admin/users/"+user+"/lock", nil, admin).want(204)
		w.call("POST", "/admin/users/"+user+"/lock", fields{}, admin).want(204)
		w.call("GET", "/auth/me", nil, bearer(s.AccessToken)).wantProblem(401, "token_revoked")
		w.call("POST", "/auth/login", fields{"email": ada, "password": password}).wantProblem(403, "account_locked")
		w.call("POST", "/admin/users/"+user+"/unlock", nil, admin).want(204)
		w.call("GET", "/auth/me", nil, bearer(s.AccessToken)).wantProblem(401, "token_revoked")
		w.login(ada, password)
	})
	t.Run("logout", func(t *testing.T) {
		w := w.in(t)
		s := w.login(ada, password)
		w.call("POST", "/admin/users/"+user+"/logout", fields{}, admin).want(204)
		w.call("GET", "/auth/me", nil, bearer(s.AccessToken)).wantProblem(401, "token_revoked")
	})
	t.Run("one session, with and without waiting for the figures", func(t *testing.T) {
		w := w.in(t)
		one, two := w.login(ada, password), w.login(ada, password)
		list := decoded[page[session]](w.call("GET", "/admin/users/"+user+"/sessions", nil, admin).want(200))
		if len(list.Items) != 2 || list.Items[0].Current {
			t.Errorf("sessions %+v", list)
		}
		w.call("DELETE", "/admin/sessions/"+one.SessionID, nil, admin).want(204)
		a := w.call("DELETE", "/admin/sessions/"+two.SessionID+"?wait=1", nil, admin).want(200)
		if got := strings.TrimSpace(string(a.body)); got != `{"nodes":3,"applied":3,"elapsed_ms":4.1}` {
			t.Errorf("figures %s", got)
		}
		for _, s := range []tokens{one, two} {
			w.call("GET", "/auth/me", nil, bearer(s.AccessToken)).wantProblem(401, "token_revoked")
		}
	})
	t.Run("deletion", func(t *testing.T) {
		w := w.in(t)
		s := w.login(ada, password)
		w.call("DELETE", "/admin/users/"+user, nil, admin).want(204)
		w.call("DELETE", "/admin/users/"+user, nil, admin).wantProblem(404, "not_found")
		w.call("GET", "/auth/me", nil, bearer(s.AccessToken)).wantProblem(401, "token_revoked")
	})
}

func TestAPI_S_A1_audit(t *testing.T) {
	w := newWorld(t)
	w.register(ada)
	w.call("POST", "/auth/login", fields{"email": ada, "password": "wrong wrong wrong 1"}).want(401)
	user := w.login(ada, password).User.ID
	admin := bearer(w.admin().AccessToken)
	type event struct {
		ID, Event, Outcome, Reason, IP string
		At                             time.Time
		TargetID                       string `json:"target_id"`
		RequestID                      string `json:"request_id"`
	}
	all := w.call("GET", "/admin/audit", nil, admin).want(200)
	for _, secret := range []string{password, "wrong wrong", ada, root} {
		if strings.Contains(string(all.body), secret) {
			t.Errorf("the audit trail holds %q", secret)
		}
	}
	logins := decoded[page[event]](w.call("GET", "/admin/audit?event=login&user="+user, nil, admin).want(200)).Items
	if len(logins) != 2 || logins[0].Outcome != "success" || logins[1].Outcome != "failure" || logins[0].RequestID == "" ||
		logins[0].IP != "127.0.0.1" || logins[0].TargetID != user {
		t.Errorf("logins %+v", logins)
	}
	until := url.QueryEscape(w.clock.Now().Add(-time.Hour).Format(time.RFC3339))
	if early := decoded[page[event]](w.call("GET", "/admin/audit?to="+until, nil, admin).want(200)); len(early.Items) != 0 {
		t.Errorf("events before the beginning: %+v", early.Items)
	}
	seen := map[string]bool{}
	for cursor, pages := "", 0; ; pages++ {
		p := decoded[page[event]](w.call("GET", "/admin/audit?limit=2&cursor="+cursor, nil, admin).want(200))
		for _, e := range p.Items {
			if seen[e.ID] {
				t.Errorf("event %s comes twice", e.ID)
			}
			seen[e.ID] = true
		}
		if p.NextCursor == nil || pages > 20 {
			break
		}
		cursor = *p.NextCursor
	}
	if want := len(decoded[page[event]](all).Items); len(seen) != want {
		t.Errorf("%d events page by page, %d at once", len(seen), want)
	}
}

func TestAPI_S_T20_keys(t *testing.T) {
	w := newWorld(t)
	admin := w.admin()
	before := w.call("GET", "/.well-known/jwks.json", nil).want(200)
	if strings.Contains(string(before.body), `"d"`) || before.header.Get("Cache-Control") != "public, max-age=300" {
		t.Errorf("%s, Cache-Control %q", before.body, before.header.Get("Cache-Control"))
	}
	rotated := decoded[map[string]any](w.call("POST", "/admin/keys/rotate", nil, bearer(admin.AccessToken)).want(201))
	if rotated["state"] != "active" || rotated["alg"] != "EdDSA" || rotated["use"] != "sig" || rotated["kid"] == "" {
		t.Errorf("new key %v", rotated)
	}
	w.call("GET", "/auth/me", nil, bearer(admin.AccessToken)).want(200)
	list := w.call("GET", "/admin/keys", nil, bearer(w.admin().AccessToken)).want(200)
	states := map[string]int{}
	for _, k := range decoded[page[map[string]any]](list).Items {
		states[k["state"].(string)]++
	}
	if states["active"] == 0 || states["retiring"] != 1 || states["next"] == 0 {
		t.Errorf("states %v in %s", states, list.body)
	}
	w.changedKey(rotated["kid"])
}

func TestAPI_F34_a_key_is_revoked_in_an_emergency(t *testing.T) {
	w := newWorld(t)
	admin := w.admin()
	rotated := decoded[map[string]any](w.call("POST", "/admin/keys/rotate", nil, bearer(admin.AccessToken)).want(201))
	kid, _ := rotated["kid"].(string)
	good := w.admin()
	gone := decoded[map[string]any](w.call("POST", "/admin/keys/"+kid+"/revoke", nil, bearer(admin.AccessToken)).want(200))
	if gone["kid"] != kid || gone["state"] != "revoked" || gone["nodes"] != 3.0 || gone["applied"] != 3.0 {
		t.Errorf("revoked key %v", gone)
	}
	w.call("GET", "/auth/me", nil, bearer(good.AccessToken)).wantProblem(401, "token_invalid")
	if set := w.call("GET", "/.well-known/jwks.json", nil).want(200); strings.Contains(string(set.body), kid) {
		t.Errorf("the key set still has the key: %s", set.body)
	}
	again := w.admin()
	w.call("GET", "/auth/me", nil, bearer(again.AccessToken)).want(200)
	w.call("POST", "/admin/keys/nobody/revoke", nil, bearer(again.AccessToken)).wantProblem(404, "not_found")
	w.changedKey(kid)
}

// changedKey fails unless the key was changed in the administrator's name.
func (w *world) changedKey(kid any) {
	w.t.Helper()
	id := decoded[map[string]any](w.call("GET", "/auth/me", nil, bearer(w.admin().AccessToken)).want(200))["id"]
	if want := fmt.Sprint(id, " ", kid); !slices.Contains(w.by, want) {
		w.t.Errorf("keys were changed by %q, not %q", w.by, want)
	}
}

func TestAPI_nodes(t *testing.T) {
	w := newWorld(t)
	a := w.call("GET", "/admin/nodes", nil, bearer(w.admin().AccessToken)).want(200)
	want := `{"items":[{"id":"gateway-1","address":"http://10.0.0.1:8080","version":"1.2.3","epoch":2,"applied":41,"head":42,"age_ms":12.5,"degraded":false}],"next_cursor":null}`
	if got := strings.TrimSpace(string(a.body)); got != want {
		t.Errorf("got %s", got)
	}
}

func TestAPI_metadata(t *testing.T) {
	w := newWorld(t)
	got := decoded[map[string]any](w.call("GET", "/.well-known/oauth-authorization-server", nil).want(200))
	for name, want := range map[string]string{
		"issuer": issuer, "jwks_uri": issuer + "/.well-known/jwks.json",
		"introspection_endpoint": issuer + "/auth/introspect", "revocation_endpoint": issuer + "/auth/revoke",
	} {
		if got[name] != want {
			t.Errorf("%s is %v, want %s", name, got[name], want)
		}
	}
}
