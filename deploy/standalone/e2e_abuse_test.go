package main

import (
	"fmt"
	"net/http"
	"syscall"
	"testing"
)

// device gives the device cookie that an answer sets.
func (a answer) device() string {
	for _, c := range (&http.Response{Header: a.header}).Cookies() {
		if c.Name == "__Secure-device" {
			return c.Name + "=" + c.Value
		}
	}
	return ""
}

func TestE2E_S_W5_wrong_passwords_are_bounded_on_every_gateway_and_lock_nobody_out(t *testing.T) {
	p := newProcess(t, 2)
	p.start(t, "-admin-password", p.adminPassword, "-credential-limit", "1000")
	defer func() {
		if err := p.end(t, syscall.SIGTERM); err != nil {
			t.Errorf("the program did not stop cleanly: %v", err)
		}
	}()
	u := p.register(t, true)
	signIn := func(email, password string, node int, header http.Header) call {
		return call{method: "POST", path: "/auth/login", node: node, header: header, body: map[string]any{"email": email, "password": password}}
	}
	known := p.want(t, signIn(u.email, u.password, 0, http.Header{"X-Token-Transport": {"cookie"}}), http.StatusOK, "")
	if known.device() == "" {
		t.Fatalf("no device cookie in %v", known.header["Set-Cookie"])
	}
	for _, email := range []string{u.email, "nobody@example.com"} {
		for i := range 10 {
			p.want(t, signIn(email, "wrong wrong wrong 1", i%2, nil), http.StatusUnauthorized, "invalid_credentials")
		}
		refused := p.want(t, signIn(email, "wrong wrong wrong 1", 0, nil), http.StatusTooManyRequests, "rate_limited")
		if refused.header.Get("Retry-After") == "" {
			t.Errorf("%s: no Retry-After in %v", email, refused.header)
		}
	}
	p.want(t, signIn(u.email, u.password, 1, nil), http.StatusTooManyRequests, "rate_limited")
	p.want(t, signIn(u.email, u.password, 1, http.Header{"Cookie": {known.device()}}), http.StatusOK, "")
	admin := p.admin(t)
	of := "/admin/attempts?ip=127.0.0.1&user=" + sessionOf(t, p.want(t, signIn(u.email, u.password, 0, http.Header{"Cookie": {known.device()}}), http.StatusOK, "")).userID
	seen := p.want(t, call{method: "GET", path: of, token: admin.access}, http.StatusOK, "")
	if bounds := fmt.Sprint(seen.json["bounds"]); bounds == "[]" || seen.json["failures"] == nil {
		t.Errorf("the administrator sees %s", seen.body)
	}
	p.want(t, call{method: "DELETE", path: of, token: admin.access}, http.StatusNoContent, "")
	p.want(t, signIn(u.email, u.password, 0, nil), http.StatusOK, "")
}

func TestE2E_whoever_confirms_an_address_says_which_password_holds(t *testing.T) {
	d := e2e(t)
	u := d.register(t, false)
	d.want(t, call{method: "POST", path: "/auth/register", body: map[string]any{"email": u.email, "password": otherPassword}}, http.StatusAccepted, "")
	token := tokenIn(t, d.letters(t, u.email, 2)[0])
	verify := func(body map[string]any, status int, code string) {
		t.Helper()
		d.want(t, call{method: "POST", path: "/auth/email/verify", body: body}, status, code)
	}
	verify(map[string]any{"token": token}, http.StatusUnprocessableEntity, "validation_failed")
	verify(map[string]any{"token": token, "new_password": otherPassword}, http.StatusNoContent, "")
	d.want(t, call{method: "POST", path: "/auth/login", body: map[string]any{"email": u.email, "password": u.password}}, http.StatusUnauthorized, "invalid_credentials")
	u.password = otherPassword
	d.login(t, u)
}
