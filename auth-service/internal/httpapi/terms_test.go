package httpapi_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"gatehouse.internal/shared/contract"
)

// A browser drops a cookie of more than 4096 octets without a word, and keeps
// none for more than 400 days (RFC 6265bis): what a user with every role there
// can be gets as cookies must fit.
func TestAPI_S_C1_cookies_fit_into_browsers(t *testing.T) {
	w := newWorld(t)
	w.register(ada)
	s := w.login(ada, password)
	var roles []string
	for i := range 15 { // and user
		roles = append(roles, fmt.Sprintf("r%02d-%s", i, strings.Repeat("x", 28)))
	}
	w.call("PUT", "/admin/users/"+s.User.ID+"/roles", fields{"roles": roles}, bearer(w.login(root, adminPassword).AccessToken)).want(200)
	a := w.call("POST", "/auth/login", fields{"email": ada, "password": password}, asCookies).want(200)
	cookies := a.setCookies()
	for _, name := range []string{contract.CookieAccess, contract.CookieRefresh, contract.CookieDevice} {
		c := cookies[name]
		if c == nil {
			t.Fatalf("there is no cookie %s", name)
		}
		if size := len(c.Name) + len(c.Value); size > 4096 {
			t.Errorf("%s takes %d octets", name, size)
		}
		if c.MaxAge <= 0 || time.Duration(c.MaxAge)*time.Second > 400*24*time.Hour {
			t.Errorf("%s lives for %d s", name, c.MaxAge)
		}
		if !c.Secure || !c.HttpOnly || c.Domain != "" || c.SameSite == 0 {
			t.Errorf("%s: %s", name, c)
		}
	}
	w.call("GET", "/auth/me", nil, cookieOf(contract.CookieAccess, cookies[contract.CookieAccess].Value)).want(200)
}

// Nobody on the way may keep what introspection said, and what it says does not
// outlive the token.
func TestAPI_S_V5_an_introspection_does_not_outlive_its_token(t *testing.T) {
	w := newWorld(t)
	w.register(ada)
	s := w.login(ada, password)
	client := basic(contract.ClientPeople, clientSecret)
	active := func() bool {
		a := w.call("POST", "/auth/introspect", tokenForm(s.AccessToken), asForm, client).want(200)
		if got := a.header.Get("Cache-Control"); got != "no-store" {
			t.Errorf("Cache-Control is %q", got)
		}
		return decoded[map[string]any](a)["active"] == true
	}
	if !active() {
		t.Error("a good token is not active")
	}
	w.clock.advance(15*time.Minute + 31*time.Second)
	if active() {
		t.Error("an expired token is active")
	}
}
