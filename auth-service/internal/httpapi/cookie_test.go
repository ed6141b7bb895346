package httpapi_test

import (
	"net/http"
	"strings"
	"testing"

	"gatehouse.internal/shared/contract"
	"gatehouse.internal/shared/fault"
)

var asCookies = header("X-Token-Transport", "cookie")

// setCookies gives the cookies of an answer by name.
func (a answer) setCookies() map[string]*http.Cookie {
	out := map[string]*http.Cookie{}
	for _, c := range (&http.Response{Header: a.header}).Cookies() {
		out[c.Name] = c
	}
	return out
}

func cookieOf(name, value string) option {
	return func(r *http.Request) { r.AddCookie(&http.Cookie{Name: name, Value: value}) }
}

// cleared reports whether the answer takes both cookies away.
func (a answer) cleared() bool {
	got := a.setCookies()
	for _, name := range []string{contract.CookieAccess, contract.CookieRefresh} {
		if c := got[name]; c == nil || c.MaxAge >= 0 || c.Value != "" {
			return false
		}
	}
	return true
}

func TestAPI_S_C1_tokens_as_cookies(t *testing.T) {
	w := newWorld(t)
	w.register(ada)
	a := w.call("POST", "/auth/login", fields{"email": ada, "password": password}, asCookies).want(200)
	got := decoded[tokens](a)
	if got.AccessToken != "" || got.RefreshToken != "" || got.SessionID == "" || got.ExpiresIn != 900 {
		t.Errorf("the body is %s", a.body)
	}
	cookies := a.setCookies()
	access, refresh := cookies[contract.CookieAccess], cookies[contract.CookieRefresh]
	if access == nil || refresh == nil {
		t.Fatalf("Set-Cookie %q", a.header.Values("Set-Cookie"))
	}
	if !access.Secure || !access.HttpOnly || access.Path != "/" || access.Domain != "" || access.SameSite != http.SameSiteLaxMode || access.MaxAge != 900 {
		t.Errorf("access cookie %q", access)
	}
	if !refresh.Secure || !refresh.HttpOnly || refresh.Path != "/auth" || refresh.Domain != "" || refresh.SameSite != http.SameSiteStrictMode || refresh.MaxAge != 7*24*3600 {
		t.Errorf("refresh cookie %q", refresh)
	}
	w.call("GET", "/auth/me", nil, cookieOf(access.Name, access.Value)).want(200)

	next := w.call("POST", "/auth/refresh", nil, cookieOf(refresh.Name, refresh.Value)).want(200)
	if strings.Contains(string(next.body), "refresh_token\"") || next.setCookies()[contract.CookieRefresh] == nil {
		t.Errorf("a refresh by cookie answers in the body: %s", next.body)
	}
	w.call("POST", "/auth/login", fields{"email": ada, "password": password}, header("X-Token-Transport", "pigeon")).wantProblem(400, "malformed_request")
	w.call("POST", "/auth/login", fields{"email": ada, "password": password}, asCookies, asCookies).wantProblem(400, "malformed_request")
	plain := w.call("POST", "/auth/login", fields{"email": ada, "password": password}).want(200)
	if len(plain.setCookies()) != 0 {
		t.Error("cookies that nobody asked for")
	}
}

func TestAPI_a_failed_refresh_takes_the_cookies_only_when_the_session_is_over(t *testing.T) {
	w := newWorld(t)
	w.register(ada)
	token := w.login(ada, password).RefreshToken
	refresh := func(value string) answer {
		return w.call("POST", "/auth/refresh", nil, cookieOf(contract.CookieRefresh, value), cookieOf(contract.CookieAccess, "x"))
	}
	for _, trouble := range []struct {
		kind   fault.Kind
		status int
	}{
		{fault.Unavailable, 503}, {fault.Overloaded, 503}, {fault.Conflict, 409}, {fault.RateLimited, 429},
	} {
		a := w.inTrouble(fault.New(trouble.kind, ""), func() answer { return refresh(token) }).wantProblem(trouble.status, string(trouble.kind))
		if len(a.setCookies()) != 0 {
			t.Errorf("%s takes the cookies: %q", trouble.kind, a.header.Values("Set-Cookie"))
		}
	}
	if a := refresh("garbage").wantProblem(401, "invalid_refresh_token"); !a.cleared() {
		t.Errorf("the session is over, but the cookies stay: %q", a.header.Values("Set-Cookie"))
	}
	inBody := w.call("POST", "/auth/refresh", fields{"refresh_token": "garbage"}, cookieOf(contract.CookieRefresh, token))
	if inBody.wantProblem(401, "invalid_refresh_token"); len(inBody.setCookies()) != 0 {
		t.Error("a bad token in the body takes the good cookie")
	}
	refresh(token).want(200)
}

func TestAPI_logout_takes_both_cookies(t *testing.T) {
	w := newWorld(t)
	w.register(ada)
	s := w.login(ada, password)
	access, refresh := cookieOf(contract.CookieAccess, s.AccessToken), cookieOf(contract.CookieRefresh, s.RefreshToken)
	if a := w.call("POST", "/auth/logout", nil, access, refresh).want(204); !a.cleared() {
		t.Errorf("Set-Cookie %q", a.header.Values("Set-Cookie"))
	}
	if a := w.call("POST", "/auth/logout", nil, refresh); a.status != 204 || !a.cleared() {
		t.Errorf("a second logout: %d, %q", a.status, a.header.Values("Set-Cookie"))
	}
	if a := w.call("POST", "/auth/logout", nil, cookieOf(contract.CookieRefresh, "garbage")).wantProblem(401, "invalid_refresh_token"); !a.cleared() {
		t.Error("garbage stays in the cookie")
	}
	s = w.login(ada, password)
	a := w.inTrouble(unavailable(), func() answer {
		return w.call("POST", "/auth/logout", nil, cookieOf(contract.CookieRefresh, s.RefreshToken))
	})
	if a.wantProblem(503, "service_unavailable"); len(a.setCookies()) != 0 {
		t.Error("a logout that did not happen takes the cookies")
	}
	if a := w.call("POST", "/auth/logout/all", nil, bearer(s.AccessToken), cookieOf(contract.CookieRefresh, s.RefreshToken)).want(204); !a.cleared() {
		t.Error("logout everywhere leaves the cookies")
	}
}

func TestAPI_a_new_password_comes_as_cookies_to_a_client_with_cookies(t *testing.T) {
	w := newWorld(t)
	w.register(ada)
	s := w.login(ada, password)
	// The gateway has turned the access cookie into a header.
	a := w.call("PUT", "/auth/password", fields{"current_password": password, "new_password": nextPassword},
		bearer(s.AccessToken), cookieOf(contract.CookieRefresh, s.RefreshToken)).want(200)
	if got := decoded[tokens](a); got.AccessToken != "" || len(a.setCookies()) != 3 {
		t.Errorf("%s, Set-Cookie %q", a.body, a.header.Values("Set-Cookie"))
	}
}

func TestAPI_S_C2_planted_cookies_are_refused(t *testing.T) {
	w := newWorld(t)
	w.register(ada)
	s := w.login(ada, password)
	w.call("POST", "/auth/refresh", nil, cookieOf(contract.CookieRefresh, s.RefreshToken), cookieOf(contract.CookieRefresh, "planted")).
		wantProblem(400, "malformed_request")
	w.call("POST", "/auth/refresh", nil, cookieOf("__secure-REFRESH", s.RefreshToken)).wantProblem(401, "invalid_refresh_token")
	w.call("GET", "/auth/me", nil, cookieOf(contract.CookieAccess, s.AccessToken), cookieOf(contract.CookieAccess, "planted")).
		wantProblem(400, "malformed_request")
	w.call("GET", "/auth/me", nil, cookieOf("__host-access", s.AccessToken)).wantProblem(401, "token_missing")
}

func TestAPI_S_C4_a_bad_header_is_not_rescued_by_a_good_cookie(t *testing.T) {
	w := newWorld(t)
	w.register(ada)
	s := w.login(ada, password)
	good := cookieOf(contract.CookieAccess, s.AccessToken)
	w.call("GET", "/auth/me", nil, bearer("x.y.z"), good).wantProblem(401, "token_invalid")
	w.call("GET", "/auth/me", nil, header("Authorization", "Basic eDp5"), good).wantProblem(401, "token_missing")
}

func TestAPI_S_C3_cookies_from_a_foreign_page_are_refused(t *testing.T) {
	w := newWorld(t)
	w.register(ada)
	s := w.login(ada, password)
	access, refresh := cookieOf(contract.CookieAccess, s.AccessToken), cookieOf(contract.CookieRefresh, s.RefreshToken)
	for _, foreign := range [][]option{
		{header("Sec-Fetch-Site", "cross-site"), header("Origin", "https://evil.example")},
		{header("Sec-Fetch-Site", "same-site"), header("Origin", "https://other.example.com")},
		{header("Origin", "https://evil.example")}, {header("Origin", "null")},
	} {
		w.call("POST", "/auth/refresh", nil, append(foreign, refresh)...).wantProblem(403, "cross_origin_denied")
		w.call("POST", "/auth/logout", nil, append(foreign, access)...).wantProblem(403, "cross_origin_denied")
		w.call("POST", "/auth/logout", nil, append(foreign, refresh)...).wantProblem(403, "cross_origin_denied")
		w.call("POST", "/auth/logout/all", nil, append(foreign, access)...).wantProblem(403, "cross_origin_denied")
		w.call("GET", "/auth/me", nil, append(foreign, access)...).want(200)
		w.call("POST", "/auth/email/resend", nil, append(foreign, bearer(s.AccessToken))...).want(202)
	}
	for _, own := range [][]option{
		nil, {header("Sec-Fetch-Site", "same-origin"), header("Origin", issuer)}, {header("Sec-Fetch-Site", "none")},
		{header("Origin", issuer)}, {header("Origin", "https://app.example.com"), header("Sec-Fetch-Site", "same-site")},
		{header("Origin", "https://gateway-2.example.com"), header("X-Forwarded-Host", "gateway-2.example.com")},
	} {
		w.call("POST", "/auth/email/resend", nil, append(own, access)...).want(202)
	}
}
