package proxy

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"gatehouse.internal/gateway/internal/route"
)

func TestServe_HeaderRules(t *testing.T) {
	up := newRecorder(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["X-Powered-By"] = []string{"engine"}
		w.Header()["Cache-Control"] = []string{"public", "max-age=60"}
	})
	f := newFront(t, up.URL).calls(func(c *Call) {
		signedIn(c)
		c.RequestHeaders = &route.HeaderRules{
			Set: []route.Field{{Name: "X-Team", Value: "orders"}, {Name: "Idempotency-Key", Value: "k"}}, Remove: []string{"X-Debug", "Cookie"},
		}
		c.ResponseHeaders = &route.HeaderRules{Set: []route.Field{{Name: "Cache-Control", Value: "no-store"}}, Remove: []string{"X-Powered-By"}}
	})
	res, _ := f.ask(t, "GET /a HTTP/1.1\r\nHost: gw\r\nX-Team: forged\r\nX-Team: twice\r\nX-Debug: 1\r\nCookie: a=b\r\nAccept: text/plain\r\nConnection: close, X-Team\r\n\r\n")
	got := up.last(t).Header
	for name, want := range map[string][]string{"X-Team": {"orders"}, "Idempotency-Key": {"k"}, "X-Debug": nil, "Cookie": nil, "Accept": {"text/plain"}} {
		if !slices.Equal(got[name], want) {
			t.Errorf("the upstream got %s %q, want %q", name, got[name], want)
		}
	}
	for name, want := range map[string][]string{"Cache-Control": {"no-store"}, "X-Powered-By": nil} {
		if !slices.Equal(res.Header[name], want) {
			t.Errorf("the client got %s %q, want %q", name, res.Header[name], want)
		}
	}
}

// TestServe_IdentityWinsOverRules gives rules that no route file can have: the
// order of the steps alone keeps the gateway's own word.
func TestServe_IdentityWinsOverRules(t *testing.T) {
	up := newRecorder(t, nil)
	names := []string{"Authorization", "X-User-Id", "X-User-Roles", "X-User-Email-Verified", "X-Session-Id", "X-Request-Id", "X-Forwarded-Host", "X-Forwarded-Proto"}
	rules := &route.HeaderRules{}
	for _, name := range names {
		rules.Set = append(rules.Set, route.Field{Name: name, Value: "evil"})
	}
	f := newFront(t, up.URL).calls(func(c *Call) {
		signedIn(c)
		c.RequestHeaders, c.ResponseHeaders = rules, rules
	})
	res, _ := f.ask(t, "GET /a HTTP/1.1\r\nHost: gw\r\nConnection: close\r\n\r\n")
	got := up.last(t).Header
	for _, name := range names {
		if values := got[name]; len(values) != 1 || strings.Contains(values[0], "evil") {
			t.Errorf("S-P6 the upstream got %s %q", name, values)
		}
	}
	if id := res.Header["X-Request-Id"]; len(id) != 1 || id[0] == "evil" {
		t.Errorf("the client got X-Request-Id %q", id)
	}
}

func TestServe_WithholdsAuthorization(t *testing.T) {
	up := newRecorder(t, nil)
	for name, edit := range map[string]func(*Call){
		"of a caller":            signedIn,
		"of nobody":              func(*Call) {},
		"that nobody looked at":  func(c *Call) { c.KeepAuthorization = true },
		"that nobody has judged": func(c *Call) { c.Token = "a.b.c" },
	} {
		t.Run(name, func(t *testing.T) {
			f := newFront(t, up.URL).calls(func(c *Call) {
				edit(c)
				c.WithholdAuthorization = true
			})
			_, _ = f.ask(t, "GET /a HTTP/1.1\r\nHost: gw\r\nAuthorization: Bearer a.b.c\r\nConnection: close\r\n\r\n")
			got := up.last(t).Header
			if _, has := got["Authorization"]; has {
				t.Errorf("the upstream got Authorization")
			}
			if signed := name == "of a caller"; signed != (len(got["X-User-Id"]) == 1) {
				t.Errorf("the upstream got X-User-Id %q", got["X-User-Id"])
			}
		})
	}
}
