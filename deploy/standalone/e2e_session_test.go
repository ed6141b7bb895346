package main

import (
	"net/http"
	"strings"
	"sync"
	"testing"
)

func refreshCall(token string, node int) call {
	return call{method: "POST", path: "/auth/refresh", node: node, body: map[string]any{"refresh_token": token}}
}

func TestE2E_a_logout_is_real_on_every_node(t *testing.T) {
	d := e2e(t)
	u := d.register(t, true)
	s, other := d.login(t, u), d.login(t, u)
	d.everyNode(t, call{method: "GET", path: "/api/echo/x", token: s.access}, http.StatusOK, "")
	d.want(t, call{method: "POST", path: "/auth/logout", token: s.access}, http.StatusNoContent, "")
	d.everyNode(t, call{method: "GET", path: "/api/echo/x", token: s.access}, http.StatusUnauthorized, "token_revoked")
	d.want(t, refreshCall(s.refresh, 1), http.StatusUnauthorized, "invalid_refresh_token")
	d.everyNode(t, call{method: "GET", path: "/api/echo/x", token: other.access}, http.StatusOK, "")
	if again := d.do(t, call{method: "POST", path: "/auth/logout", token: s.access}); again.status != http.StatusNoContent && again.status != http.StatusUnauthorized {
		t.Errorf("a repeated logout answers %d", again.status)
	}
	d.want(t, call{method: "POST", path: "/auth/logout", body: map[string]any{"refresh_token": other.refresh}}, http.StatusNoContent, "")
	d.everyNode(t, call{method: "GET", path: "/api/echo/x", token: other.access}, http.StatusUnauthorized, "token_revoked")
}

func TestE2E_logout_everywhere(t *testing.T) {
	d := e2e(t)
	u := d.register(t, true)
	one, two := d.login(t, u), d.login(t, u)
	d.want(t, call{method: "POST", path: "/auth/logout/all", token: one.access}, http.StatusNoContent, "")
	for _, s := range []session{one, two} {
		d.everyNode(t, call{method: "GET", path: "/api/echo/x", token: s.access}, http.StatusUnauthorized, "token_revoked")
		d.want(t, refreshCall(s.refresh, 0), http.StatusUnauthorized, "invalid_refresh_token")
	}
	d.everyNode(t, call{method: "GET", path: "/api/echo/x", token: d.login(t, u).access}, http.StatusOK, "") // I6
}

func TestE2E_S_R2_a_retry_gets_the_same_successor_and_a_thief_is_caught(t *testing.T) {
	d := e2e(t)
	u := d.register(t, true)
	first := d.login(t, u)
	second := sessionOf(t, d.want(t, refreshCall(first.refresh, 0), http.StatusOK, ""))
	retried := sessionOf(t, d.want(t, refreshCall(first.refresh, 1), http.StatusOK, ""))
	if retried.refresh != second.refresh || second.id != first.id {
		t.Error("a retry within the grace interval did not get the same successor of the same session")
	}
	third := sessionOf(t, d.want(t, refreshCall(second.refresh, 2), http.StatusOK, ""))
	d.want(t, refreshCall(first.refresh, 0), http.StatusUnauthorized, "invalid_refresh_token")
	d.everyNode(t, call{method: "GET", path: "/api/echo/x", token: third.access}, http.StatusUnauthorized, "token_revoked")
	d.want(t, refreshCall(third.refresh, 0), http.StatusUnauthorized, "invalid_refresh_token")
	d.letters(t, u.email, 2) // the theft is mailed
	for _, garbage := range []string{"", "x", strings.Repeat("x", 80), third.access} {
		if a := d.do(t, refreshCall(garbage, 0)); a.status < 400 || a.status >= 500 {
			t.Errorf("the refresh token %.20q answers %d", garbage, a.status)
		}
	}
}

func TestE2E_S_R2_concurrent_refreshes_have_one_successor(t *testing.T) {
	d := e2e(t)
	s := d.login(t, d.register(t, true))
	successors := concurrentRefreshes(t, d, s, 50)
	if len(successors) != 1 {
		t.Errorf("%d different successors of one refresh token", len(successors))
	}
	for refresh := range successors {
		d.want(t, refreshCall(refresh, 0), http.StatusOK, "")
	}
}

// concurrentRefreshes refreshes one token n times at once and gives the
// successors with how many callers got each. Every caller must stay signed in.
func concurrentRefreshes(t *testing.T, d *deployment, s session, n int) map[string]int {
	t.Helper()
	var (
		mu         sync.Mutex
		successors = map[string]int{}
		callers    sync.WaitGroup
	)
	for i := range n {
		callers.Go(func() {
			a, err := d.try(t.Context(), refreshCall(s.refresh, i))
			if err != nil || a.status != http.StatusOK {
				t.Errorf("caller %d: %d %s, %v", i, a.status, a.body, err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			successors[a.text("refresh_token")]++
		})
	}
	callers.Wait()
	return successors
}

func TestE2E_own_sessions(t *testing.T) {
	d := e2e(t)
	u := d.register(t, true)
	here, there := d.login(t, u), d.login(t, u)
	items := d.want(t, call{method: "GET", path: "/auth/sessions", token: here.access}, http.StatusOK, "").items()
	current := 0
	for _, item := range items {
		for _, name := range []string{"id", "current", "created_at", "last_seen_at", "expires_at", "ip", "user_agent"} {
			if _, has := item[name]; !has {
				t.Errorf("a session has no %s", name)
			}
		}
		if item["current"] == true {
			current++
			if item["id"] != here.id {
				t.Error("another session is called the current one")
			}
		}
	}
	if len(items) != 2 || current != 1 {
		t.Errorf("%d sessions, %d of them current; want 2 and 1", len(items), current)
	}
	stranger := d.login(t, d.register(t, true))
	d.want(t, call{method: "DELETE", path: "/auth/sessions/" + there.id, token: stranger.access}, http.StatusNotFound, "not_found")
	d.want(t, call{method: "DELETE", path: "/auth/sessions/" + there.id, token: here.access}, http.StatusNoContent, "")
	d.everyNode(t, call{method: "GET", path: "/api/echo/x", token: there.access}, http.StatusUnauthorized, "token_revoked")
}

func TestE2E_a_password_change_ends_every_earlier_token(t *testing.T) {
	d := e2e(t)
	u := d.register(t, true)
	one, two := d.login(t, u), d.login(t, u)
	change := func(current, next string) call {
		return call{method: "PUT", path: "/auth/password", token: one.access, body: map[string]any{"current_password": current, "new_password": next}}
	}
	d.want(t, change(otherPassword, otherPassword), http.StatusUnauthorized, "invalid_credentials")
	d.want(t, change(u.password, "short"), http.StatusUnprocessableEntity, "")
	d.want(t, change(u.password, u.password), http.StatusUnprocessableEntity, "password_reused")
	d.everyNode(t, call{method: "GET", path: "/api/echo/x", token: one.access}, http.StatusOK, "")
	fresh := sessionOf(t, d.want(t, change(u.password, otherPassword), http.StatusOK, ""))
	for _, s := range []session{one, two} {
		d.everyNode(t, call{method: "GET", path: "/api/echo/x", token: s.access}, http.StatusUnauthorized, "token_revoked")
		d.want(t, refreshCall(s.refresh, 0), http.StatusUnauthorized, "invalid_refresh_token")
	}
	d.everyNode(t, call{method: "GET", path: "/api/echo/x", token: fresh.access}, http.StatusOK, "")
	d.want(t, call{method: "POST", path: "/auth/login", body: map[string]any{"email": u.email, "password": u.password}}, http.StatusUnauthorized, "invalid_credentials")
}

func TestE2E_cookie_transport(t *testing.T) {
	d := e2e(t)
	u := d.register(t, true)
	asCookies := http.Header{"X-Token-Transport": {"cookie"}}
	a := d.want(t, call{method: "POST", path: "/auth/login", header: asCookies, body: map[string]any{"email": u.email, "password": u.password}}, http.StatusOK, "")
	if a.text("access_token") != "" || a.text("refresh_token") != "" {
		t.Error("the tokens are in the body as well")
	}
	cookies := map[string]*http.Cookie{}
	for _, c := range (&http.Response{Header: a.header}).Cookies() {
		cookies[c.Name] = c
	}
	access, refresh := cookies["__Host-access"], cookies["__Secure-refresh"]
	if access == nil || refresh == nil {
		t.Fatalf("cookies %v", a.header["Set-Cookie"])
	}
	if !access.HttpOnly || !access.Secure || access.Path != "/" || access.Domain != "" || access.SameSite != http.SameSiteLaxMode {
		t.Errorf("S-C1 the access cookie is %s", access)
	}
	if !refresh.HttpOnly || !refresh.Secure || refresh.Path != "/auth" || refresh.SameSite != http.SameSiteStrictMode {
		t.Errorf("S-C1 the refresh cookie is %s", refresh)
	}
	with := func(cookie *http.Cookie, more ...string) http.Header {
		h := http.Header{"Cookie": {cookie.Name + "=" + cookie.Value}, "X-Token-Transport": {"cookie"}}
		for i := 0; i < len(more); i += 2 {
			h.Set(more[i], more[i+1])
		}
		return h
	}
	got := d.want(t, call{method: "GET", path: "/api/echo/x", header: with(access)}, http.StatusOK, "")
	if strings.Contains(string(got.body), "__Host-access") {
		t.Error("the service received the gateway's cookie")
	}
	d.want(t, call{method: "POST", path: "/api/echo/x", header: with(access, "Sec-Fetch-Site", "cross-site", "Origin", "https://evil.example")}, http.StatusForbidden, "cross_origin_denied")
	d.want(t, call{method: "POST", path: "/api/echo/x", header: with(access, "Sec-Fetch-Site", "same-origin")}, http.StatusOK, "")
	d.want(t, call{method: "GET", path: "/api/echo/x", header: with(access, "Authorization", "Bearer bad")}, http.StatusUnauthorized, "token_invalid") // S-C4
	refreshed := d.want(t, call{method: "POST", path: "/auth/refresh", header: with(refresh, "Sec-Fetch-Site", "same-origin")}, http.StatusOK, "")
	if len(refreshed.header["Set-Cookie"]) != 2 {
		t.Errorf("a refresh by cookie set %v", refreshed.header["Set-Cookie"])
	}
	d.want(t, call{method: "POST", path: "/auth/logout", header: with(access, "Sec-Fetch-Site", "same-origin")}, http.StatusNoContent, "")
	d.everyNode(t, call{method: "GET", path: "/api/echo/x", header: with(access)}, http.StatusUnauthorized, "token_revoked")
}
