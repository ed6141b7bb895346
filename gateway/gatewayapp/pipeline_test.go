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
	factor := w.token(func(c *contract.Claims) { c.Methods = []string{"pwd", "otp", contract.MethodMFA} })
	withheld := w.token(func(c *contract.Claims) { c.Withheld = []string{"admin"} })
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
		{"a session without a second factor", "/api/mfa/x", good, 403, fault.MFARequired},
		{"a session with a second factor", "/api/mfa/x", factor, 200, ""},
		{"an administrator who has shown no second factor", "/api/orders/admin/x", withheld, 403, fault.MFARequired},
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
					t.Error("S-T18 a refused request reached an upstream")
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

func TestPipeline_RewriteKeepsTheRest(t *testing.T) {
	w := newWorld(t, nil)
	res, _ := w.do("GET", "/v1/things/a%20b/%C3%A9?x=1;y=%zz&")
	if got := w.last().RequestURI; res.StatusCode != http.StatusOK || got != "/things/a%20b/%C3%A9?x=1;y=%zz&" {
		t.Errorf("%d, upstream saw %q", res.StatusCode, got)
	}
}
