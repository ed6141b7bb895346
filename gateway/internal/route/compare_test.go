package route_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gatehouse.internal/gateway/internal/route"
)

func public(d *route.Definition)   { d.Auth = route.AuthNone }
func optional(d *route.Definition) { d.Auth = route.AuthOptional }
func verified(d *route.Definition) { d.VerifiedEmail = true }
func mfa(d *route.Definition)      { d.MFA = true }

func roles(names ...string) func(*route.Definition) {
	return func(d *route.Definition) { d.Roles = names }
}

func permissions(names ...string) func(*route.Definition) {
	return func(d *route.Definition) { d.Permissions = names }
}

// changes gives what Compare finds, a line for each.
func changes(t *testing.T, older, newer *route.Table) []string {
	t.Helper()
	all, err := route.Compare(older, newer)
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for _, c := range all {
		line := strings.Join(c.Methods, ",") + " " + c.Host + c.Path + ":"
		for _, who := range c.Gains {
			line += " +" + who
		}
		for _, who := range c.Loses {
			line += " -" + who
		}
		for _, term := range c.Terms {
			line += " ~" + term
		}
		lines = append(lines, line)
	}
	return lines
}

func TestCompare(t *testing.T) {
	type routes = []route.Definition
	for _, c := range []struct {
		name         string
		older, newer routes
		want         []string
	}{
		{"nothing", routes{define("a", "GET /a")}, routes{define("a", "GET /a")}, nil},
		{"another name, another order", routes{define("a", "GET /a"), define("b", "GET /b")}, routes{define("x", "GET /b"), define("y", "GET /a")}, nil},
		{"one route in the place of two", routes{define("a", "GET /a/{x}"), define("b", "PUT /a/{y}")}, routes{define("a", "GET,PUT /a/{z}")}, nil},
		{"a new route", nil, routes{define("a", "POST /a")}, []string{"POST /a: +everybody who is signed in"}},
		{"a route that is gone", routes{define("a", "POST /a", public)}, nil, []string{"POST /a: -everybody"}},
		{"a new route for a permission", nil, routes{define("a", "POST /a", permissions("a:b", "a:c"))}, []string{"POST /a: +everybody who is signed in, if their roles give a:b, a:c"}},
		{"another permission", routes{define("a", "POST /a")}, routes{define("a", "POST /a", permissions("a:c", "a:b"))}, []string{"POST /a: ~permissions: a:b, a:c, was none"}},
		{"the same permissions", routes{define("a", "POST /a", permissions("a:b", "a:c"))}, routes{define("a", "POST /a", permissions("a:c", "a:b"))}, nil},
		{"a method more", routes{define("a", "GET /a")}, routes{define("a", "GET,PUT /a")}, []string{"PUT /a: +everybody who is signed in"}},
		{"with a second factor", routes{define("a", "PUT /a", roles("r"))}, routes{define("a", "PUT /a", roles("r"), mfa)}, []string{"PUT /a: -callers with the role r without a second factor"}},
		{"a second factor in the place of an address", routes{define("a", "PUT /a", verified)}, routes{define("a", "PUT /a", mfa)},
			[]string{"PUT /a: +everybody who is signed in with a second factor and without a verified e-mail address -everybody who is signed in with a verified e-mail address and without a second factor"}},
		{"both at once", routes{define("a", "PUT /a")}, routes{define("a", "PUT /a", mfa, verified)},
			[]string{"PUT /a: -everybody who is signed in without a verified e-mail address or without a second factor"}},
		{"in the open", routes{define("a", "GET /a")}, routes{define("a", "GET /a", public)}, []string{"GET,HEAD /a: +callers without a token"}},
		{"a token is looked at", routes{define("a", "GET /a", public)}, routes{define("a", "GET /a", optional)}, []string{"GET,HEAD /a: ~auth: optional, was none"}},
		{"a role", routes{define("a", "POST /a")}, routes{define("a", "POST /a", roles("admin"))},
			[]string{"POST /a: -everybody who is signed in without the role admin"}},
		{"a role more", routes{define("a", "POST /a", roles("admin"))}, routes{define("a", "POST /a", roles("support", "admin"))},
			[]string{"POST /a: +callers with the role support"}},
		{"roles for others", routes{define("a", "POST /a", roles("a", "b"))}, routes{define("a", "POST /a", roles("b", "c", "d"))},
			[]string{"POST /a: +callers with one of the roles c, d -callers with the role a"}},
		{"a verified address", routes{define("a", "POST /a")}, routes{define("a", "POST /a", verified)},
			[]string{"POST /a: -everybody who is signed in without a verified e-mail address"}},
		{"a role instead of an address", routes{define("a", "POST /a", verified)}, routes{define("a", "POST /a", roles("admin"))},
			[]string{"POST /a: +callers with the role admin without a verified e-mail address -everybody who is signed in without the role admin with a verified e-mail address"}},
		{"a stricter route inside", routes{define("a", "* /a/*")}, routes{define("a", "* /a/*"), define("b", "GET /a/b", roles("admin"))},
			[]string{"GET,HEAD /a/b: -everybody who is signed in without the role admin", "POST,PUT,PATCH,DELETE /a/b: -everybody who is signed in"}},
		{"a stricter path inside", routes{define("a", "POST /a/*", public)}, routes{define("a", "POST /a/*", public), define("b", "PUT /a/{x}")},
			[]string{"POST /a/{x}: -everybody", "PUT /a/{x}: +everybody who is signed in"}},
		{"a guard that is gone", routes{define("a", "POST /a/*", public), define("b", "POST /a/{x}/b/*", roles("admin"))}, routes{define("a", "POST /a/*", public)},
			[]string{"POST /a/{x}/b/*: +callers without a token +everybody who is signed in without the role admin"}},
		{"patterns that cross", routes{define("a", "POST /{x}/b", public)}, routes{define("a", "POST /a/{y}")},
			[]string{"POST /a/b: -callers without a token", "POST /a/{y}: +everybody who is signed in", "POST /{x}/b: -everybody"}},
		{"a path itself, and what is below it", routes{define("a", "POST /a/{x}/*")}, routes{define("a", "POST /a/b")},
			[]string{"POST /a/{x}/*: -everybody who is signed in"}},
		{"a slash at the end", routes{define("a", "POST /a/{x}")}, routes{define("a", "POST /a/*")},
			[]string{"POST /a/*: +everybody who is signed in"}},
		{"a host", routes{define("a", "POST /a")}, routes{define("a", "POST /a"), define("b", "POST h.example/a", public)},
			[]string{"POST h.example/a: +callers without a token"}},
		{"a host's prefix covers what all hosts have", routes{define("a", "POST /a/b")}, routes{define("a", "POST /a/b"), define("b", "GET h.example/*")},
			[]string{"GET,HEAD h.example/*: +everybody who is signed in", "GET,HEAD h.example/a/b: +everybody who is signed in", "POST h.example/a/b: -everybody who is signed in"}},
		{"a pattern of hosts", routes{define("a", "POST /a")}, routes{define("a", "POST /a"), define("b", "POST *.example/a", public)},
			[]string{"POST *.example/a: +callers without a token"}},
		{"a host out of a pattern", routes{define("a", "POST *.example/a")}, routes{define("a", "POST *.example/a"), define("b", "POST h.example/a", public)},
			[]string{"POST h.example/a: +callers without a token"}},
		{"another upstream", routes{define("a", "GET /a", builtIn)}, routes{define("a", "GET /a")}, []string{"GET,HEAD /a: ~upstream: service, was own"}},
		{"header rules, without their values", routes{define("a", "GET /a")},
			routes{define("a", "GET /a", func(d *route.Definition) { d.RequestHeaders.Set = []route.Field{{Name: "X-Key", Value: "secret"}} })},
			[]string{"GET,HEAD /a: ~request_headers: changed"}},
		{"terms", routes{define("a", "GET /a")},
			routes{define("a", "GET /a", takesParameters, written("max_staleness", "max_body", "websocket"), func(d *route.Definition) {
				d.MaxStaleness, d.MaxBody, d.WebSocket, d.WithholdAuthorization, d.Compress = 2e9, 5, true, true, []string{"gzip"}
			})},
			[]string{"GET,HEAD /a: ~max_staleness: 2s, was 30s ~forward_authorization: false, was true ~path_parameters: true, was false ~compress: [\"gzip\"], was [] ~websocket: true, was false ~max_body: 5 bytes, was 1048576 bytes"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, changes(t, compile(t, c.older...), compile(t, c.newer...))); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestCompare_MissesNothing holds Compare to single requests: what two random
// tables have for one is a change that it found, or none. And to itself: the
// way back gives and takes the same.
func TestCompare_MissesNothing(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	table := func() *route.Table {
		var all []route.Definition
		taken := map[string]bool{}
		for i := range 1 + random.IntN(8) {
			place := []string{"", "h.example", "i.example", "*.example"}[random.IntN(4)]
			for depth := 1 + random.IntN(3); depth > 0; depth-- {
				place += "/" + []string{"a", "b", fmt.Sprintf("{p%d}", depth)}[random.IntN(3)]
			}
			if random.IntN(3) == 0 {
				place += "/*"
			}
			shape := strings.NewReplacer("{p1}", "{}", "{p2}", "{}", "{p3}", "{}").Replace(place)
			if taken[shape] {
				continue
			}
			taken[shape] = true
			change := []func(*route.Definition){public, optional, verified, mfa, roles("a"), roles("b", "a"), func(*route.Definition) {}}[random.IntN(7)]
			all = append(all, define(fmt.Sprintf("r%d", i), []string{"GET ", "GET,PUT ", "* "}[random.IntN(3)]+place, change))
		}
		return compile(t, all...)
	}
	compared := 0
	for range 300 {
		older, newer := table(), table()
		forth, err := route.Compare(older, newer)
		if err != nil {
			t.Fatal(err)
		}
		back, err := route.Compare(newer, older)
		if err != nil || len(back) != len(forth) {
			t.Fatalf("%d changes, and back %d, %v", len(forth), len(back), err)
		}
		for i := range forth {
			if !slices.Equal(forth[i].Gains, back[i].Loses) || !slices.Equal(forth[i].Loses, back[i].Gains) {
				t.Fatalf("%+v, and back %+v", forth[i], back[i])
			}
		}
		for range 300 {
			method := route.Methods()[random.IntN(6)]
			host := []string{"h.example", "i.example", "j.example", "k.j.example"}[random.IntN(4)]
			path := ""
			for depth := 1 + random.IntN(4); depth > 0; depth-- {
				path += "/" + []string{"a", "b", "c"}[random.IntN(3)]
			}
			path += []string{"", "/"}[random.IntN(2)]
			was, _ := older.Match(method, host, path)
			is, _ := newer.Match(method, host, path)
			if differ := callers(was) != callers(is); !differ {
				continue
			}
			compared++
			if !slices.ContainsFunc(forth, func(c route.Change) bool {
				covered, _ := compile(t, define("c", "GET "+c.Host+c.Path)).Match("GET", host, path)
				return c.Old == was && c.New == is && slices.Contains(c.Methods, method) && covered != nil
			}) {
				t.Fatalf("%s %s%s: %q, was %q, is not among %+v", method, host, path, callers(is), callers(was), forth)
			}
		}
	}
	if compared < 1000 {
		t.Errorf("only %d requests differed: the test shows little", compared)
	}
}

func callers(r *route.Route) string {
	if r == nil {
		return "nobody"
	}
	return r.Callers()
}

func TestCompare_LargeTables(t *testing.T) {
	older, newer := manyRoutes(t, 10_000), manyRoutes(t, 10_002)
	if got := changes(t, older, newer); len(got) != 1 || !strings.HasSuffix(got[0], ": +everybody who is signed in") {
		t.Errorf("got %d changes: %.500v", len(got), got)
	}
}

func TestCompare_GivesUp(t *testing.T) {
	var all []route.Definition
	for i := range 20 {
		for j := range 8 {
			segments := []string{"{a}", "{b}", "{c}", "{d}", "{e}", "{f}", "{g}", "{h}"}
			segments[j] = fmt.Sprintf("w%d", i)
			all = append(all, define(fmt.Sprintf("r%d-%d", i, j), "GET /"+strings.Join(segments, "/")))
		}
	}
	table := compile(t, all...)
	if _, err := route.CompareWithin(table, table, 20_000); err == nil {
		t.Error("a walk of 21^8 paths came to an end")
	}
}

func TestCompareUpstreams(t *testing.T) {
	tables := [2]*route.Table{}
	for i, target := range []string{"http://a:1", "http://a:2"} {
		u := upstream("service")
		u.Targets = []string{target}
		if i == 1 {
			u.Health = &route.Health{Path: "/livez"}
			u.At["health.path"] = route.Place{}
		}
		table, err := route.Compile(route.Definitions{Upstreams: []route.UpstreamDefinition{u, upstream(fmt.Sprint("only-", i))}})
		if err != nil {
			t.Fatal(err)
		}
		tables[i] = table
	}
	want := []string{"upstream service: targets: [http://a:2], was [http://a:1]", "upstream service: health: /livez every 5s, was none"}
	if diff := cmp.Diff(want, route.CompareUpstreams(tables[0], tables[1])); diff != "" {
		t.Error(diff)
	}
	if got := route.CompareUpstreams(tables[0], tables[0]); len(got) != 0 {
		t.Errorf("got %v", got)
	}
}
