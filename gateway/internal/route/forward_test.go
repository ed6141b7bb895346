package route_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"gatehouse.internal/gateway/internal/route"
)

func TestRoute_ForwardPath(t *testing.T) {
	for _, c := range []struct {
		name, pattern, strip, replace, path, want string
	}{
		{"no rewrite", "/api/*", "", "", "/api/a%20b/", "/api/a%20b/"},
		{"a prefix is taken off", "/api/orders/*", "/api", "", "/api/orders/17", "/orders/17"},
		{"two segments are taken off", "/api/orders/*", "/api/orders", "", "/api/orders/17/", "/17/"},
		{"everything is taken off", "/api/orders/*", "/api/orders", "", "/api/orders", "/"},
		{"everything but a slash", "/api/orders/*", "/api/orders", "", "/api/orders/", "/"},
		{"the rest keeps its bytes", "/api/*", "/api", "", "/api/%C3%a9/a%3Ab/%20+", "/%C3%a9/a%3Ab/%20+"},
		{"the prefix in another spelling", "/a:b/*", "/a:b", "", "/a%3ab/c", "/c"},
		{"a prefix is replaced", "/api/*", "/api", "/v2/x", "/api/orders", "/v2/x/orders"},
		{"all is replaced", "/api/*", "/api", "/v2", "/api", "/v2"},
		{"an exact path", "/api/one", "/api", "", "/api/one", "/one"},
		{"in front of a parameter", "/api/{id}/x", "/api", "/v2", "/api/7/x", "/v2/7/x"},
	} {
		t.Run(c.name, func(t *testing.T) {
			table := compile(t, define("r", "GET "+c.pattern, func(d *route.Definition) {
				d.Rewrite = route.Rewrite{StripPrefix: c.strip, ReplacePrefix: c.replace}
				if c.strip != "" {
					d.At["rewrite.strip_prefix"] = route.Place{}
				}
				if c.replace != "" {
					d.At["rewrite.replace_prefix"] = route.Place{}
				}
			}))
			r, _ := table.Match("GET", "", c.path)
			if r == nil {
				t.Fatalf("%s does not match", c.path)
			}
			if got := r.ForwardPath(c.path); got != c.want {
				t.Errorf("%s goes on as %s, want %s", c.path, got, c.want)
			}
		})
	}
}

func TestTable_View(t *testing.T) {
	table := compile(t,
		define("plain", "* /plain", func(d *route.Definition) { d.Auth = route.AuthNone }),
		define("full", "GET,POST shop.example/api/*", builtIn,
			with("roles", func(d *route.Definition) { d.Roles = []string{"admin"} }),
			with("max_staleness", func(d *route.Definition) { d.MaxStaleness = 2e9 }),
			with("rate_limit.requests", func(d *route.Definition) {
				d.RateLimit = &route.RateLimit{Requests: 5, Per: 60e9, By: route.LimitByUser}
			}),
			with("rate_limit.per", func(*route.Definition) {}),
			with("rate_limit.by", func(*route.Definition) {}),
			with("rewrite.strip_prefix", func(d *route.Definition) { d.Rewrite.StripPrefix = "/api" }),
			with("timeout", func(d *route.Definition) { d.Timeout = 3e9 }),
			with("websocket", func(d *route.Definition) { d.WebSocket = true }),
			with("compress", func(d *route.Definition) { d.Compress = []string{"zstd"} }),
			with("end_at_expiry", func(d *route.Definition) { d.EndAtExpiry = true }),
			with("request_headers.set", func(d *route.Definition) {
				d.RequestHeaders = route.HeaderRules{Set: []route.Field{{Name: "x-team", Value: "a secret"}}, Remove: []string{"x-debug"}}
			}),
			with("response_headers.remove", func(d *route.Definition) { d.ResponseHeaders.Remove = []string{"SERVER"} }),
			with("path_parameters", func(d *route.Definition) { d.PathParameters = true }),
			with("forward_authorization", func(d *route.Definition) { d.WithholdAuthorization = true }),
			with("max_body", func(d *route.Definition) { d.MaxBody = 9 }),
			with("match.host", func(d *route.Definition) { d.Match.Host = "SHOP.example." }),
		))
	want := []route.View{{
		Name: "full", Host: "shop.example", Path: "/api/*", Methods: []string{"GET", "POST"}, Upstream: "own",
		Rewrite: &route.RewriteView{StripPrefix: "/api"}, Auth: "required", Roles: []string{"admin"}, Permissions: []string{}, MaxStaleness: "2s",
		RateLimit:       &route.RateLimitView{Requests: 5, Per: "1m0s", By: "user"},
		RequestHeaders:  &route.HeaderRulesView{Set: []string{"X-Team"}, Remove: []string{"X-Debug"}},
		ResponseHeaders: &route.HeaderRulesView{Set: []string{}, Remove: []string{"Server"}},
		PathParameters:  true, Compress: []string{"zstd"}, WebSocket: true, EndAtExpiry: true, MaxBody: 9,
		Timeout: "3s", BuiltIn: true, Source: "full.yaml:1:3",
	}, {
		Name: "plain", Path: "/plain", Methods: route.Methods(), Upstream: "service", Auth: "none", Roles: []string{}, Permissions: []string{},
		ForwardAuthorization: true, Compress: []string{}, MaxBody: 1 << 20, Source: "plain.yaml:1:3",
	}}
	if diff := cmp.Diff(want, table.View()); diff != "" {
		t.Error(diff)
	}
	if got := len(table.Upstreams()); got != 2 {
		t.Errorf("%d upstreams", got)
	}
}
