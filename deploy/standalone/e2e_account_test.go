package main

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

func TestE2E_register_verify_sign_in_and_call_a_service(t *testing.T) {
	d := e2e(t)
	u := d.register(t, true)
	s := d.login(t, u)
	header, claims := decodeToken(t, s.access)
	if header["typ"] != "at+jwt" || header["alg"] != "EdDSA" || header["kid"] == "" {
		t.Errorf("token header %v", header)
	}
	for _, name := range []string{"iss", "aud", "client_id", "sub", "sid", "jti", "iat", "nbf", "exp", "roles", "ver", "email_verified", "amr"} {
		if _, there := claims[name]; !there {
			t.Errorf("the token has no claim %s", name)
		}
	}
	if claims["sub"] != s.userID || claims["sid"] != s.id || claims["email_verified"] != true {
		t.Errorf("claims %v do not fit the token answer", claims)
	}
	for node := range d.urls {
		a := d.want(t, call{method: "GET", path: "/api/echo/a%20b/c?x=1;y=%20&z", node: node, token: s.access}, http.StatusOK, "")
		if a.text("path") != "/api/echo/a%20b/c" || a.text("raw_query") != "x=1;y=%20&z" {
			t.Errorf("the service received path %q and query %q", a.text("path"), a.text("raw_query"))
		}
		received, _ := a.json["headers"].(map[string]any)
		for name, want := range map[string]string{"X-User-Id": s.userID, "X-Session-Id": s.id, "X-User-Roles": "user", "X-User-Email-Verified": "true"} {
			if got := headerText(received[name]); got != want {
				t.Errorf("the service received %s %q, want %q", name, got, want)
			}
		}
		if headerText(received["X-Request-Id"]) != a.header.Get("X-Request-Id") || headerText(received["Traceparent"]) == "" {
			t.Error("the service received another request id than the client, or no traceparent")
		}
	}
	me := d.want(t, call{method: "GET", path: "/auth/me", token: s.access}, http.StatusOK, "")
	if me.text("id") != s.userID || me.text("email") != u.email || me.json["email_verified"] != true || me.json["mfa_enabled"] != false {
		t.Errorf("account %s", me.body)
	}
}

func TestE2E_key_set_and_metadata(t *testing.T) {
	d := e2e(t)
	header, claims := decodeToken(t, d.admin(t).access)
	set := d.want(t, call{method: "GET", path: "/.well-known/jwks.json"}, http.StatusOK, "")
	keys, _ := set.json["keys"].([]any)
	found := false
	for _, k := range keys {
		key, _ := k.(map[string]any)
		found = found || key["kid"] == header["kid"]
		for _, private := range []string{"d", "p", "q", "dp", "dq", "qi", "k"} {
			if _, there := key[private]; there {
				t.Errorf("S-T20 the key set publishes %q", private)
			}
		}
	}
	if !found {
		t.Errorf("the key set lacks the token's key %v", header["kid"])
	}
	metadata := d.want(t, call{method: "GET", path: "/.well-known/oauth-authorization-server"}, http.StatusOK, "")
	if metadata.text("issuer") != claims["iss"] || metadata.text("jwks_uri") == "" {
		t.Errorf("metadata %s", metadata.body)
	}
}

func TestE2E_S_W6_nobody_learns_whether_an_address_has_an_account(t *testing.T) {
	d := e2e(t)
	u := d.register(t, true)
	again := d.want(t, call{method: "POST", path: "/auth/register", body: map[string]any{"email": strings.ToUpper(u.email), "password": otherPassword}}, http.StatusAccepted, "")
	if again.text("status") != "verification_sent" {
		t.Errorf("registering a known address answers %s", again.body)
	}
	d.letters(t, u.email, 2) // its owner hears of it
	d.login(t, u)            // and the password is the old one
	wrong := d.want(t, call{method: "POST", path: "/auth/login", body: map[string]any{"email": u.email, "password": otherPassword}}, http.StatusUnauthorized, "invalid_credentials")
	unknown := d.want(t, call{method: "POST", path: "/auth/login", body: map[string]any{"email": "nobody@example.com", "password": otherPassword}}, http.StatusUnauthorized, "invalid_credentials")
	if wrong.text("detail") != unknown.text("detail") || wrong.text("title") != unknown.text("title") {
		t.Errorf("a wrong password and an unknown address differ: %s and %s", wrong.body, unknown.body)
	}
	d.want(t, call{method: "POST", path: "/auth/password/forgot", body: map[string]any{"email": "nobody@example.com"}}, http.StatusAccepted, "")
}

func TestE2E_passwords_are_held_to_the_rules(t *testing.T) {
	d := e2e(t)
	for name, password := range map[string]string{
		"S-W1 too short": "abc", "S-W3 common": "passwordpassword", "S-W3 the address itself": "weak-passwords@example.com",
	} {
		t.Run(name, func(t *testing.T) {
			a := d.want(t, call{method: "POST", path: "/auth/register", body: map[string]any{"email": "weak-passwords@example.com", "password": password}}, http.StatusUnprocessableEntity, "")
			problems, _ := a.json["errors"].([]any)
			if len(problems) == 0 {
				t.Errorf("nothing says which field is wrong: %s", a.body)
			}
		})
	}
}

func TestE2E_verified_routes_want_a_verified_address(t *testing.T) {
	d := e2e(t)
	u := d.register(t, false)
	s := d.login(t, u)
	d.everyNode(t, call{method: "GET", path: "/api/verified/x", token: s.access}, http.StatusForbidden, "email_unverified")
	page := d.do(t, call{method: "GET", path: "/auth/email/verify?token=" + url.QueryEscape(d.mailedToken(t, u.email))})
	if page.status != http.StatusOK || !strings.HasPrefix(page.header.Get("Content-Type"), "text/html") {
		t.Errorf("the page of the link: %d %s", page.status, page.header.Get("Content-Type"))
	}
	d.want(t, call{method: "GET", path: "/api/verified/x", token: s.access}, http.StatusForbidden, "email_unverified") // looking changes nothing
	d.want(t, call{method: "POST", path: "/auth/email/resend", token: s.access}, http.StatusAccepted, "")
	token := tokenIn(t, d.letters(t, u.email, 2)[0])
	d.want(t, call{method: "POST", path: "/auth/email/verify", body: map[string]any{"token": token}}, http.StatusNoContent, "")
	if again := d.do(t, call{method: "POST", path: "/auth/email/verify", body: map[string]any{"token": token}}); again.status < 400 || again.status >= 500 {
		t.Errorf("a used link answers %d", again.status)
	}
	s = sessionOf(t, d.want(t, call{method: "POST", path: "/auth/refresh", body: map[string]any{"refresh_token": s.refresh}}, http.StatusOK, ""))
	d.everyNode(t, call{method: "GET", path: "/api/verified/x", token: s.access}, http.StatusOK, "")
}

func TestE2E_forgotten_password(t *testing.T) {
	d := e2e(t)
	u := d.register(t, true)
	s := d.login(t, u)
	d.want(t, call{method: "POST", path: "/auth/password/forgot", body: map[string]any{"email": u.email}}, http.StatusAccepted, "")
	token := tokenIn(t, d.letters(t, u.email, 2)[0])
	d.want(t, call{method: "POST", path: "/auth/password/reset", body: map[string]any{"token": token, "new_password": "short"}}, http.StatusUnprocessableEntity, "")
	d.want(t, call{method: "POST", path: "/auth/password/reset", body: map[string]any{"token": token, "new_password": otherPassword}}, http.StatusNoContent, "")
	d.everyNode(t, call{method: "GET", path: "/api/echo/x", token: s.access}, http.StatusUnauthorized, "token_revoked")
	d.want(t, call{method: "POST", path: "/auth/refresh", body: map[string]any{"refresh_token": s.refresh}}, http.StatusUnauthorized, "invalid_refresh_token")
	d.login(t, user{u.email, otherPassword})
}

func TestE2E_change_of_address(t *testing.T) {
	d := e2e(t)
	u := d.register(t, true)
	s := d.login(t, u)
	next := "new-" + u.email
	d.want(t, call{method: "PUT", path: "/auth/email", token: s.access, body: map[string]any{"new_email": next, "current_password": otherPassword}}, http.StatusUnauthorized, "invalid_credentials")
	d.want(t, call{method: "PUT", path: "/auth/email", token: s.access, body: map[string]any{"new_email": next, "current_password": u.password}}, http.StatusAccepted, "")
	d.login(t, u) // the old address still signs in
	d.want(t, call{method: "POST", path: "/auth/email/verify", body: map[string]any{"token": d.mailedToken(t, next)}}, http.StatusNoContent, "")
	d.login(t, user{next, u.password})
	d.want(t, call{method: "POST", path: "/auth/login", body: map[string]any{"email": u.email, "password": u.password}}, http.StatusUnauthorized, "invalid_credentials")
}

func TestE2E_deleting_the_own_account(t *testing.T) {
	d := e2e(t)
	u := d.register(t, true)
	s := d.login(t, u)
	d.want(t, call{method: "DELETE", path: "/auth/me", token: s.access, body: map[string]any{"password": otherPassword}}, http.StatusUnauthorized, "invalid_credentials")
	d.want(t, call{method: "DELETE", path: "/auth/me", token: s.access, body: map[string]any{"password": u.password}}, http.StatusAccepted, "")
	d.everyNode(t, call{method: "GET", path: "/api/echo/x", token: s.access}, http.StatusUnauthorized, "token_revoked")
	d.want(t, call{method: "POST", path: "/auth/login", body: map[string]any{"email": u.email, "password": u.password}}, http.StatusUnauthorized, "invalid_credentials")
	root := d.admin(t)
	eventually(t, "the account is gone from the list", 5e9, func() bool {
		return len(d.want(t, call{method: "GET", path: "/admin/users?query=" + url.QueryEscape(u.email), token: root.access}, http.StatusOK, "").items()) == 0
	})
}

func TestE2E_profile(t *testing.T) {
	d := e2e(t)
	s := d.login(t, d.register(t, true))
	got := d.want(t, call{method: "GET", path: "/users/me", token: s.access}, http.StatusOK, "")
	etag := got.header.Get("ETag")
	if got.text("id") != s.userID || got.text("first_name") != "Ada" || got.text("last_name") != "Lovelace" || etag == "" {
		t.Errorf("profile %s with ETag %q", got.body, etag)
	}
	patch := func(body, match string) call {
		return call{method: "PATCH", path: "/users/me", token: s.access, raw: body, header: http.Header{
			"Content-Type": {"application/merge-patch+json"}, "If-Match": {match},
		}}
	}
	changed := d.want(t, patch(`{"display_name":"Countess","time_zone":"Europe/London","last_name":null}`, etag), http.StatusOK, "")
	if changed.text("display_name") != "Countess" || changed.text("last_name") != "" || changed.header.Get("ETag") == etag {
		t.Errorf("changed profile %s", changed.body)
	}
	d.want(t, patch(`{"display_name":"X"}`, etag), http.StatusPreconditionFailed, "precondition_failed")
	d.want(t, patch(`{"time_zone":"Mars/Olympus"}`, changed.header.Get("ETag")), http.StatusUnprocessableEntity, "validation_failed")
	d.want(t, patch(`{"nickname":"X"}`, changed.header.Get("ETag")), http.StatusBadRequest, "malformed_request")
	if now := d.want(t, call{method: "GET", path: "/users/me", token: s.access}, http.StatusOK, ""); string(now.body) != string(changed.body) {
		t.Errorf("a refused change has changed %s to %s", changed.body, now.body)
	}
}

func decodeToken(t *testing.T, token string) (header, claims map[string]any) {
	t.Helper()
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		t.Fatalf("a token of %d parts", len(parts))
	}
	for i, into := range []*map[string]any{&header, &claims} {
		decoded, err := base64.RawURLEncoding.DecodeString(parts[i])
		if err == nil {
			err = json.Unmarshal(decoded, into)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return header, claims
}

// headerText reads a header of the example upstream's answer.
func headerText(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case []any:
		var all []string
		for _, one := range v {
			text, _ := one.(string)
			all = append(all, text)
		}
		return strings.Join(all, ",")
	}
	return ""
}
