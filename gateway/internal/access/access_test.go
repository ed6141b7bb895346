package access_test

import (
	"context"
	"errors"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"net/http"

	"gatehouse.internal/gateway/internal/access"
	"gatehouse.internal/shared/contract"
	"gatehouse.internal/shared/fault"
)

// world is what the decision asks, and notes in which order it did.
type world struct {
	claims    *contract.Claims
	verify    error
	check     error
	staleness time.Duration
	asked     []string
	refused   []fault.Kind
}

func (w *world) Verify(_ context.Context, raw string) (*contract.Claims, error) {
	w.asked = append(w.asked, "verify "+raw)
	return w.claims, w.verify
}

func (w *world) Check(_ context.Context, c *contract.Claims, maxStaleness time.Duration) error {
	w.asked = append(w.asked, "check "+c.Subject)
	w.staleness = maxStaleness
	return w.check
}

// Permit knows one role, and nothing of a role that is unknown.
func (w *world) Permit(roles, permissions []string) (bool, error) {
	if slices.Contains(roles, "unknown") {
		return false, fault.New(fault.Unavailable, "")
	}
	return slices.Contains(roles, "clerk") && !slices.Contains(permissions, "orders:refund"), nil
}

func (w *world) Refused(kind fault.Kind) { w.refused = append(w.refused, kind) }

func newWorld() *world {
	return &world{claims: &contract.Claims{Subject: "ada", Roles: []string{"user"}, EmailVerified: true}}
}

func (w *world) gate(t testing.TB, origins ...string) *access.Gate {
	t.Helper()
	o, err := access.NewOrigins(origins...)
	if err != nil {
		t.Fatal(err)
	}
	return &access.Gate{Tokens: w, Revocations: w, Permissions: w, Refusals: w, Origins: o}
}

func TestGate_Decide(t *testing.T) {
	crossSite := access.Request{Token: "t", FromCookie: true, Method: "POST", SecFetchSite: "cross-site", Host: "gate.example"}
	for _, c := range []struct {
		name    string
		world   func(*world)
		demands access.Demands
		request access.Request
		want    fault.Kind // empty: passes
		nobody  bool
	}{
		{name: "a good token", request: access.Request{Token: "t"}},
		{name: "S-B3 no token", want: fault.TokenMissing},
		{name: "no token, says who looked for it", request: access.Request{CredentialErr: fault.New(fault.TokenMissing, "")}, want: fault.TokenMissing},
		{name: "S-B2 two tokens", request: access.Request{CredentialErr: fault.New(fault.Malformed, "")}, want: fault.Malformed},
		{name: "S-C4 a bad header", request: access.Request{CredentialErr: fault.New(fault.TokenInvalid, "")}, want: fault.TokenInvalid},
		{name: "a bad token", world: func(w *world) { w.verify = fault.New(fault.TokenInvalid, "") }, request: access.Request{Token: "t"}, want: fault.TokenInvalid},
		{name: "an expired token", world: func(w *world) { w.verify = fault.New(fault.TokenExpired, "") }, request: access.Request{Token: "t"}, want: fault.TokenExpired},
		{name: "keys that cannot be had", world: func(w *world) { w.verify = fault.New(fault.Unavailable, "") }, request: access.Request{Token: "t"}, want: fault.Unavailable},
		{name: "a revoked token", world: func(w *world) { w.check = fault.New(fault.TokenRevoked, "") }, request: access.Request{Token: "t"}, want: fault.TokenRevoked},
		{name: "a stale token", world: func(w *world) { w.check = fault.New(fault.TokenStale, "") }, request: access.Request{Token: "t"}, want: fault.TokenStale},
		{name: "S-B7 an unknown state", world: func(w *world) { w.check = fault.New(fault.RevocationStateUnknown, "") }, request: access.Request{Token: "t"}, want: fault.RevocationStateUnknown},
		{name: "a failure without a kind", world: func(w *world) { w.check = errors.New("disk") }, request: access.Request{Token: "t"}, want: fault.Internal},

		{name: "a permission", world: func(w *world) { w.claims.Roles = []string{"user", "clerk"} }, demands: access.Demands{Permissions: []string{"orders:read"}}, request: access.Request{Token: "t"}},
		{name: "a permission too many", world: func(w *world) { w.claims.Roles = []string{"user", "clerk"} }, demands: access.Demands{Permissions: []string{"orders:read", "orders:refund"}}, request: access.Request{Token: "t"}, want: fault.InsufficientRole},
		{name: "no permission", demands: access.Demands{Permissions: []string{"orders:read"}}, request: access.Request{Token: "t"}, want: fault.InsufficientRole},
		{name: "S-B7 permissions that are not known", world: func(w *world) { w.claims.Roles = []string{"unknown"} }, demands: access.Demands{Permissions: []string{"orders:read"}}, request: access.Request{Token: "t"}, want: fault.Unavailable},
		{name: "a permission and not the role", world: func(w *world) { w.claims.Roles = []string{"clerk"} }, demands: access.Demands{Roles: []string{"admin"}, Permissions: []string{"orders:read"}}, request: access.Request{Token: "t"}, want: fault.InsufficientRole},

		{name: "optional, nobody", demands: access.Demands{Identity: access.Optional}, nobody: true},
		{name: "optional, nobody, says who looked", demands: access.Demands{Identity: access.Optional}, request: access.Request{CredentialErr: fault.New(fault.TokenMissing, "")}, nobody: true},
		{name: "optional, somebody", demands: access.Demands{Identity: access.Optional}, request: access.Request{Token: "t"}},
		{name: "optional, a bad token", world: func(w *world) { w.verify = fault.New(fault.TokenInvalid, "") }, demands: access.Demands{Identity: access.Optional}, request: access.Request{Token: "t"}, want: fault.TokenInvalid},
		{name: "optional, a bad header", demands: access.Demands{Identity: access.Optional}, request: access.Request{CredentialErr: fault.New(fault.TokenInvalid, "")}, want: fault.TokenInvalid},
		{name: "optional, a revoked token", world: func(w *world) { w.check = fault.New(fault.TokenRevoked, "") }, demands: access.Demands{Identity: access.Optional}, request: access.Request{Token: "t"}, want: fault.TokenRevoked},
		{name: "optional, two tokens", demands: access.Demands{Identity: access.Optional}, request: access.Request{CredentialErr: fault.New(fault.Malformed, "")}, want: fault.Malformed},

		{name: "none, a good token is not an identity", demands: access.Demands{Identity: access.None}, request: access.Request{Token: "t"}, nobody: true},
		{name: "none, a bad token", world: func(w *world) { w.verify = fault.New(fault.TokenInvalid, "") }, demands: access.Demands{Identity: access.None}, request: access.Request{Token: "t"}, nobody: true},
		{name: "none, a bad header", demands: access.Demands{Identity: access.None}, request: access.Request{CredentialErr: fault.New(fault.TokenInvalid, "")}, nobody: true},
		{name: "none, a cookie from another site does not vouch", demands: access.Demands{Identity: access.None}, request: crossSite, nobody: true},

		{name: "S-P9 no such role", demands: access.Demands{Roles: []string{"admin", "clerk"}}, request: access.Request{Token: "t"}, want: fault.InsufficientRole},
		{name: "one of the roles", demands: access.Demands{Roles: []string{"admin", "user"}}, request: access.Request{Token: "t"}},
		{name: "a role in capitals", demands: access.Demands{Roles: []string{"User"}}, request: access.Request{Token: "t"}, want: fault.InsufficientRole},
		{name: "no roles at all", world: func(w *world) { w.claims.Roles = nil }, demands: access.Demands{Roles: []string{"user"}}, request: access.Request{Token: "t"}, want: fault.InsufficientRole},
		{name: "an address that is not verified", world: func(w *world) { w.claims.EmailVerified = false }, demands: access.Demands{VerifiedEmail: true}, request: access.Request{Token: "t"}, want: fault.EmailUnverified},
		{name: "an address that need not be", world: func(w *world) { w.claims.EmailVerified = false }, request: access.Request{Token: "t"}},
		{name: "a session that has shown no second factor", demands: access.Demands{SecondFactor: true}, request: access.Request{Token: "t"}, want: fault.MFARequired},
		{name: "a second factor", world: func(w *world) { w.claims.Methods = []string{"pwd", "otp", "mfa"} }, demands: access.Demands{SecondFactor: true}, request: access.Request{Token: "t"}},
		{name: "a role that waits for a second factor", world: func(w *world) { w.claims.Withheld = []string{"root"} }, demands: access.Demands{Roles: []string{"root"}}, request: access.Request{Token: "t"}, want: fault.MFARequired},
		{name: "a verified address", demands: access.Demands{VerifiedEmail: true}, request: access.Request{Token: "t"}},

		{name: "S-C3 a cookie from another site", request: crossSite, want: fault.CrossOriginDenied},
		{name: "S-C3 optional, a cookie from another site", demands: access.Demands{Identity: access.Optional}, request: crossSite, want: fault.CrossOriginDenied},
		{name: "a header from another site", request: access.Request{Token: "t", Method: "POST", SecFetchSite: "cross-site"}},
		{name: "S-C3 a refresh cookie from another site", demands: access.Demands{Identity: access.None}, request: access.Request{RefreshCookie: true, Method: "POST", SecFetchSite: "same-site"}, want: fault.CrossOriginDenied},
		{name: "a refresh cookie from this site", demands: access.Demands{Identity: access.None}, request: access.Request{RefreshCookie: true, Method: "POST", SecFetchSite: "same-origin"}, nobody: true},
		{name: "S-C3 a refresh cookie beside a header, from another site", request: access.Request{Token: "t", RefreshCookie: true, Method: "DELETE", Origin: "https://evil.example", Host: "gate.example"}, want: fault.CrossOriginDenied},

		{name: "S-C3 an upgrade by cookie from another site", request: access.Request{Token: "t", FromCookie: true, Method: "GET", Upgrade: true, SecFetchSite: "same-site"}, want: fault.CrossOriginDenied},
		{name: "S-C3 an upgrade by cookie from another origin", request: access.Request{Token: "t", FromCookie: true, Method: "GET", Upgrade: true, Origin: "https://evil.example", Host: "gate.example"}, want: fault.CrossOriginDenied},
		{name: "an upgrade by cookie from this site", request: access.Request{Token: "t", FromCookie: true, Method: "GET", Upgrade: true, Origin: "https://gate.example", Host: "gate.example"}},
		{name: "a GET by cookie from another site", request: access.Request{Token: "t", FromCookie: true, Method: "GET", SecFetchSite: "cross-site"}},

		// The order of questions.
		{name: "a revoked token from another site without a role is revoked", world: func(w *world) { w.check = fault.New(fault.TokenRevoked, "") }, demands: access.Demands{Roles: []string{"admin"}}, request: crossSite, want: fault.TokenRevoked},
		{name: "from another site without a role", demands: access.Demands{Roles: []string{"admin"}}, request: crossSite, want: fault.CrossOriginDenied},
		{name: "without a role or an address", world: func(w *world) { w.claims.EmailVerified = false }, demands: access.Demands{Roles: []string{"admin"}, VerifiedEmail: true}, request: access.Request{Token: "t"}, want: fault.InsufficientRole},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld()
			if c.world != nil {
				c.world(w)
			}
			claims, err := w.gate(t).Decide(t.Context(), c.demands, &c.request)
			if got := fault.KindOf(err); got != c.want {
				t.Fatalf("got %v, want %v", err, c.want)
			}
			passes := c.want == ""
			if got, want := claims != nil, passes && !c.nobody; got != want {
				t.Errorf("claims %v, want some: %v", claims, want)
			}
			if counted := slices.Equal(w.refused, []fault.Kind{c.want}); counted == passes {
				t.Errorf("counted %v", w.refused)
			}
			if c.demands.Identity == access.None && len(w.asked) > 0 {
				t.Errorf("with none it asked %v", w.asked)
			}
		})
	}
}

func TestGate_Decide_AsksInOrder(t *testing.T) {
	w := newWorld()
	if _, err := w.gate(t).Decide(t.Context(), access.Demands{MaxStaleness: 2 * time.Second}, &access.Request{Token: "t"}); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(w.asked, []string{"verify t", "check ada"}) || w.staleness != 2*time.Second {
		t.Errorf("asked %v, with %v", w.asked, w.staleness)
	}
	t.Run("a bad token is not looked up", func(t *testing.T) {
		w := newWorld()
		w.verify = fault.New(fault.TokenInvalid, "")
		if _, err := w.gate(t).Decide(t.Context(), access.Demands{}, &access.Request{Token: "t"}); err == nil || len(w.asked) != 1 {
			t.Errorf("asked %v, %v", w.asked, err)
		}
	})
	t.Run("F38 every request is decided anew", func(t *testing.T) {
		w := newWorld()
		g := w.gate(t)
		if _, err := g.Decide(t.Context(), access.Demands{}, &access.Request{Token: "t"}); err != nil {
			t.Fatal(err)
		}
		w.check = fault.New(fault.TokenRevoked, "")
		if _, err := g.Decide(t.Context(), access.Demands{}, &access.Request{Token: "t"}); !fault.Is(err, fault.TokenRevoked) {
			t.Errorf("got %v", err)
		}
	})
	t.Run("nobody needs to count", func(t *testing.T) {
		if _, err := (&access.Gate{Tokens: w, Revocations: w}).Decide(t.Context(), access.Demands{}, &access.Request{}); !fault.Is(err, fault.TokenMissing) {
			t.Errorf("got %v", err)
		}
	})
}

func TestNewOrigins(t *testing.T) {
	for _, bad := range []string{"*", "https://*", "https://*.example.com", "null", "", "app.example.com", "https://app.example.com/", "https://app.example.com/x", "https://App.example.com", "HTTPS://app.example.com", "https://u@app.example.com", "https://app.example.com?x", "file:///x", "https://app.example.com#"} {
		if _, err := access.NewOrigins("https://good.example", bad); err == nil || !strings.Contains(err.Error(), "origin") {
			t.Errorf("S-C5 %q: %v", bad, err)
		}
	}
	o, err := access.NewOrigins("https://app.example.com", "http://127.0.0.1:3000")
	if err != nil {
		t.Fatal(err)
	}
	for origin, want := range map[string]bool{
		"https://app.example.com": true, "http://127.0.0.1:3000": true, "http://app.example.com": false, "https://app.example.com:8443": false,
		"https://app.example.com.evil.example": false, "null": false, "": false,
	} {
		if got := o.Trusts(origin); got != want {
			t.Errorf("%q: %v", origin, got)
		}
	}
}

// FuzzCrossOrigin holds the check to the standard library's, on requests that
// a cookie vouches for (S-C3).
func FuzzCrossOrigin(f *testing.F) {
	for _, method := range []string{"GET", "HEAD", "OPTIONS", "POST", "DELETE", "TRACE", "get"} {
		for _, site := range []string{"", "none", "same-origin", "same-site", "cross-site", "x"} {
			for _, origin := range []string{"", "null", "https://gate.example", "http://gate.example", "https://app.example", "https://evil.example", "https://gate.example.evil"} {
				f.Add(method, site, origin, "gate.example")
			}
		}
	}
	f.Fuzz(func(t *testing.T, method, site, origin, host string) {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Method, r.Host = method, host
		r.Header["Sec-Fetch-Site"], r.Header["Origin"] = []string{site}, []string{origin}
		oracle := http.NewCrossOriginProtection()
		if err := oracle.AddTrustedOrigin("https://app.example"); err != nil {
			t.Fatal(err)
		}
		w := newWorld()
		_, err := w.gate(t, "https://app.example").Decide(t.Context(), access.Demands{},
			&access.Request{Token: "t", FromCookie: true, Method: method, SecFetchSite: site, Origin: origin, Host: host})
		// The library parses origins as URLs; ours compares texts, and may
		// refuse what no browser sends, but never lets more pass.
		if err == nil && oracle.Check(r) != nil && plainHost(host) {
			t.Errorf("%s from %q (%q) to %q passes", method, origin, site, host)
		}
		scheme, authority, _ := strings.Cut(origin, "://")
		if err != nil && oracle.Check(r) == nil && (scheme == "http" || scheme == "https") && plainHost(authority) {
			t.Errorf("%s from %q (%q) to %q: %v", method, origin, site, host, err)
		}
	})
}

// plainHost reports whether a host can be one in a request: net/http refuses
// most others before any check.
func plainHost(host string) bool {
	return host != "" && strings.Trim(host, "abcdefghijklmnopqrstuvwxyz0123456789.-") == ""
}

// quiet answers without noting anything.
type quiet struct{ claims *contract.Claims }

func (q quiet) Verify(context.Context, string) (*contract.Claims, error)     { return q.claims, nil }
func (q quiet) Check(context.Context, *contract.Claims, time.Duration) error { return nil }
func (q quiet) Refused(fault.Kind)                                           {}

func TestGate_Decide_PassingAllocatesNothing(t *testing.T) {
	q := quiet{claims: newWorld().claims}
	g := &access.Gate{Tokens: q, Revocations: q, Refusals: q}
	r := access.Request{Token: "t", FromCookie: true, Method: "POST", Origin: "https://gate.example", Host: "gate.example"}
	demands := access.Demands{Roles: []string{"admin", "user"}, VerifiedEmail: true}
	ctx := t.Context()
	if n := testing.AllocsPerRun(100, func() {
		if _, err := g.Decide(ctx, demands, &r); err != nil {
			t.Error(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkGate_Decide(b *testing.B) {
	q := quiet{claims: newWorld().claims}
	g := &access.Gate{Tokens: q, Revocations: q, Refusals: q}
	r := access.Request{Token: "t", Method: "POST"}
	demands := access.Demands{Roles: []string{"user"}}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := g.Decide(b.Context(), demands, &r); err != nil {
			b.Fatal(err)
		}
	}
}
