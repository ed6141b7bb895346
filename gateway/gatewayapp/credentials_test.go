package gatewayapp

import (
	"net/http"
	"strings"
	"testing"

	"gatehouse.internal/shared/fault"
)

func TestPipeline_SB(t *testing.T) {
	w := newWorld(t, nil)
	good := w.token(nil)
	ask := func(lines ...string) (*http.Response, string) {
		return w.ask("GET /api/orders/x HTTP/1.1\r\nHost: gw\r\nConnection: close\r\n" + strings.Join(append(lines, ""), "\r\n") + "\r\n")
	}
	t.Run("S-B1 a token in the query is not looked at", func(t *testing.T) {
		res, body := w.do("GET", "/api/orders/x?access_token="+good)
		wantProblem(t, res, body, 401, fault.TokenMissing)
	})
	t.Run("S-B1 nor in a form", func(t *testing.T) {
		res, body := w.send("POST", "/api/orders/x", strings.NewReader("access_token="+good), "Content-Type: application/x-www-form-urlencoded")
		wantProblem(t, res, body, 401, fault.TokenMissing)
	})
	t.Run("S-B2 two credentials are an error", func(t *testing.T) {
		for _, lines := range [][]string{
			{bearer + good, bearer + good}, {bearer + good, "authorization: Basic eDp5"}, {bearer + good + ", Bearer " + good},
			{"Cookie: __Host-access=" + good + "; __Host-access=" + good},
		} {
			res, body := ask(lines...)
			wantProblem(t, res, body, 400, fault.Malformed)
		}
		res, body := w.do("GET", "/api/orders/x?access_token="+good, bearer+good)
		wantProblem(t, res, body, 400, fault.Malformed)
		res, body = w.ask("GET /api/public/x HTTP/1.1\r\nHost: gw\r\nAuthorization: Bearer a\r\nAuthorization: Bearer b\r\n\r\n")
		wantProblem(t, res, body, 400, fault.Malformed)
	})
	t.Run("S-B3 the challenge names an error only if a token was presented", func(t *testing.T) {
		if res, _ := ask(); res.Header.Get("WWW-Authenticate") != "Bearer" {
			t.Errorf("without a token: %q", res.Header.Get("WWW-Authenticate"))
		}
		if res, _ := ask(bearer + "bad"); !strings.Contains(res.Header.Get("WWW-Authenticate"), `error="invalid_token"`) {
			t.Errorf("with a bad token: %q", res.Header.Get("WWW-Authenticate"))
		}
	})
	t.Run("S-B4 revoked is 401 and a missing role is 403 after a good token alone", func(t *testing.T) {
		res, body := w.do("GET", "/api/orders/admin/x", bearer+"bad")
		wantProblem(t, res, body, 401, fault.TokenInvalid)
		res, body = w.do("GET", "/api/orders/admin/x", bearer+good)
		wantProblem(t, res, body, 403, fault.InsufficientRole)
	})
	t.Run("S-B5 the scheme is compared without regard to case", func(t *testing.T) {
		for _, scheme := range []string{"bearer", "BEARER", "bEaReR"} {
			if res, body := ask("Authorization: " + scheme + " " + good); res.StatusCode != http.StatusOK {
				t.Errorf("%s: %d %s", scheme, res.StatusCode, body)
			}
		}
	})
	t.Run("S-B6 errors tell nothing of the inside", func(t *testing.T) {
		for _, presented := range []string{"bad", "a.b.c", strings.Repeat("x", 9000), good + ".x", "{}"} {
			res, body := ask(bearer + presented)
			if presented != strings.Repeat("x", 9000) && strings.Contains(body, presented) || strings.Contains(body, "base64") || strings.Contains(body, "goroutine") {
				t.Errorf("%d %s", res.StatusCode, body)
			}
			wantProblem(t, res, body, 401, fault.TokenInvalid)
		}
	})
	t.Run("S-B8 an upstream's challenge is not touched", func(t *testing.T) {
		w.answers(func(rw http.ResponseWriter, _ *http.Request) {
			rw.Header().Add("WWW-Authenticate", `Digest realm="x", nonce="y"`)
			rw.Header().Add("WWW-Authenticate", `Basic realm="z"`)
			rw.WriteHeader(http.StatusUnauthorized)
		})
		defer w.answers(nil)
		res, _ := ask(bearer + good)
		if got := strings.Join(res.Header["Www-Authenticate"], "|"); got != `Digest realm="x", nonce="y"|Basic realm="z"` {
			t.Errorf("got %q", got)
		}
	})
	t.Run("S-C4 a bad header is not rescued by a good cookie", func(t *testing.T) {
		res, body := ask(bearer+"bad", "Cookie: __Host-access="+good)
		wantProblem(t, res, body, 401, fault.TokenInvalid)
		res, body = ask("Authorization: Basic eDp5", "Cookie: __Host-access="+good)
		wantProblem(t, res, body, 401, fault.TokenMissing)
	})
}

func TestPipeline_CookiesAndOtherSites(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.AllowedOrigins = []string{"https://app.example.com"} })
	good := w.token(nil)
	cookie := "Cookie: __Host-access=" + good
	for _, c := range []struct {
		name    string
		method  string
		path    string
		headers []string
		status  int
	}{
		{"a page of this site", "POST", "/api/orders/x", []string{cookie, "Sec-Fetch-Site: same-origin"}, 200},
		{"another site", "POST", "/api/orders/x", []string{cookie, "Sec-Fetch-Site: cross-site", "Origin: https://evil.example"}, 403},
		{"a sibling", "POST", "/api/orders/x", []string{cookie, "Sec-Fetch-Site: same-site", "Origin: https://x.example.com"}, 403},
		{"a listed site", "POST", "/api/orders/x", []string{cookie, "Sec-Fetch-Site: cross-site", "Origin: https://app.example.com"}, 200},
		{"another site that only reads", "GET", "/api/orders/x", []string{cookie, "Sec-Fetch-Site: cross-site"}, 200},
		{"another site with a header of its own", "POST", "/api/orders/x", []string{bearer + good, "Sec-Fetch-Site: cross-site", "Origin: https://evil.example"}, 200},
		{"an old browser on another site", "POST", "/api/orders/x", []string{cookie, "Origin: https://evil.example"}, 403},
		{"no browser", "POST", "/api/orders/x", []string{cookie}, 200},
		{"another site with the refresh cookie", "POST", "/auth/refresh", []string{"Cookie: __Secure-refresh=r", "Sec-Fetch-Site: cross-site", "Origin: https://evil.example"}, 403},
		{"this site with the refresh cookie", "POST", "/auth/refresh", []string{"Cookie: __Secure-refresh=r", "Sec-Fetch-Site: same-origin"}, 200},
	} {
		t.Run(c.name, func(t *testing.T) {
			res, body := w.do(c.method, c.path, c.headers...)
			if c.status == 403 {
				wantProblem(t, res, body, 403, fault.CrossOriginDenied)
			} else if res.StatusCode != c.status {
				t.Errorf("got %d %s", res.StatusCode, body)
			}
		})
	}
	t.Run("the issuer gets the refresh cookie and an access token, others get neither cookie", func(t *testing.T) {
		both := "Cookie: __Host-access=" + good + "; __Secure-refresh=r"
		_, _ = w.do("POST", "/auth/logout", both)
		if h := w.last().Header; h.Get("Cookie") != "__Secure-refresh=r" || h.Get("Authorization") != "Bearer "+good || h.Get("X-User-Id") != "" {
			t.Errorf("the issuer got %v", h)
		}
		_, _ = w.do("POST", "/api/public/x", both)
		if h := w.last().Header; h.Get("Cookie") != "" || h.Get("Authorization") != "" {
			t.Errorf("another upstream got %v", h)
		}
		_, _ = w.do("POST", "/auth/introspect", "Authorization: Basic eDp5")
		if h := w.last().Header; h.Get("Authorization") != "Basic eDp5" {
			t.Errorf("the issuer got %q", h.Get("Authorization"))
		}
	})
}
