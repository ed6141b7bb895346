package gatewayapp

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"gatehouse.internal/shared/contract"
	"gatehouse.internal/shared/fault"
	"gatehouse.internal/shared/token"
	"gatehouse.internal/shared/token/tokentest"
)

const bearer = "Authorization: Bearer "

func TestPipeline_WhoMayPass(t *testing.T) {
	w := newWorld(t, nil)
	good := w.token(nil)
	admin := w.token(func(c *contract.Claims) { c.Roles = []string{"user", "admin"} })
	unverified := w.token(func(c *contract.Claims) { c.EmailVerified = false })
	expired := w.token(func(c *contract.Claims) {
		c.IssuedAt, c.NotBefore, c.ExpiresAt = ago(time.Hour), ago(time.Hour), ago(time.Minute)
	})
	stranger := tokentest.New(t, token.AlgEdDSA).Token(tokentest.Claims(time.Now()))
	for _, c := range []struct {
		name, path, token string
		status            int
		kind              fault.Kind
	}{
		{"nobody on a public route", "/api/public/x", "", 200, ""},
		{"a bad token on a public route", "/api/public/x", "bad", 200, ""},
		{"nobody on an optional route", "/api/optional/x", "", 200, ""},
		{"somebody on an optional route", "/api/optional/x", good, 200, ""},
		{"a bad token on an optional route", "/api/optional/x", "bad", 401, fault.TokenInvalid},
		{"nobody on a route", "/api/orders/x", "", 401, fault.TokenMissing},
		{"somebody on a route", "/api/orders/x", good, 200, ""},
		{"a tampered token", "/api/orders/x", good[:len(good)-3] + "abc", 401, fault.TokenInvalid},
		{"another issuer's token", "/api/orders/x", stranger, 401, fault.TokenInvalid},
		{"an expired token", "/api/orders/x", expired, 401, fault.TokenExpired},
		{"somebody on an administrators' route", "/api/orders/admin/x", good, 403, fault.InsufficientRole},
		{"an administrator on it", "/api/orders/admin/x", admin, 200, ""},
		{"nobody on it", "/api/orders/admin/x", "", 401, fault.TokenMissing},
		{"an unverified address", "/api/verified/x", unverified, 403, fault.EmailUnverified},
		{"a verified address", "/api/verified/x", good, 200, ""},
		{"a path without a route", "/nowhere", good, 404, fault.RouteNotFound},
		{"a built-in path that does not exist", "/auth/nowhere", good, 404, fault.RouteNotFound},
		{"the gateway's own route", "/admin/routes", good, 403, fault.InsufficientRole},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := len(w.requests())
			var headers []string
			if c.token != "" {
				headers = append(headers, bearer+c.token)
			}
			res, body := w.do("GET", c.path, headers...)
			if c.kind != "" {
				wantProblem(t, res, body, c.status, c.kind)
				if len(w.requests()) != before {
					t.Error("a refused request reached an upstream (S-T18)")
				}
			} else if res.StatusCode != c.status {
				t.Errorf("got %d %s", res.StatusCode, body)
			}
			if res.Header.Get("X-Request-Id") == "" {
				t.Error("the answer has no X-Request-Id")
			}
		})
	}
}

func ago(d time.Duration) time.Time { return time.Now().Add(-d) }

func TestPipeline_WhatAnUpstreamIsTold(t *testing.T) {
	w := newWorld(t, nil)
	good := w.token(func(c *contract.Claims) { c.Roles = []string{"user", "editor"} })
	claims := tokentest.Claims(time.Now())
	for name, c := range map[string]struct {
		path, credential string
		signedIn         bool
	}{
		"by header":                    {"/api/orders/x", bearer + good, true},
		"by cookie":                    {"/api/orders/x", "Cookie: a=1; __Host-access=" + good, true},
		"by header on optional routes": {"/api/optional/x", bearer + good, true},
		"nobody on optional routes":    {"/api/optional/x", "X-Nothing: x", false},
		"on public routes nobody asks": {"/api/public/x", "Cookie: a=1; __Host-access=" + good, false},
	} {
		t.Run(name, func(t *testing.T) {
			res, _ := w.do("GET", c.path, c.credential, "Traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
			h := w.last().Header
			want := map[string]string{
				"X-User-Id": claims.Subject, "X-User-Roles": "user,editor", "X-User-Email-Verified": "true", "X-Session-Id": claims.SessionID,
				"Authorization": "Bearer " + good,
			}
			for name, value := range want {
				if !c.signedIn {
					value = ""
				}
				if h.Get(name) != value {
					t.Errorf("%s is %q, want %q", name, h.Get(name), value)
				}
			}
			if strings.Contains(strings.Join(h["Cookie"], ""), "__Host-access") {
				t.Error("the upstream got the cookie")
			}
			if h.Get("X-Request-Id") != res.Header.Get("X-Request-Id") || h.Get("X-Forwarded-For") != "127.0.0.1" {
				t.Errorf("request id %q, chain %q", h.Get("X-Request-Id"), h.Get("X-Forwarded-For"))
			}
			if got := h.Get("Traceparent"); !strings.HasPrefix(got, "00-4bf92f3577b34da6a3ce929d0e0e4736-") || strings.Contains(got, "00f067aa0ba902b7") {
				t.Errorf("traceparent %q", got)
			}
		})
	}
}

// SB: bearer tokens and errors.
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

func TestPipeline_Revocation(t *testing.T) {
	w := newWorld(t, nil)
	id := func(n int) string { return fmt.Sprintf("01890a5d-ac96-774b-bcce-%012d", n) }
	person := func(n int) string {
		return w.token(func(c *contract.Claims) { c.Subject, c.SessionID, c.TokenID = id(n), id(n+1), id(n+2) })
	}
	for _, c := range []struct {
		name  string
		entry contract.Entry
		kind  fault.Kind
	}{
		{"the token", contract.Entry{Kind: contract.RevokeToken, Subject: contract.ParseSubjectID(id(3))}, fault.TokenRevoked},
		{"its session", contract.Entry{Kind: contract.RevokeSession, Subject: contract.ParseSubjectID(id(12))}, fault.TokenRevoked},
		{"its user", contract.Entry{Kind: contract.RevokeUser, Subject: contract.ParseSubjectID(id(21)), MinVersion: 2}, fault.TokenRevoked},
		{"its user's roles", contract.Entry{Kind: contract.RevokeUserStale, Subject: contract.ParseSubjectID(id(31)), MinVersion: 2}, fault.TokenStale},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := map[contract.RevocationKind]int{contract.RevokeToken: 1, contract.RevokeSession: 11, contract.RevokeUser: 21, contract.RevokeUserStale: 31}[c.entry.Kind]
			raw := person(n)
			for range 3 { // warm, on one connection (F38)
				if res, body := w.do("GET", "/api/orders/x", bearer+raw); res.StatusCode != http.StatusOK {
					t.Fatalf("before: %d %s", res.StatusCode, body)
				}
			}
			w.revoke(c.entry)
			res, body := w.do("GET", "/api/orders/x", bearer+raw)
			wantProblem(t, res, body, 401, c.kind)
			if other, _ := w.do("GET", "/api/orders/x", bearer+person(n+100)); other.StatusCode != http.StatusOK {
				t.Errorf("somebody else gets %d", other.StatusCode)
			}
		})
	}
	t.Run("S-B7 a node that cannot know says so", func(t *testing.T) {
		admin := w.token(func(c *contract.Claims) { c.Roles = []string{"admin"} })
		w.silence(true)
		defer w.silence(false)
		w.until("the view is too old for administrators", func() bool {
			res, body := w.do("GET", "/api/orders/admin/x", bearer+admin)
			if res.StatusCode == http.StatusOK {
				return false
			}
			wantProblem(t, res, body, 503, fault.RevocationStateUnknown)
			if res.Header.Get("Retry-After") == "" {
				t.Error("there is no Retry-After")
			}
			return true
		})
		if res, _ := w.do("GET", "/api/orders/x", bearer+admin); res.StatusCode != http.StatusOK {
			t.Errorf("a route with 30 s gets %d", res.StatusCode)
		}
		if res, _ := w.do("GET", "/api/public/x"); res.StatusCode != http.StatusOK {
			t.Errorf("a public route gets %d", res.StatusCode)
		}
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

func TestPipeline_CORS(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.AllowedOrigins = []string{"https://app.example.com"} })
	t.Run("a preflight of a listed origin is granted", func(t *testing.T) {
		res, _ := w.do("OPTIONS", "/api/orders/x", "Origin: https://app.example.com", "Access-Control-Request-Method: POST", "Access-Control-Request-Headers: authorization, content-type")
		want := map[string]string{
			"Access-Control-Allow-Origin": "https://app.example.com", "Access-Control-Allow-Credentials": "true",
			"Access-Control-Allow-Headers": "authorization, content-type", "Access-Control-Max-Age": "600",
		}
		for name, value := range want {
			if res.Header.Get(name) != value {
				t.Errorf("%s is %q", name, res.Header.Get(name))
			}
		}
		if res.StatusCode != http.StatusNoContent || !strings.Contains(res.Header.Get("Access-Control-Allow-Methods"), "POST") || !strings.Contains(strings.Join(res.Header["Vary"], ","), "Origin") {
			t.Errorf("%d %v", res.StatusCode, res.Header)
		}
	})
	t.Run("S-C5 nobody else learns anything", func(t *testing.T) {
		for _, origin := range []string{"https://evil.example", "null", "*", "https://app.example.com.evil.example", "http://app.example.com", "https://APP.example.com", "https://app.example.com:8443"} {
			for _, method := range []string{"OPTIONS", "GET"} {
				res, _ := w.do(method, "/api/public/x", "Origin: "+origin, "Access-Control-Request-Method: POST")
				for name := range res.Header {
					if strings.HasPrefix(name, "Access-Control-") {
						t.Errorf("%s from %s: %s", method, origin, name)
					}
				}
			}
		}
	})
	t.Run("refusals and upstreams' answers can be read by listed origins", func(t *testing.T) {
		w.answers(func(rw http.ResponseWriter, _ *http.Request) { rw.Header().Set("Access-Control-Allow-Origin", "*") })
		defer w.answers(nil)
		for _, path := range []string{"/api/orders/x", "/api/public/x", "/nowhere"} {
			res, _ := w.do("GET", path, "Origin: https://app.example.com")
			if got := res.Header["Access-Control-Allow-Origin"]; len(got) != 1 || got[0] != "https://app.example.com" {
				t.Errorf("%s: %v", path, got)
			}
		}
		res, _ := w.do("GET", "/api/public/x", "Origin: https://evil.example")
		if got := res.Header["Access-Control-Allow-Origin"]; got != nil {
			t.Errorf("an upstream opened itself to %v", got)
		}
	})
	t.Run("fields that are no fields are not sent back", func(t *testing.T) {
		for _, asked := range []string{"a\"b", strings.Repeat("x", 2000), "<script>"} {
			res, _ := w.do("OPTIONS", "/api/orders/x", "Origin: https://app.example.com", "Access-Control-Request-Method: POST", "Access-Control-Request-Headers: "+asked)
			if res.Header.Get("Access-Control-Allow-Headers") != "" {
				t.Errorf("%.20q was granted", asked)
			}
		}
	})
}

func TestPipeline_SP10Methods(t *testing.T) {
	w := newWorld(t, nil)
	for _, c := range []struct {
		request string
		status  int
		allow   string
	}{
		{"OPTIONS /api/read/x", 204, "GET, HEAD, OPTIONS"},
		{"OPTIONS *", 204, "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"},
		{"OPTIONS /nowhere", 404, ""},
		{"POST /api/read/x", 405, "GET, HEAD, OPTIONS"},
		{"GET /auth/login", 405, "POST, OPTIONS"},
		{"TRACE /api/public/x", 405, "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"},
		{"get /api/public/x", 405, "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"},
		{"PROPFIND /api/public/x", 405, "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"},
		{"CONNECT evil.example:443", 400, ""},
		{"CONNECT /api/public/x", 405, "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"},
		{"HEAD /api/read/x", 200, ""},
	} {
		before := len(w.requests())
		_, in := w.raw(c.request + " HTTP/1.1\r\nHost: gw\r\nConnection: close\r\n\r\n")
		res, err := http.ReadResponse(in, &http.Request{Method: strings.Fields(c.request)[0]})
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if res.StatusCode != c.status || res.Header.Get("Allow") != c.allow {
			t.Errorf("%s: %d, Allow %q", c.request, res.StatusCode, res.Header.Get("Allow"))
		}
		if reached := len(w.requests()) != before; reached != (c.status == 200) {
			t.Errorf("%s: reached an upstream: %v", c.request, reached)
		}
	}
}

func TestPipeline_AdminRoutes(t *testing.T) {
	w := newWorld(t, nil)
	admin := w.token(func(c *contract.Claims) { c.Roles = []string{"admin"} })
	res, body := w.do("GET", "/admin/routes", bearer+admin)
	var got struct {
		Items []struct {
			Name, Path, Auth string
			Roles            []string
		}
	}
	if err := json.Unmarshal([]byte(body), &got); err != nil || res.StatusCode != http.StatusOK || len(got.Items) < 20 {
		t.Fatalf("%d %s", res.StatusCode, body)
	}
	names := map[string]bool{}
	for _, item := range got.Items {
		names[item.Name] = true
		if item.Auth == "" {
			t.Errorf("%s does not say what it demands", item.Name)
		}
	}
	if !names["orders"] || !names["login"] || !names["admin-routes"] {
		t.Errorf("routes are missing among %v", names)
	}
	if res.Header.Get("Cache-Control") != "no-store" || res.Header.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("headers %v", res.Header)
	}
}

func TestPipeline_RateLimits(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.CredentialLimit = 2 })
	t.Run("by address; a rotating X-Forwarded-For does not help", func(t *testing.T) {
		for i := range 5 {
			res, body := w.do("GET", "/api/limited/x", fmt.Sprintf("X-Forwarded-For: 203.0.113.%d", i), fmt.Sprintf("X-Real-IP: 203.0.113.%d", i), fmt.Sprintf("Forwarded: for=203.0.113.%d", i))
			if res.Header.Get("RateLimit-Limit") != "3" {
				t.Errorf("RateLimit-Limit is %q", res.Header.Get("RateLimit-Limit"))
			}
			if i < 3 {
				if res.StatusCode != http.StatusOK {
					t.Errorf("request %d: %d", i, res.StatusCode)
				}
				continue
			}
			wantProblem(t, res, body, 429, fault.RateLimited)
			if res.Header.Get("Retry-After") == "" || res.Header.Get("RateLimit-Remaining") != "0" {
				t.Errorf("headers %v", res.Header)
			}
		}
	})
	t.Run("by user, from any address, whatever the token", func(t *testing.T) {
		for i := range 5 {
			raw := w.token(func(c *contract.Claims) { c.TokenID = fmt.Sprintf("01890a5d-ac96-774b-bcce-00000000000%d", i) })
			res, _ := w.do("GET", "/api/limited-user/x", bearer+raw)
			if want := map[bool]int{true: 200, false: 429}[i < 3]; res.StatusCode != want {
				t.Errorf("request %d: %d", i, res.StatusCode)
			}
		}
		other := w.token(func(c *contract.Claims) { c.Subject = "01890a5d-ac96-774b-bcce-0000000000ff" })
		if res, _ := w.do("GET", "/api/limited-user/x", bearer+other); res.StatusCode != http.StatusOK {
			t.Errorf("somebody else: %d", res.StatusCode)
		}
	})
	t.Run("the credential endpoints", func(t *testing.T) {
		var statuses []int
		for range 3 {
			res, _ := w.do("POST", "/auth/login")
			statuses = append(statuses, res.StatusCode)
		}
		if fmt.Sprint(statuses) != "[200 200 429]" {
			t.Errorf("got %v", statuses)
		}
	})
}

func TestPipeline_RewriteKeepsTheRest(t *testing.T) {
	w := newWorld(t, nil)
	res, _ := w.do("GET", "/v1/things/a%20b/%C3%A9?x=1;y=%zz&")
	if got := w.last().RequestURI; res.StatusCode != http.StatusOK || got != "/things/a%20b/%C3%A9?x=1;y=%zz&" {
		t.Errorf("%d, upstream saw %q", res.StatusCode, got)
	}
}
