package main

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"
)

// factor is an authenticator app that shows each code once.
type factor struct {
	secret string
	step   time.Time
}

// code is next for a test that cannot go on without one.
func (f *factor) code(t testing.TB) string {
	t.Helper()
	code, err := f.next()
	if err != nil {
		t.Fatal(err)
	}
	return code
}

// next waits for nothing: it shows the code of the next step that was not shown
// before, and the issuer takes one that is a step early.
func (f *factor) next() (string, error) {
	const period = 30 * time.Second
	next := time.Now().Truncate(period)
	if !next.After(f.step) {
		next = f.step.Add(period)
	}
	if ahead := time.Until(next); ahead > period {
		return "", fmt.Errorf("the app would have to show a code %v ahead", ahead)
	}
	f.step = next
	return totp.GenerateCode(f.secret, next)
}

// newFactor sets the app back, so that its next three codes are good at once.
func newFactor(secret string) *factor {
	return &factor{secret: secret, step: time.Now().Truncate(30 * time.Second).Add(-time.Minute)}
}

func texts(value any) []string {
	var out []string
	list, _ := value.([]any)
	for _, item := range list {
		if text, ok := item.(string); ok {
			out = append(out, text)
		}
	}
	return out
}

func TestE2E_second_factor(t *testing.T) {
	d := e2e(t)
	u := d.register(t, true)
	first := d.login(t, u)
	started := d.want(t, call{method: "POST", path: "/auth/mfa/totp", token: first.access}, http.StatusOK, "")
	if !strings.HasPrefix(started.text("otpauth_url"), "otpauth://totp/") || started.text("secret") == "" {
		t.Fatalf("enrolment %s", started.body)
	}
	app := newFactor(started.text("secret"))
	confirmed := d.want(t, call{method: "POST", path: "/auth/mfa/totp/confirm", token: first.access, body: map[string]any{"code": app.code(t)}}, http.StatusOK, "")
	codes := texts(confirmed.json["recovery_codes"])
	if len(codes) != 10 {
		t.Fatalf("recovery codes %q", codes)
	}
	me := d.want(t, call{method: "GET", path: "/auth/me", token: first.access, node: 1}, http.StatusOK, "")
	if me.json["mfa_enabled"] != true {
		t.Errorf("/auth/me says %v", me.json["mfa_enabled"])
	}
	login := func() answer {
		return d.want(t, call{method: "POST", path: "/auth/login", body: map[string]any{"email": u.email, "password": u.password}}, http.StatusForbidden, "mfa_required")
	}
	asked := login()
	if !slices.Equal(texts(asked.json["methods"]), []string{"totp", "recovery_code"}) {
		t.Errorf("methods %v", asked.json["methods"])
	}
	second := func(token, code string) call {
		return call{method: "POST", path: "/auth/login/mfa", node: 2, body: map[string]any{"mfa_token": token, "code": code}}
	}
	d.want(t, second(asked.text("mfa_token"), "abcd-efgh-ijkl-mnop"), http.StatusUnauthorized, "invalid_credentials")
	code := app.code(t)
	in := sessionOf(t, d.want(t, second(asked.text("mfa_token"), code), http.StatusOK, ""))
	d.everyNode(t, call{method: "GET", path: "/api/mfa/x", token: in.access}, http.StatusOK, "")
	d.want(t, second(login().text("mfa_token"), code), http.StatusUnauthorized, "invalid_credentials")
	d.want(t, second(login().text("mfa_token"), codes[0]), http.StatusOK, "")
	d.want(t, second(login().text("mfa_token"), codes[0]), http.StatusUnauthorized, "invalid_credentials")
	d.letters(t, u.email, 3) // verification, factor added, recovery code used

	d.want(t, call{method: "DELETE", path: "/admin/users/" + in.userID + "/mfa", token: d.admin(t).access}, http.StatusNoContent, "")
	d.everyNode(t, call{method: "GET", path: "/api/echo/x", token: in.access}, http.StatusUnauthorized, "token_revoked")
	d.login(t, u)
	if d.log != nil {
		for _, secret := range append(codes, app.secret, code, asked.text("mfa_token")) {
			if strings.Contains(d.log.String(), secret) {
				t.Errorf("S-T17 the log holds %q", secret)
			}
		}
	}
}

func TestE2E_a_route_asks_for_a_second_factor(t *testing.T) {
	d := e2e(t)
	u := d.register(t, true)
	old, other := d.login(t, u), d.login(t, u)
	guarded := func(token string) call { return call{method: "GET", path: "/api/mfa/x", token: token} }
	d.everyNode(t, guarded(old.access), http.StatusForbidden, "mfa_required")
	started := d.want(t, call{method: "POST", path: "/auth/mfa/totp", token: other.access}, http.StatusOK, "")
	app := newFactor(started.text("secret"))
	d.want(t, call{method: "POST", path: "/auth/mfa/totp/confirm", token: other.access, body: map[string]any{"code": app.code(t)}}, http.StatusOK, "")
	d.everyNode(t, guarded(old.access), http.StatusForbidden, "mfa_required")
	up := d.want(t, call{method: "POST", path: "/auth/mfa/step-up", token: old.access, node: 1, body: map[string]any{"code": app.code(t)}}, http.StatusOK, "")
	if up.text("session_id") != old.id || up.text("refresh_token") != "" {
		t.Errorf("step-up answer %s", up.body)
	}
	d.everyNode(t, guarded(up.text("access_token")), http.StatusOK, "")
	d.everyNode(t, guarded(old.access), http.StatusForbidden, "mfa_required")
	again := sessionOf(t, d.want(t, refreshCall(old.refresh, 2), http.StatusOK, ""))
	d.everyNode(t, guarded(again.access), http.StatusOK, "")
	d.want(t, call{method: "POST", path: "/auth/logout", token: up.text("access_token")}, http.StatusNoContent, "")
	for _, token := range []string{old.access, up.text("access_token"), again.access} {
		d.everyNode(t, guarded(token), http.StatusUnauthorized, "token_revoked")
	}
}
