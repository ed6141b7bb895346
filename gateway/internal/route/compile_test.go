package route_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"gatehouse.internal/gateway/internal/route"
)

// written notes that fields were in the file.
func written(fields ...string) func(*route.Definition) {
	return func(d *route.Definition) {
		for _, f := range fields {
			d.At[f] = route.Place{Position: route.Position{File: d.Source.File, Line: 7, Column: 5}}
		}
	}
}

// broken notes that fields were reported already.
func broken(fields ...string) func(*route.Definition) {
	return func(d *route.Definition) {
		for _, f := range fields {
			d.At[f] = route.Place{Broken: true}
		}
	}
}

func limited(l route.RateLimit) func(*route.Definition) {
	return func(d *route.Definition) {
		d.RateLimit = &l
		written("rate_limit.requests", "rate_limit.per", "rate_limit.by")(d)
	}
}

func TestCompile_RefusesARoute(t *testing.T) {
	set := func(change func(r *route.Route), fields ...string) func(*route.Definition) {
		return func(d *route.Definition) {
			change(&d.Route)
			written(fields...)(d)
		}
	}
	for _, c := range []struct {
		name   string
		match  string
		change func(*route.Definition)
		want   string
	}{
		{"a name with a space", "GET /a", set(func(r *route.Route) { r.Name = "a b" }, "name"), `r.yaml:7:5: name: "a b" is not 1 to 64`},
		{"S-P9 an unknown auth", "GET /a", set(func(r *route.Route) { r.Auth = "maybe" }, "auth"), `auth: "maybe" is not one of none, optional, required`},
		{"an unknown upstream", "GET /a", set(func(r *route.Route) { r.Upstream = "nobody" }, "upstream"), `upstream: there is no upstream "nobody"`},
		{"the gateway as upstream", "GET /a", set(func(r *route.Route) { r.Upstream = "gateway" }, "upstream"), `upstream: "gateway" serves the gateway's own routes alone`},
		{"a built-in upstream", "GET /a", set(func(r *route.Route) { r.Upstream = "own" }, "upstream"), `upstream: "own" serves the gateway's own routes alone`},
		{"an unknown method", "GET,BREW /a", nil, `match.methods: "BREW" is not one of GET, HEAD, POST, PUT, PATCH, DELETE`},
		{"S-P10 a method in lower case", "get /a", nil, `match.methods: "get" is not one of`},
		{"S-P10 OPTIONS", "OPTIONS /a", nil, `match.methods: "OPTIONS" is not one of`},
		{"S-P10 TRACE", "TRACE /a", nil, `match.methods: "TRACE" is not one of`},
		{"S-P10 CONNECT", "CONNECT /a", nil, `match.methods: "CONNECT" is not one of`},
		{"a method twice", "GET,GET /a", nil, "match.methods: GET appears twice"},
		{"no method", "* /a", written("match.methods"), "match.methods: names no method"},
		{"a host with a slash", "GET /a", set(func(r *route.Route) { r.Match.Host = "a/b" }, "match.host"), `match.host: "a/b" is not a host name`},
		{"a host with a port", "GET /a", set(func(r *route.Route) { r.Match.Host = "a:80" }, "match.host"), `match.host: "a:80" is not a host name`},
		{"a star alone", "GET /a", set(func(r *route.Route) { r.Match.Host = "*" }, "match.host"), `match.host: "*" is not a host name, nor one behind *.`},
		{"a star and nothing", "GET /a", set(func(r *route.Route) { r.Match.Host = "*." }, "match.host"), `match.host: "*." is not a host name`},
		{"a star inside", "GET /a", set(func(r *route.Route) { r.Match.Host = "a.*.b" }, "match.host"), `match.host: "a.*.b" is not a host name`},
		{"half a label", "GET /a", set(func(r *route.Route) { r.Match.Host = "a*.b" }, "match.host"), `match.host: "a*.b" is not a host name`},
		{"two stars", "GET /a", set(func(r *route.Route) { r.Match.Host = "*.*.b" }, "match.host"), `match.host: "*.*.b" is not a host name`},
		{"addresses like one", "GET /a", set(func(r *route.Route) { r.Match.Host = "*.0.2.1" }, "match.host"), `match.host: "*.0.2.1" is not a host name`},
		{"addresses of IPv6", "GET /a", set(func(r *route.Route) { r.Match.Host = "*.[::1]" }, "match.host"), `match.host: "*.[::1]" is not a host name`},
		{"an empty host", "GET /a", written("match.host"), `match.host: "" is not a host name`},
		{"half an IPv6 host", "GET /a", set(func(r *route.Route) { r.Match.Host = "[::1" }, "match.host"), `match.host: "[::1" is not a host name`},
		{"a path without a slash", "GET /a", set(func(r *route.Route) { r.Match.Path = "a" }), "a path starts with a slash"},
		{"an empty segment", "GET /a//b", nil, "the path has an empty segment"},
		{"a dot segment", "GET /a/../b", nil, "the path has a segment of dots"},
		{"an escape", "GET /a%2Fb", nil, "a path is written without escapes"},
		{"a star inside", "GET /a/*/b", nil, "a star is a last segment of its own"},
		{"a star behind letters", "GET /a*", nil, "a star is a last segment of its own"},
		{"a space", "GET /a\tb", nil, "the path holds a character that cannot be in one"},
		{"a semicolon", "GET /a;b", nil, "the path holds a character that cannot be in one"},
		{"a query", "GET /a?b", nil, "the path holds a character that cannot be in one"},
		{"a letter beyond ASCII", "GET /é", nil, "the path holds a character that cannot be in one"},
		{"a parameter in half a segment", "GET /a{id}", nil, "the path holds a character that cannot be in one"},
		{"a parameter without an end", "GET /{id", nil, "a parameter is a whole segment like {id}"},
		{"a parameter and more", "GET /{id}x", nil, "a parameter is a whole segment like {id}"},
		{"a parameter without a name", "GET /{}", nil, "a parameter is a whole segment like {id}"},
		{"a parameter twice", "GET /{id}/{id}", nil, "the parameter {id} appears twice"},
		{"a long segment", "GET /" + strings.Repeat("a", 201), nil, "a segment of the path is too long"},
		{"a prefix that is not there", "GET /api/*", set(func(r *route.Route) { r.Rewrite.StripPrefix = "/ap" }, "rewrite.strip_prefix"), `rewrite.strip_prefix: "/ap" is not the start of the path "/api/*"`},
		{"a prefix that is longer", "GET /api/*", set(func(r *route.Route) { r.Rewrite.StripPrefix = "/api/x" }, "rewrite.strip_prefix"), "is not the start of the path"},
		{"a prefix with a slash at its end", "GET /api/*", set(func(r *route.Route) { r.Rewrite.StripPrefix = "/api/" }, "rewrite.strip_prefix"), "is not a plain path without a slash at its end"},
		{"a prefix with a parameter", "GET /{a}/*", set(func(r *route.Route) { r.Rewrite.StripPrefix = "/{a}" }, "rewrite.strip_prefix"), "is not a plain path"},
		{"an empty prefix", "GET /a/*", written("rewrite.strip_prefix"), "is not a plain path"},
		{"a replacement of nothing", "GET /a/*", set(func(r *route.Route) { r.Rewrite.ReplacePrefix = "/b" }, "rewrite.replace_prefix"), "rewrite.replace_prefix: needs strip_prefix"},
		{"a replacement with a query", "GET /a/*", set(func(r *route.Route) { r.Rewrite = route.Rewrite{StripPrefix: "/a", ReplacePrefix: "/b?c"} }, "rewrite.replace_prefix", "rewrite.strip_prefix"), `rewrite.replace_prefix: "/b?c" is not a plain path`},
		{"roles of nobody", "GET /a", set(func(r *route.Route) { r.Auth = route.AuthNone; r.Roles = []string{"admin"} }, "roles"), "roles: needs auth: required"},
		{"roles of perhaps nobody", "GET /a", set(func(r *route.Route) { r.Auth = route.AuthOptional; r.Roles = []string{"admin"} }, "roles"), "roles: needs auth: required"},
		{"no role", "GET /a", written("roles"), "roles: names no role"},
		{"a role with a comma", "GET /a", set(func(r *route.Route) { r.Roles = []string{"a,admin"} }, "roles"), `roles: "a,admin" is not a role's name`},
		{"a role twice", "GET /a", set(func(r *route.Route) { r.Roles = []string{"a", "a"} }, "roles"), "roles: a appears twice"},
		{"a verified address of nobody", "GET /a", set(func(r *route.Route) { r.Auth = route.AuthNone; r.VerifiedEmail = true }, "verified_email"), "verified_email: needs auth: required"},
		{"a second factor of nobody", "GET /a", set(func(r *route.Route) { r.Auth = route.AuthOptional; r.MFA = true }, "mfa"), "mfa: needs auth: required"},
		{"staleness of nothing", "GET /a", set(func(r *route.Route) { r.Auth = route.AuthNone; r.MaxStaleness = time.Second }, "max_staleness"), "max_staleness: says nothing with auth: none"},
		{"the expiry of nothing", "GET /a", set(func(r *route.Route) { r.Auth = route.AuthNone; r.EndAtExpiry = true }, "end_at_expiry"), "end_at_expiry: says nothing with auth: none"},
		{"staleness that cannot be", "GET /a", set(func(r *route.Route) { r.MaxStaleness = time.Millisecond }, "max_staleness"), "max_staleness: 1ms is not within 500ms and 5m0s"},
		{"staleness without end", "GET /a", set(func(r *route.Route) { r.MaxStaleness = time.Hour }, "max_staleness"), "max_staleness: 1h0m0s is not within"},
		{"no requests", "GET /a", limited(route.RateLimit{Per: time.Minute, By: "ip"}), "rate_limit.requests: 0 is not within 1 and 1000000"},
		{"too many requests", "GET /a", limited(route.RateLimit{Requests: 2e6, Per: time.Hour, By: "ip"}), "rate_limit.requests: 2000000 is not within"},
		{"too fast", "GET /a", limited(route.RateLimit{Requests: 10001, Per: time.Second, By: "ip"}), "10001 per 1s is more than 10000 a second"},
		{"no time", "GET /a", limited(route.RateLimit{Requests: 1, By: "ip"}), "rate_limit.per: 0s is not within"},
		{"by whom", "GET /a", limited(route.RateLimit{Requests: 1, Per: time.Minute, By: "moon"}), `rate_limit.by: "moon" is not one of user, ip`},
		{"by nobody", "GET /a", func(d *route.Definition) {
			limited(route.RateLimit{Requests: 1, Per: time.Minute, By: "user"})(d)
			d.Auth = route.AuthNone
		}, "rate_limit.by: there is no user with auth: none"},
		{"half a limit", "GET /a", func(d *route.Definition) { d.RateLimit = &route.RateLimit{} }, "rate_limit.by: missing\nr.yaml:1:3: rate_limit.per: missing\nr.yaml:1:3: rate_limit.requests: missing"},
		{"upgrades of a POST", "POST /a", set(func(r *route.Route) { r.WebSocket = true }, "websocket"), "websocket: an upgrade is a GET request"},
		{"an unknown coding", "GET /a", set(func(r *route.Route) { r.Compress = []string{"gzip", "br"} }, "compress"), `compress: "br" is not one of zstd, gzip`},
		{"a coding twice", "GET /a", set(func(r *route.Route) { r.Compress = []string{"gzip", "gzip"} }, "compress"), "compress: gzip appears twice"},
		{"no coding", "GET /a", set(func(r *route.Route) { r.Compress = []string{} }, "compress"), "compress: names no coding"},
		{"a body of nothing", "GET /a", written("max_body"), "max_body: 0 bytes is not within 1 and 1TiB"},
		{"no timeout", "GET /a", written("timeout"), "timeout: 0s is not within 1ms and 1h0m0s"},
	} {
		t.Run(c.name, func(t *testing.T) {
			change := c.change
			if change == nil {
				change = func(*route.Definition) {}
			}
			_, err := route.Compile(route.Definitions{
				Upstreams: []route.UpstreamDefinition{upstream("service"), upstream("own")},
				Routes:    []route.Definition{define("r", c.match, change)}})
			if problems, ok := errors.AsType[route.Problems](err); !ok || !strings.Contains(problems.Error(), c.want) {
				t.Errorf("got %v, want %s", err, c.want)
			} else if len(problems) != 1+strings.Count(c.want, "\n") {
				t.Errorf("more than one problem:\n%v", problems)
			}
		})
	}
}

func TestCompile_Missing(t *testing.T) {
	_, err := route.Compile(route.Definitions{Routes: []route.Definition{{
		Route: route.Route{Source: route.Position{File: "f", Line: 3, Column: 5}}}}})
	want := "f:3:5: auth: missing; a route says none, optional or required\nf:3:5: match.path: missing\nf:3:5: name: missing\nf:3:5: upstream: missing"
	if err == nil || err.Error() != want {
		t.Errorf("got\n%v", err)
	}
	t.Run("what was reported before is not missing too", func(t *testing.T) {
		d := define("r", "GET /a", broken("name", "auth", "upstream", "match.path", "match.methods", "max_body", "timeout", "rewrite.strip_prefix"))
		d.Auth, d.Upstream, d.Match.Path, d.Name, d.RateLimit = "", "", "", "", &route.RateLimit{}
		broken("rate_limit.requests", "rate_limit.per", "rate_limit.by")(&d)
		if _, err := route.Compile(route.Definitions{Routes: []route.Definition{d}}); err != nil {
			t.Errorf("got\n%v", err)
		}
	})
}

func TestCompile_RefusesConflicts(t *testing.T) {
	own := []route.Definition{
		define("own-login", "POST /auth/login", builtIn),
		define("own-user", "GET /admin/users/{id}", builtIn),
		define("own-files", "GET /files/*", builtIn),
	}
	for _, c := range []struct {
		name   string
		routes []route.Definition
		want   string
	}{
		{"the same pattern and method", []route.Definition{define("a", "GET /a/{x}"), define("b", "GET,PUT /a/{y}")}, `b.yaml:1:3: match.path: GET "/a/{y}" is route "a" at a.yaml:1:3 already`},
		{"the same on one host", []route.Definition{define("a", "GET h.example/a"), define("b", "* H.example/a")}, `is route "a"`},
		{"HEAD twice", []route.Definition{define("a", "HEAD /a"), define("b", "HEAD /a")}, `HEAD "/a" is route "a"`},
		{"the same name", []route.Definition{define("a", "GET /a"), define("a", "GET /b")}, `name: route "a" is defined at a.yaml:1:3 already`},
		{"a built-in name", []route.Definition{define("own-login", "GET /b")}, `name: route "own-login" is defined`},
		{"a built-in path", []route.Definition{define("a", "POST /auth/login")}, `a.yaml:1:3: match.path: "/auth/login" belongs to the built-in route "own-login"`},
		{"a built-in path by another method", []route.Definition{define("a", "GET /auth/login")}, "belongs to the built-in route"},
		{"a built-in path on a host", []route.Definition{define("a", "POST h.example/auth/login")}, "belongs to the built-in route"},
		{"one value of a built-in parameter", []route.Definition{define("a", "GET /admin/users/export")}, `belongs to the built-in route "own-user"`},
		{"the parameter by another name", []route.Definition{define("a", "GET /admin/users/{x}")}, "belongs to the built-in route"},
		{"a path below a built-in prefix", []route.Definition{define("a", "GET /files/x/{y}")}, `belongs to the built-in route "own-files"`},
		{"the built-in prefix itself", []route.Definition{define("a", "GET /files")}, "belongs to the built-in route"},
		{"a prefix below a built-in prefix", []route.Definition{define("a", "GET /files/x/*")}, "belongs to the built-in route"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := route.Compile(route.Definitions{
				Upstreams: []route.UpstreamDefinition{upstream("service"), upstream("own")},
				Routes:    append(c.routes[:len(c.routes):len(c.routes)], own...)})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %s", err, c.want)
			}
		})
	}
	t.Run("what only looks like a conflict", func(t *testing.T) {
		compile(t, append(own,
			define("a", "GET /a"), define("b", "POST /a"), define("c", "GET h.example/a"), define("d", "GET i.example/a"),
			define("e", "GET /a/*"), define("f", "GET /a/{x}"), define("g", "GET /a/b"), define("h", "GET /a/"),
			define("i", "GET /admin/users/*"), define("j", "GET /*"), define("k", "GET /admin/users/{id}/*"),
			define("l", "GET /auth/login/other"), define("m", "GET /admin/users/"), define("n", "GET [::1]/a"))...)
	})
}

func TestCompile_RefusesAnUpstream(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*route.UpstreamDefinition)
		want   string
	}{
		{"a name with a slash", func(u *route.UpstreamDefinition) { u.Name = "a/b" }, `name: "a/b" is not`},
		{"the gateway's name", func(u *route.UpstreamDefinition) { u.Name = "gateway" }, `name: "gateway" is the gateway itself`},
		{"a name twice", func(u *route.UpstreamDefinition) { u.Name = "service" }, `name: upstream "service" is defined`},
		{"no target", func(u *route.UpstreamDefinition) { u.Targets = nil }, "targets: missing"},
		{"a target twice", func(u *route.UpstreamDefinition) { u.Targets = []string{"http://a", "http://a"} }, "targets: number 2 appears twice"},
		{"an unknown balance", func(u *route.UpstreamDefinition) { u.Balance = "luck"; u.At["balance"] = route.Place{} }, `balance: "luck" is not one of round_robin, least_conn, random_two`},
		{"an unknown protocol", func(u *route.UpstreamDefinition) { u.Protocol = "spdy"; u.At["protocol"] = route.Place{} }, `protocol: "spdy" is not one of http1, h2, h2c`},
		{"HTTP/2 over TLS without TLS", func(u *route.UpstreamDefinition) { u.Protocol = "h2" }, "targets: number 1 needs https"},
		{"HTTP/2 in clear with TLS", func(u *route.UpstreamDefinition) { u.Protocol, u.Targets = "h2c", []string{"https://a"} }, "targets: number 1 needs http for"},
		{"TLS for targets without", func(u *route.UpstreamDefinition) { u.TLS = &route.TLS{} }, "tls: says nothing"},
		{"a file somewhere", func(u *route.UpstreamDefinition) {
			u.Targets, u.TLS, u.At["tls.ca"] = []string{"https://a"}, &route.TLS{CA: "ca.pem"}, route.Place{}
		}, `tls.ca: "ca.pem" is not an absolute path`},
		{"a certificate without its key", func(u *route.UpstreamDefinition) {
			u.Targets, u.TLS, u.At["tls.cert"] = []string{"https://a"}, &route.TLS{Cert: "/c.pem"}, route.Place{}
		}, "tls: a certificate and its key come together"},
		{"a weight of nothing", func(u *route.UpstreamDefinition) { u.Weights = []int{0} }, "targets: the weight 0 of number 1 is not within 1 and 100"},
		{"retries without a number", func(u *route.UpstreamDefinition) { u.Retries = &route.Retries{} }, "retries.attempts: missing"},
		{"endless retries", func(u *route.UpstreamDefinition) {
			u.Retries, u.At["retries.attempts"] = &route.Retries{Attempts: 50}, route.Place{}
		}, "retries.attempts: 50 is not within 1 and 5"},
		{"a breaker of more than all", func(u *route.UpstreamDefinition) {
			u.Breaker, u.At["breaker.failure_percent"] = &route.Breaker{FailurePercent: 101}, route.Place{}
		}, "breaker.failure_percent: 101 is not within"},
		{"an ejection shorter than its first", func(u *route.UpstreamDefinition) {
			u.Ejection, u.At["ejection.max"] = route.Ejection{First: time.Minute, Max: time.Second}, route.Place{}
		}, "ejection.max: 1s is not within 1m0s"},
		{"a client's fault as failure", func(u *route.UpstreamDefinition) {
			u.Failing, u.At["failure_statuses"] = []int{503, 404}, route.Place{}
		}, "failure_statuses: 404 is not a status within 500 and 599"},
		{"a timeout of nothing", func(u *route.UpstreamDefinition) { u.At["timeout"] = route.Place{} }, "timeout: 0s is not within"},
		{"a probe of nothing", func(u *route.UpstreamDefinition) { u.Health = &route.Health{} }, "health.path: missing"},
		{"a probe of a strange path", func(u *route.UpstreamDefinition) {
			u.Health = &route.Health{Path: "/../x"}
			u.At["health.path"] = route.Place{}
		}, `health.path: "/../x" is not a path`},
		{"probes all the time", func(u *route.UpstreamDefinition) {
			u.Health = &route.Health{Path: "/x", Interval: 1}
			u.At["health.path"], u.At["health.interval"] = route.Place{}, route.Place{}
		}, "health.interval: 1ns is not within"},
	} {
		t.Run(c.name, func(t *testing.T) {
			other := upstream("other")
			c.change(&other)
			_, err := route.Compile(route.Definitions{Upstreams: []route.UpstreamDefinition{upstream("service"), other}})
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %s", err, c.want)
			}
		})
	}
	for _, target := range []string{"", "a", "a:80", "ftp://a", "http://", "http://:80", "http://u:secret@a", "http://a/b", "http://a?b", "http://a?", "http://a#b", "http://a b", "unix:/x", "http://a:", "http://a:0", "http://a:65536", "https://[::1]:99999"} {
		t.Run("the target "+target, func(t *testing.T) {
			u := upstream("service")
			u.Targets = []string{target}
			_, err := route.Compile(route.Definitions{Upstreams: []route.UpstreamDefinition{u}})
			if err == nil || !strings.Contains(err.Error(), "targets: number 1 is not http://host:port") || strings.Contains(err.Error(), "secret") {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestCompile_FillsInDefaults(t *testing.T) {
	u := upstream("service")
	u.Health = &route.Health{Path: "/x"}
	u.At["health.path"] = route.Place{}
	table, err := route.Compile(route.Definitions{
		Upstreams: []route.UpstreamDefinition{u}, Routes: []route.Definition{define("r", "* /a")}})
	if err != nil {
		t.Fatal(err)
	}
	r, got := table.Routes()[0], table.Upstreams()[0]
	if r.MaxStaleness != 30*time.Second || r.MaxBody != 1<<20 || len(r.Match.Methods) != 6 {
		t.Errorf("route: %+v", r)
	}
	if got.Balance != "round_robin" || got.Timeout != 30*time.Second || got.Health.Interval != 5*time.Second {
		t.Errorf("upstream: %+v", got)
	}
}
