package httpapi_test

import (
	"encoding/base64"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"gatehouse.internal/shared/contract"
)

type mfaProblem struct {
	Code     string
	MFAToken string `json:"mfa_token"`
	Methods  []string
}

// enrolled sets an authenticator app up and returns its secret and the
// recovery codes.
func (w *world) enrolled(s tokens) (secret string, codes []string) {
	w.t.Helper()
	a := w.call("POST", "/auth/mfa/totp", nil, bearer(s.AccessToken)).want(200)
	e := decoded[struct {
		Secret string
		URL    string `json:"otpauth_url"`
	}](a)
	if !strings.HasPrefix(e.URL, "otpauth://totp/gateway.example.com:") || !strings.Contains(e.URL, "secret="+e.Secret) || a.header.Get("Cache-Control") != "no-store" {
		w.t.Fatalf("enrolment %s", a.body)
	}
	a = w.call("POST", "/auth/mfa/totp/confirm", fields{"code": w.code(e.Secret)}, bearer(s.AccessToken)).want(200)
	return e.Secret, decoded[struct {
		RecoveryCodes []string `json:"recovery_codes"`
	}](a).RecoveryCodes
}

// claimsOf reads a token without looking at its signature.
func claimsOf(t *testing.T, raw string) contract.Claims {
	t.Helper()
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(raw, ".")[1])
	if err != nil {
		t.Fatal(err)
	}
	var c struct {
		Session string   `json:"sid"`
		Methods []string `json:"amr"`
	}
	if err := json.Unmarshal(payload, &c); err != nil {
		t.Fatal(err)
	}
	return contract.Claims{SessionID: c.Session, Methods: c.Methods}
}

// code is what an authenticator app shows in the next step.
func (w *world) code(secret string) string {
	w.t.Helper()
	w.clock.advance(30 * time.Second)
	code, err := totp.GenerateCode(secret, w.clock.Now())
	if err != nil {
		w.t.Fatal(err)
	}
	return code
}

func TestAPI_second_factor(t *testing.T) {
	w := newWorld(t)
	w.register(ada)
	s := w.login(ada, password)
	secret, codes := w.enrolled(s)
	if len(codes) != 10 {
		t.Fatalf("recovery codes %q", codes)
	}
	w.call("POST", "/auth/mfa/totp", nil, bearer(s.AccessToken)).wantProblem(409, "conflict")
	if me := decoded[map[string]any](w.call("GET", "/auth/me", nil, bearer(s.AccessToken)).want(200)); me["mfa_enabled"] != true {
		t.Errorf("/auth/me says %v", me["mfa_enabled"])
	}

	first := func() mfaProblem {
		a := w.call("POST", "/auth/login", fields{"email": ada, "password": password}).wantProblem(403, "mfa_required")
		p := decoded[mfaProblem](a)
		if p.MFAToken == "" || !slices.Equal(p.Methods, []string{"totp", "recovery_code"}) || a.header.Get("Cache-Control") != "no-store" {
			t.Fatalf("mfa_required %s, Cache-Control %q", a.body, a.header.Get("Cache-Control"))
		}
		return p
	}
	begun := first()
	w.call("POST", "/auth/login/mfa", fields{"mfa_token": begun.MFAToken}).wantProblem(422, "validation_failed")
	w.call("POST", "/auth/login/mfa", fields{"mfa_token": "x", "code": w.code(secret)}).wantProblem(401, "invalid_credentials")
	w.call("POST", "/auth/login/mfa", fields{"mfa_token": begun.MFAToken, "code": "wrong"}).wantProblem(401, "invalid_credentials")
	code := w.code(secret)
	got := decoded[tokens](w.call("POST", "/auth/login/mfa", fields{"mfa_token": begun.MFAToken, "code": code}).want(200))
	w.call("POST", "/auth/login/mfa", fields{"mfa_token": begun.MFAToken, "code": w.code(secret)}).wantProblem(401, "invalid_credentials")
	w.call("POST", "/auth/login/mfa", fields{"mfa_token": first().MFAToken, "code": code}).wantProblem(401, "invalid_credentials")
	w.call("GET", "/auth/me", nil, bearer(got.AccessToken)).want(200)

	asCookies := w.call("POST", "/auth/login/mfa", fields{"mfa_token": first().MFAToken, "code": codes[0]}, header(contract.HeaderTokenTransport, "cookie")).want(200)
	if len(asCookies.setCookies()) != 3 || strings.Contains(string(asCookies.body), "access_token") {
		t.Errorf("as cookies: %s, %q", asCookies.body, asCookies.header.Values("Set-Cookie"))
	}

	f := decoded[map[string]any](w.call("GET", "/auth/mfa", nil, bearer(got.AccessToken)).want(200))
	if f["mfa_enabled"] != true || f["totp"] != true || f["recovery_codes_left"] != 9.0 {
		t.Errorf("factors %v", f)
	}
	w.call("POST", "/auth/mfa/recovery-codes", fields{"password": "wrong wrong wrong 1"}, bearer(got.AccessToken)).wantProblem(401, "invalid_credentials")
	w.call("POST", "/auth/mfa/recovery-codes", fields{"password": password}, bearer(got.AccessToken)).want(200)
	w.call("DELETE", "/auth/mfa/totp", fields{}, bearer(got.AccessToken)).wantProblem(422, "validation_failed")
	w.call("DELETE", "/auth/mfa/totp", fields{"password": password}, bearer(got.AccessToken)).want(204)
	w.login(ada, password)
	for _, leak := range append(codes, secret, code, begun.MFAToken, password) {
		if strings.Contains(w.log.String(), leak) {
			t.Errorf("S-T17 the log holds %q", leak)
		}
	}
}

func TestAPI_step_up_keeps_the_session(t *testing.T) {
	w := newWorld(t)
	w.register(ada)
	old, other := w.login(ada, password), w.login(ada, password)
	secret, _ := w.enrolled(w.login(ada, password))
	w.call("POST", "/auth/mfa/step-up", fields{"code": "123"}, bearer(old.AccessToken)).wantProblem(401, "invalid_credentials")
	a := w.call("POST", "/auth/mfa/step-up", fields{"code": w.code(secret)}, bearer(old.AccessToken)).want(200)
	got := decoded[tokens](a)
	if got.SessionID != old.SessionID || got.AccessToken == "" || got.RefreshToken != "" {
		t.Errorf("step-up answer %s", a.body)
	}
	w.call("POST", "/auth/mfa/step-up", fields{"code": w.code(secret)}, bearer(got.AccessToken)).wantProblem(409, "conflict")
	a = w.call("POST", "/auth/mfa/step-up", fields{"code": w.code(secret)}, bearer(other.AccessToken), cookieOf(contract.CookieRefresh, other.RefreshToken)).want(200)
	if set := a.setCookies(); len(set) != 1 || strings.Contains(string(a.body), "access_token") {
		t.Errorf("to a client with cookies: %s, %v", a.body, set)
	}
	w.call("POST", "/auth/refresh", fields{"refresh_token": old.RefreshToken}).want(200)
}

// The cookies beside a token in the header may be those of another session.
func TestAPI_a_new_token_goes_where_the_callers_own_came_from(t *testing.T) {
	w := newWorld(t)
	w.register(ada)
	s, another := w.login(ada, password), w.login(ada, password)
	secret, _ := w.enrolled(w.login(ada, password))
	both := func(s tokens) []option {
		return []option{bearer(s.AccessToken), cookieOf(contract.CookieAccess, another.AccessToken), cookieOf(contract.CookieRefresh, another.RefreshToken)}
	}
	inBody := func(what string, a answer) tokens {
		t.Helper()
		got := decoded[tokens](a.want(200))
		if got.AccessToken == "" || len(a.setCookies()) != 0 {
			t.Errorf("%s: %s with cookies %v, want the token in the body alone", what, a.body, a.setCookies())
		}
		return got
	}
	a := w.call("POST", "/auth/mfa/step-up", fields{"code": w.code(secret)}, cookieOf(contract.CookieAccess, another.AccessToken), header("Origin", issuer)).want(200)
	if a.setCookies()[contract.CookieAccess] == nil || strings.Contains(string(a.body), "access_token") {
		t.Errorf("step-up by cookie: %s with cookies %v, want the token in a cookie alone", a.body, a.setCookies())
	}
	up := inBody("step-up", w.call("POST", "/auth/mfa/step-up", fields{"code": w.code(secret)}, both(s)...))
	inBody("another password", w.call("PUT", "/auth/password", fields{"current_password": password, "new_password": nextPassword}, both(up)...))
}

func TestAPI_setting_an_app_up_takes_the_password_later_on(t *testing.T) {
	w := newWorld(t)
	w.register(ada)
	s := w.login(ada, password)
	w.clock.advance(11 * time.Minute)
	enrol := func(body any) answer { return w.call("POST", "/auth/mfa/totp", body, bearer(s.AccessToken)) }
	for _, body := range []any{nil, fields{}, fields{"password": ""}} {
		p := decoded[struct{ Errors []struct{ Field string } }](enrol(body).wantProblem(422, "validation_failed"))
		if len(p.Errors) != 1 || p.Errors[0].Field != "password" {
			t.Errorf("%v: errors %v, want one about the password", body, p.Errors)
		}
	}
	enrol(fields{"password": nextPassword}).wantProblem(401, "invalid_credentials")
	enrol(fields{"password": password}).want(200)
}

func TestAPI_what_takes_the_password_takes_the_second_factor_too(t *testing.T) {
	w := newWorld(t)
	w.register(ada)
	old := w.login(ada, password)
	secret, _ := w.enrolled(w.login(ada, password))
	change := func(token string) answer {
		return w.call("PUT", "/auth/password", fields{"current_password": password, "new_password": nextPassword}, bearer(token))
	}
	w.call("PUT", "/auth/email", fields{"current_password": password, "new_email": "new@example.com"}, bearer(old.AccessToken)).wantProblem(403, "mfa_required")
	w.call("DELETE", "/auth/me", fields{"password": password}, bearer(old.AccessToken)).wantProblem(403, "mfa_required")
	change(old.AccessToken).wantProblem(403, "mfa_required")
	up := decoded[tokens](w.call("POST", "/auth/mfa/step-up", fields{"code": w.code(secret)}, bearer(old.AccessToken)).want(200))
	change(up.AccessToken).want(200)
}

func TestAPI_an_administrator_resets_second_factors(t *testing.T) {
	w := newWorld(t)
	w.register(ada)
	s, admin := w.login(ada, password), w.admin()
	w.enrolled(s)
	w.call("DELETE", "/admin/users/"+s.User.ID+"/mfa", nil, bearer(s.AccessToken)).wantProblem(403, "insufficient_role")
	w.call("DELETE", "/admin/users/"+s.User.ID+"/mfa", nil, bearer(admin.AccessToken)).want(204)
	w.call("GET", "/auth/me", nil, bearer(s.AccessToken)).wantProblem(401, "token_revoked")
	w.login(ada, password)
}

// FuzzAPI_second_step sends whatever strangers may send as the second step.
func FuzzAPI_second_step(f *testing.F) {
	for _, seed := range []string{`{"mfa_token":"a","code":"123456"}`, `{"mfa_token":"","code":null}`, `{"code":"２３４５６７"}`, `[]`, `{"mfa_token":"\u0000","code":" 1-2 "}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		w := newWorld(t)
		a := w.call("POST", "/auth/login/mfa", string(body))
		var p struct{ Code string }
		if err := json.Unmarshal(a.body, &p); err != nil || a.status < 400 || a.status >= 500 {
			t.Errorf("%q: %d %s", body, a.status, a.body)
		}
	})
}
