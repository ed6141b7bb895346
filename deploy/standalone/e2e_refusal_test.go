package main

import (
	"net/http"
	"strings"
	"testing"
)

// endpoint is one of the contract, with a body that it accepts.
type endpoint struct {
	method, path string
	body         string // "" if it has none
	media        string // of the body; JSON if empty
	needs        string // "", "token" or "admin"
}

// endpoints are those of the contract that take part in these tests. {id}
// stands for an id that nobody has.
var endpoints = []endpoint{
	{"POST", "/auth/register", `{"email":"someone@example.com","password":"a rather long passphrase 77"}`, "", ""},
	{"POST", "/auth/login", `{"email":"someone@example.com","password":"a rather long passphrase 77"}`, "", ""},
	{"POST", "/auth/refresh", `{"refresh_token":"x"}`, "", ""},
	{"POST", "/auth/logout", `{"refresh_token":"x"}`, "", ""},
	{"POST", "/auth/logout/all", "", "", "token"},
	{"GET", "/auth/me", "", "", "token"},
	{"DELETE", "/auth/me", `{"password":"a rather long passphrase 77"}`, "", "token"},
	{"GET", "/auth/sessions", "", "", "token"},
	{"DELETE", "/auth/sessions", "", "", "token"},
	{"DELETE", "/auth/sessions/{id}", "", "", "token"},
	{"GET", "/auth/me/export", "", "", "token"},
	{"POST", "/auth/login/mfa", `{"mfa_token":"x","code":"123456"}`, "", ""},
	{"GET", "/auth/mfa", "", "", "token"},
	{"POST", "/auth/mfa/totp", "", "", "token"},
	{"POST", "/auth/mfa/totp/confirm", `{"code":"123456"}`, "", "token"},
	{"DELETE", "/auth/mfa/totp", `{"password":"a rather long passphrase 77"}`, "", "token"},
	{"POST", "/auth/mfa/recovery-codes", `{"password":"a rather long passphrase 77"}`, "", "token"},
	{"POST", "/auth/mfa/step-up", `{"code":"123456"}`, "", "token"},
	{"GET", "/auth/passkeys", "", "", "token"},
	{"POST", "/auth/passkeys", "", "", "token"},
	{"DELETE", "/auth/passkeys/{id}", "", "", "token"},
	{"PATCH", "/auth/passkeys/{id}", `{"name":"x"}`, "", "token"},
	{"PUT", "/auth/password", `{"current_password":"a rather long passphrase 77","new_password":"the next long passphrase 78"}`, "", "token"},
	{"POST", "/auth/password/forgot", `{"email":"someone@example.com"}`, "", ""},
	{"POST", "/auth/password/reset", `{"token":"x","new_password":"the next long passphrase 78"}`, "", ""},
	{"POST", "/auth/email/verify", `{"token":"x"}`, "", ""},
	{"POST", "/auth/email/resend", "", "", "token"},
	{"PUT", "/auth/email", `{"new_email":"else@example.com","current_password":"a rather long passphrase 77"}`, "", "token"},
	{"GET", "/users/me", "", "", "token"},
	{"PATCH", "/users/me", `{"display_name":"X"}`, "application/merge-patch+json", "token"},
	{"GET", "/admin/users", "", "", "admin"},
	{"GET", "/admin/users/{id}", "", "", "admin"},
	{"PUT", "/admin/users/{id}/roles", `{"roles":["user"]}`, "", "admin"},
	{"POST", "/admin/users/{id}/lock", "", "", "admin"},
	{"POST", "/admin/users/{id}/unlock", "", "", "admin"},
	{"POST", "/admin/users/{id}/logout", "", "", "admin"},
	{"DELETE", "/admin/users/{id}", "", "", "admin"},
	{"GET", "/admin/users/{id}/sessions", "", "", "admin"},
	{"DELETE", "/admin/sessions/{id}", "", "", "admin"},
	{"DELETE", "/admin/users/{id}/mfa", "", "", "admin"},
	{"GET", "/admin/attempts", "", "", "admin"},
	{"DELETE", "/admin/attempts", "", "", "admin"},
	{"GET", "/admin/service-accounts", "", "", "admin"},
	{"POST", "/admin/service-accounts", "", "", "admin"},
	{"GET", "/admin/service-accounts/{id}", "", "", "admin"},
	{"DELETE", "/admin/service-accounts/{id}", "", "", "admin"},
	{"GET", "/admin/audit", "", "", "admin"},
	{"GET", "/admin/audit/export", "", "", "admin"},
	{"GET", "/admin/roles", "", "", "admin"},
	{"GET", "/admin/keys", "", "", "admin"},
	{"POST", "/admin/keys/rotate", "", "", "admin"},
	{"POST", "/admin/keys/{id}/revoke", "", "", "admin"},
	{"GET", "/admin/nodes", "", "", "admin"},
	{"GET", "/admin/routes", "", "", "admin"},
}

func (e endpoint) at() string {
	return strings.ReplaceAll(e.path, "{id}", "01900000-0000-7000-8000-000000000000")
}

func (e endpoint) mediaType() string {
	if e.media != "" {
		return e.media
	}
	return "application/json"
}

// credentials gives a token that the endpoint accepts, or "".
func (e endpoint) credentials(user, admin session) string {
	switch e.needs {
	case "token":
		return user.access
	case "admin":
		return admin.access
	}
	return ""
}

func TestE2E_bad_bodies_are_refused_by_every_endpoint_and_change_nothing(t *testing.T) {
	d := e2e(t)
	u := d.register(t, true)
	s, root := d.login(t, u), d.admin(t)
	before := d.want(t, call{method: "GET", path: "/users/me", token: s.access}, http.StatusOK, "")
	for _, e := range endpoints {
		if e.body == "" {
			continue
		}
		field := e.body[strings.Index(e.body, `"`) : strings.Index(e.body, `:`)+1] // "email":
		for name, c := range map[string]struct {
			media, body string
			status      int
			code        string
		}{
			"malformed JSON":     {e.mediaType(), e.body[:len(e.body)-1], http.StatusBadRequest, "malformed_request"},
			"nothing":            {e.mediaType(), "", http.StatusBadRequest, "malformed_request"},
			"not an object":      {e.mediaType(), `[1]`, http.StatusBadRequest, "malformed_request"},
			"two documents":      {e.mediaType(), e.body + e.body, http.StatusBadRequest, "malformed_request"},
			"an unknown field":   {e.mediaType(), `{"admin":true,` + e.body[1:], http.StatusBadRequest, "malformed_request"},
			"a field twice":      {e.mediaType(), "{" + field + `"x",` + e.body[1:], http.StatusBadRequest, "malformed_request"},
			"a wrong type":       {e.mediaType(), "{" + field + "5}", http.StatusBadRequest, "malformed_request"},
			"another media type": {"application/x-www-form-urlencoded", "a=b", http.StatusUnsupportedMediaType, "unsupported_media_type"},
			"too large":          {e.mediaType(), "{" + field + `"` + strings.Repeat("a", 3_000_000) + `"}`, http.StatusRequestEntityTooLarge, "payload_too_large"},
		} {
			if skip := name == "nothing" && e.path == "/auth/logout" || // then the token counts
				name == "nothing" && e.path == "/auth/refresh" || // then the cookie counts
				name == "another media type" && e.path == "/auth/email/verify"; skip { // the page's form
				continue
			}
			t.Run(e.method+" "+e.path+" "+name, func(t *testing.T) {
				d.want(t, call{
					method: e.method, path: e.at(), token: e.credentials(s, root), raw: c.body,
					header: http.Header{"Content-Type": {c.media}},
				}, c.status, c.code)
			})
		}
	}
	after := d.want(t, call{method: "GET", path: "/users/me", token: s.access}, http.StatusOK, "")
	if string(before.body) != string(after.body) {
		t.Errorf("the profile has changed from %s to %s", before.body, after.body)
	}
	d.login(t, u)
}

func TestE2E_wrong_credentials_are_refused_by_every_endpoint(t *testing.T) {
	d := e2e(t)
	s := d.login(t, d.register(t, true))
	for _, e := range endpoints {
		if e.needs == "" {
			continue
		}
		t.Run(e.method+" "+e.path, func(t *testing.T) {
			c := call{method: e.method, path: e.at(), raw: e.body, header: http.Header{"Content-Type": {e.mediaType()}}}
			missing := d.want(t, c, http.StatusUnauthorized, "token_missing")
			if challenge := missing.header.Get("WWW-Authenticate"); strings.Contains(challenge, "error") {
				t.Errorf("S-B3 without credentials the challenge is %q", challenge)
			}
			c.token = s.access[:len(s.access)-4] + "AAAA"
			bad := d.want(t, c, http.StatusUnauthorized, "token_invalid")
			if challenge := bad.header.Get("WWW-Authenticate"); !strings.Contains(challenge, `error="invalid_token"`) {
				t.Errorf("S-B3 with a bad token the challenge is %q", challenge)
			}
			c.token = ""
			c.header = http.Header{"Content-Type": {e.mediaType()}, "Authorization": {"Bearer " + s.access, "Bearer " + s.access}}
			d.want(t, c, http.StatusBadRequest, "malformed_request") // S-B2
			if e.needs == "admin" {
				c.header, c.token = http.Header{"Content-Type": {e.mediaType()}}, s.access
				d.want(t, c, http.StatusForbidden, "insufficient_role")
			}
		})
	}
}

func TestE2E_wrong_methods_are_refused_by_every_endpoint(t *testing.T) {
	d := e2e(t)
	for _, e := range endpoints {
		for _, method := range []string{"PUT", "GET", "POST", "DELETE", "PATCH"} {
			if taken(method, e.at()) {
				continue
			}
			a := d.want(t, call{method: method, path: e.at()}, http.StatusMethodNotAllowed, "method_not_allowed")
			if !strings.Contains(a.header.Get("Allow"), e.method) {
				t.Errorf("%s %s: Allow %q lacks %s", method, e.path, a.header.Get("Allow"), e.method)
			}
		}
	}
}

// taken reports whether some endpoint of the contract has this method and path.
func taken(method, path string) bool {
	for _, e := range endpoints {
		if e.method == method && e.at() == path {
			return true
		}
	}
	return method == "GET" && (path == "/auth/email/verify" || path == "/auth/password/reset") // pages of links in letters
}

func TestE2E_S_P8_paths_that_can_be_read_in_two_ways_are_refused(t *testing.T) {
	d := e2e(t)
	s := d.login(t, d.register(t, true))
	for _, path := range []string{
		"/api//echo/x", "//api/echo/x", "/api/echo/../../admin/echo/x", "/api/./echo/x", "/api/%2e%2e/admin/echo/x", "/api/%2E/echo/x",
		"/admin%2fecho/x", "/admin%2Fecho/x", "/api/echo/%5c..%5c", "/api/echo/%00", "/api/echo/%zz", "/api/echo/%", "/api/echo/%252e%252e/x",
		"/api/echo/%252fx", "/%61dmin/echo/x", "/api/echo/x;y=1",
	} {
		if a := rawGet(t, d, path, s.access); a != http.StatusBadRequest {
			t.Errorf("%s: %d, want 400", path, a)
		}
	}
	for _, path := range []string{"/nowhere", "/api/echox/x", "/adminx", "/auth", "/users/me/x", "/ADMIN/echo/x"} {
		d.want(t, call{method: "GET", path: path, token: s.access}, http.StatusNotFound, "route_not_found")
	}
}

func TestE2E_S_P6_a_client_cannot_say_who_it_is(t *testing.T) {
	d := e2e(t)
	s := d.login(t, d.register(t, true))
	spoofed := http.Header{
		"X-User-Id": {"evil"}, "x-user-id": {"evil"}, "X_User_Id": {"evil"}, "X-User_Roles": {"evil"}, "X-User-Roles": {"evil", "evil"},
		"X-Session-Id": {"evil"}, "X-User-Email-Verified": {"evil"}, "X-Forwarded-For": {"evil"}, "Forwarded": {"for=evil"},
		"X-Real-Ip": {"evil"}, "X-Original-Url": {"evil"}, "X-Http-Method-Override": {"evil"}, "Connection": {"X-User-Id, X-Session-Id"},
	}
	for path, want := range map[string]string{"/api/echo/x": s.userID, "/api/public/x": ""} {
		a := d.want(t, call{method: "GET", path: path, token: s.access, header: spoofed}, http.StatusOK, "")
		received, _ := a.json["headers"].(map[string]any)
		for name, value := range received {
			if strings.Contains(headerText(value), "evil") {
				t.Errorf("%s: the service received %s: %v", path, name, value)
			}
		}
		if got := headerText(received["X-User-Id"]); got != want {
			t.Errorf("%s: the service received the user %q, want %q", path, got, want)
		}
	}
}

func TestE2E_S_T17_nothing_secret_is_logged(t *testing.T) {
	d := e2e(t)
	if d.log == nil {
		t.Skip("the system was not started here, so its log is not at hand")
	}
	u := d.register(t, true)
	s := d.login(t, u)
	next := sessionOf(t, d.want(t, refreshCall(s.refresh, 0), http.StatusOK, ""))
	d.want(t, call{method: "GET", path: "/api/echo/x?access_token=" + s.access, token: next.access}, http.StatusBadRequest, "malformed_request") // S-B1, S-B2
	d.want(t, call{method: "GET", path: "/api/echo/x?q=" + s.access, token: next.access}, http.StatusOK, "")
	d.want(t, call{method: "POST", path: "/auth/login", body: map[string]any{"email": u.email, "password": "wrong wrong wrong wrong"}}, http.StatusUnauthorized, "")
	mailed := d.mailedToken(t, u.email)
	log := d.log.String()
	for name, secret := range map[string]string{
		"the password": u.password, "a wrong password": "wrong wrong wrong wrong", "the address": u.email, "an access token": s.access, "a refresh token": s.refresh,
		"the next refresh token": next.refresh, "a mailed token": mailed, "the administrator's password": d.adminPassword,
	} {
		if strings.Contains(log, secret) {
			t.Errorf("the log has %s", name)
		}
	}
	if !strings.Contains(log, `"route":"login"`) {
		t.Error("the log has no record of a sign-in, so this test proves nothing")
	}
}
