package route_test

import (
	"fmt"
	"math/rand/v2"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse.internal/gateway/internal/route"
)

// define gives the definition of a route as a file would: "GET,POST host/path".
func define(name, match string, change ...func(*route.Definition)) route.Definition {
	methods, place, _ := strings.Cut(match, " ")
	slash := strings.Index(place, "/")
	d := route.Definition{
		Route: route.Route{
			Name: name, Upstream: "service", Auth: route.AuthRequired,
			Match:  route.Match{Host: place[:slash], Path: place[slash:]},
			Source: route.Position{File: name + ".yaml", Line: 1, Column: 3},
		},
		At: route.Places{},
	}
	written := []string{"name", "upstream", "auth", "match.path"}
	if d.Match.Host != "" {
		written = append(written, "match.host")
	}
	if methods != "*" {
		d.Match.Methods = strings.Split(methods, ",")
		written = append(written, "match.methods")
	}
	for _, c := range change {
		c(&d)
	}
	for _, field := range written {
		if _, known := d.At[field]; !known {
			d.At[field] = route.Place{Position: d.Source}
		}
	}
	return d
}

func builtIn(d *route.Definition) { d.BuiltIn = true; d.Upstream = "own" }

// with notes that a field was written.
func with(field string, set func(*route.Definition)) func(*route.Definition) {
	return func(d *route.Definition) {
		set(d)
		d.At[field] = route.Place{Position: route.Position{File: d.Source.File, Line: 7, Column: 5}}
	}
}

func upstream(name string) route.UpstreamDefinition {
	return route.UpstreamDefinition{
		Upstream: route.Upstream{Name: name, Targets: []string{"http://127.0.0.1:1"}},
		BuiltIn:  name == "own",
		At:       route.Places{"targets": {}},
	}
}

func compile(t testing.TB, routes ...route.Definition) *route.Table {
	t.Helper()
	table, err := route.Compile(route.Definitions{
		Upstreams: []route.UpstreamDefinition{upstream("service"), upstream("own")}, Routes: routes})
	if err != nil {
		t.Fatalf("the table has problems:\n%v", err)
	}
	return table
}

// answer is what Match says, in a word.
func answer(table *route.Table, method, host, path string) string {
	r, allow := table.Match(method, host, path)
	switch {
	case r != nil && allow != "":
		return "both " + r.Name + " and " + allow
	case r != nil:
		return r.Name
	case allow != "":
		return "405 " + allow
	}
	return "404"
}

func TestTable_Match(t *testing.T) {
	table := compile(t,
		define("login", "POST /auth/login", builtIn),
		define("user", "GET /admin/users/{id}", builtIn),
		define("user-delete", "DELETE /admin/users/{id}", builtIn),
		define("lock", "POST /admin/users/{id}/lock", builtIn),
		define("root", "GET /"),
		define("all", "* /*"),
		define("api", "* /api/*"),
		define("orders", "GET,POST /api/orders/*"),
		define("order", "GET /api/orders/{id}"),
		define("order-new", "GET /api/orders/new"),
		define("order-items", "GET /api/orders/{id}/items/*"),
		define("order-lines", "GET /api/{kind}/1/lines"),
		define("slash", "GET /docs/"),
		define("docs", "GET /docs"),
		define("shop", "GET shop.example/api/*"),
		define("shop-one", "GET shop.example/one"),
		define("tenant", "GET *.shops.example/api/*"),
		define("tenant-one", "GET *.shops.example/one"),
		define("tenant-big", "GET big.shops.example/api/*"),
		define("signs", "GET /a:b@c/*"),
		define("read", "GET /split"),
		define("write", "PUT /split"),
		define("head", "HEAD /split/head"),
		define("get", "GET /split/head"),
	)
	for _, c := range []struct{ name, request, want string }{
		{"an exact path", "GET /api/orders/new", "order-new"},
		{"a parameter", "GET /api/orders/17", "order"},
		{"a prefix", "POST /api/invoices/17", "api"},
		{"a longer prefix", "GET /api/orders/17/notes", "orders"},
		{"a prefix of parameters", "GET /api/orders/17/items/3/x", "order-items"},
		{"a prefix is itself too", "POST /api/orders", "orders"},
		{"a prefix is itself too, with a slash", "POST /api/orders/", "orders"},
		{"a prefix takes whole segments", "GET /api/ordersx", "api"},
		{"a prefix takes whole segments at the start", "GET /apix", "all"},
		{"an exact path over a parameter over a prefix, and back out of a dead end", "GET /api/orders/1/lines", "order-lines"},
		{"a parameter is not empty", "GET /api/orders/", "orders"},
		{"a slash at the end is another path", "GET /docs/", "slash"},
		{"and no slash is another", "GET /docs", "docs"},
		{"the root", "GET /", "root"},
		{"what is left over", "GET /nowhere/at/all", "all"},
		{"case counts", "GET /API/orders/new", "all"},
		{"GET brings HEAD", "HEAD /api/orders/new", "order-new"},
		{"HEAD of its own", "HEAD /split/head", "head"},
		{"GET beside it", "GET /split/head", "get"},
		{"methods of two routes", "PUT /split", "write"},
		{"S-P9 a method of neither", "DELETE /split", "405 GET, HEAD, PUT, OPTIONS"},
		{"S-P9 a method never moves a request to a weaker pattern", "POST /api/orders/17", "405 GET, HEAD, OPTIONS"},
		{"S-P9 nor out of the built-in routes", "GET /auth/login", "405 POST, OPTIONS"},
		{"S-P9 methods are case-sensitive", "get /docs", "405 GET, HEAD, OPTIONS"},
		{"S-P9 unknown methods", "BREW /docs", "405 GET, HEAD, OPTIONS"},
		{"S-P10 TRACE", "TRACE /docs", "405 GET, HEAD, OPTIONS"},
		{"S-P10 CONNECT", "CONNECT /docs", "405 GET, HEAD, OPTIONS"},
		{"S-P10 OPTIONS is the gateway's", "OPTIONS /split", "405 GET, HEAD, PUT, OPTIONS"},
		{"OPTIONS of everything", "OPTIONS *", "405 GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"},
		{"a host over none", "GET shop.example/api/orders/17", "shop"},
		{"a host in capitals", "GET SHOP.example/api/orders/17", "shop"},
		{"a host with a port", "GET shop.example:8080/api/x", "shop"},
		{"a host with a dot", "GET shop.example.:8080/api/x", "shop"},
		{"a host that leaves the path to all", "GET shop.example/docs", "docs"},
		{"another host", "GET xshop.example/api/x", "api"},
		{"S-P9 a host's pattern decides alone", "POST shop.example/api/orders", "405 GET, HEAD, OPTIONS"},
		{"a pattern of hosts over none", "GET one.shops.example/api/orders/17", "tenant"},
		{"a pattern of hosts in capitals, with a port and a dot", "GET ONE.Shops.Example.:8080/api/x", "tenant"},
		{"a host over a pattern", "GET big.shops.example/api/x", "tenant-big"},
		{"a host that leaves the path to its pattern", "GET big.shops.example/one", "tenant-one"},
		{"a pattern that leaves the path to all", "GET one.shops.example/docs", "docs"},
		{"a pattern is for one label", "GET a.b.shops.example/api/x", "api"},
		{"and not for none", "GET shops.example/api/x", "api"},
		{"nor for an empty one", "GET .shops.example/api/x", "api"},
		{"nor for what ends alike", "GET one.xshops.example/api/x", "api"},
		{"a star is no label that fits it", "GET *.shops.example.evil/api/x", "api"},
		{"S-P9 a pattern of hosts decides alone", "POST one.shops.example/api/orders", "405 GET, HEAD, OPTIONS"},
		{"the built-in routes are on hosts of patterns", "POST one.shops.example/auth/login", "login"},
		{"the built-in routes are on every host", "POST shop.example/auth/login", "login"},
		{"built-in parameters", "GET /admin/users/17", "user"},
		{"built-in methods", "DELETE /admin/users/17", "user-delete"},
		{"built-in, deeper", "POST /admin/users/17/lock", "lock"},
		{"built-in, other paths", "POST /admin/users/17/lock/x", "all"},
		{"S-P8 an escaped spelling is the same segment", "GET /a%3Ab%40c/x", "signs"},
		{"S-P8 in either case", "GET /a%3ab%40c", "signs"},
		{"escapes in a parameter", "GET /api/orders/a%20b", "order"},
		{"a segment longer than every pattern", "GET /%20" + strings.Repeat("a", 500) + "/x", "all"},
		{"a host longer than every name", "GET " + strings.Repeat("A", 500) + "/docs", "docs"},
	} {
		t.Run(c.name, func(t *testing.T) {
			method, place, _ := strings.Cut(c.request, " ")
			host, path := "", place
			if slash := strings.Index(place, "/"); slash > 0 {
				host, path = place[:slash], place[slash:]
			}
			if got := answer(table, method, host, path); got != c.want {
				t.Errorf("%s is %q, want %q", c.request, got, c.want)
			}
		})
	}
	t.Run("nothing matches where nothing is", func(t *testing.T) {
		table := compile(t, define("one", "GET /one"), define("two", "GET host/two"))
		for _, path := range []string{"/", "/two", "/one/", "/one/two", "/on"} {
			if got := answer(table, "GET", "other", path); got != "404" {
				t.Errorf("%s is %q", path, got)
			}
		}
	})
	t.Run("all that fits", func(t *testing.T) {
		var names []string
		for _, r := range table.Fitting("Big.Shops.Example:443", "/api/x") {
			names = append(names, r.Name)
		}
		if got := strings.Join(names, " "); got != "all api tenant tenant-big" {
			t.Errorf("got %s", got)
		}
	})
	t.Run("OPTIONS of an empty table", func(t *testing.T) {
		if got := answer(compile(t), "OPTIONS", "", "*"); got != "405 OPTIONS" {
			t.Errorf("got %q", got)
		}
	})
}

// TestTable_MatchIsTheMostSpecific compares the tree with a slow reading of
// the rules, on random tables and paths.
func TestTable_MatchIsTheMostSpecific(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	words := []string{"a", "b", "{x}", "{y}", "c:d"}
	for range 300 {
		var definitions []route.Definition
		shapes := map[string]bool{}
		for i := range 12 {
			var segments []string
			used := map[string]bool{}
			for range 1 + random.IntN(4) {
				w := words[random.IntN(len(words))]
				if used[w] && strings.HasPrefix(w, "{") {
					continue
				}
				used[w] = true
				segments = append(segments, w)
			}
			path := "/" + strings.Join(segments, "/")
			if random.IntN(3) == 0 {
				path += "/*"
			}
			if shape := strings.NewReplacer("{x}", "{}", "{y}", "{}").Replace(path); !shapes[shape] {
				shapes[shape] = true
				definitions = append(definitions, define(fmt.Sprintf("r%d", i), "GET "+path))
			}
		}
		table := compile(t, definitions...)
		requests := []string{"a", "b", "c:d", "c%3Ad", "e", ""}
		for range 200 {
			var segments []string
			for depth := 1 + random.IntN(5); depth > 0; depth-- {
				w := requests[random.IntN(len(requests))]
				if w == "" && depth > 1 {
					w = "a"
				}
				segments = append(segments, w)
			}
			path := "/" + strings.Join(segments, "/")
			if got, want := answer(table, "GET", "", path), slowMatch(definitions, path); got != want {
				t.Fatalf("%s is %q, want %q in %v", path, got, want, paths(definitions))
			}
		}
	}
}

func paths(ds []route.Definition) (all []string) {
	for _, d := range ds {
		all = append(all, d.Name+" "+d.Match.Path)
	}
	return all
}

// slowMatch ranks every pattern that fits: complete ones before prefixes,
// longer before shorter, literals before parameters from the left.
func slowMatch(ds []route.Definition, path string) string {
	best, bestRank := "404", ""
	for _, d := range ds {
		pattern, isPrefix := strings.CutSuffix(d.Match.Path, "/*")
		want, got := strings.Split(pattern, "/")[1:], strings.Split(path, "/")[1:]
		if len(got) < len(want) || !isPrefix && len(got) != len(want) {
			continue
		}
		rank, fits := "", true
		for i, w := range want {
			decoded, err := url.PathUnescape(got[i])
			switch {
			case err != nil:
				fits = false
			case strings.HasPrefix(w, "{"):
				rank += "1"
				fits = fits && decoded != ""
			default:
				rank += "2"
				fits = fits && decoded == w
			}
		}
		if isPrefix {
			rank = fmt.Sprintf("0%03d%s", len(want), rank)
		} else {
			rank = "1" + rank
		}
		if fits && rank > bestRank {
			best, bestRank = d.Name, rank
		}
	}
	return best
}

func TestTable_MatchAllocatesNothing(t *testing.T) {
	table := manyRoutes(t, 1000)
	for _, path := range []string{"/team7/service3/17/items", "/team7/service3/a%3Ab", "/nowhere"} {
		if n := testing.AllocsPerRun(100, func() { table.Match("GET", "Gate.Example:8080", path) }); n != 0 {
			t.Errorf("%s: %v allocations", path, n)
		}
	}
	if n := testing.AllocsPerRun(100, func() {
		if _, err := route.CheckTarget("GET", "/team7/service3/a%3Ab?q", "h"); err != nil {
			t.Error(err)
		}
	}); n != 0 {
		t.Errorf("CheckTarget: %v allocations", n)
	}
}

// manyRoutes is a table of n routes of several kinds.
func manyRoutes(t testing.TB, n int) *route.Table {
	definitions := []route.Definition{define("host", "GET gate.example/host/*")}
	for i := range n - 1 {
		base := fmt.Sprintf("/team%d/service%d", i/40, i/4%10)
		path := base + [...]string{"/*", "/{id}/items", "/{id}", "/new"}[i%4]
		definitions = append(definitions, define(fmt.Sprintf("r%d", i), "GET,POST "+path))
	}
	return compile(t, definitions...)
}

func BenchmarkTable_Match(b *testing.B) {
	for _, n := range []int{10, 10_000} {
		table := manyRoutes(b, n)
		for name, path := range map[string]string{
			"exact": "/team0/service1/new", "parameter": "/team0/service1/17/items", "prefix": "/team0/service1/a/b/c/d",
			"escaped": "/team0/service1/a%20b", "unknown": "/nowhere/at/all",
		} {
			b.Run(fmt.Sprintf("%d/%s", n, name), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					table.Match("GET", "other.example:8080", path)
				}
			})
		}
	}
}

// BenchmarkTable_MatchBeside matches the same paths in a table of 10 routes and
// in one of 10,000, in turns, so that both see the same machine; the large one
// is asked for all its parts, as real requests do. It prints what a match costs
// in each, and how much more in the large one.
func BenchmarkTable_MatchBeside(b *testing.B) {
	tables := [2]*route.Table{manyRoutes(b, 10), manyRoutes(b, 10_000)}
	var paths [2][]string
	for i := range 1000 {
		paths[0] = append(paths[0], fmt.Sprintf("/team0/service%d/%d/items", i%2, i))
		paths[1] = append(paths[1], fmt.Sprintf("/team%d/service%d/%d/items", i*7%250, i%10, i))
	}
	var spent [2]time.Duration
	matches := 0
	for b.Loop() {
		for side, table := range tables {
			began := time.Now()
			for _, path := range paths[side] {
				if r, _ := table.Match("GET", "other.example:8080", path); r == nil {
					b.Fatalf("%s has no route", path)
				}
			}
			spent[side] += time.Since(began)
		}
		matches += len(paths[0])
	}
	small, large := float64(spent[0].Nanoseconds())/float64(matches), float64(spent[1].Nanoseconds())/float64(matches)
	b.ReportMetric(small, "ns-of-10")
	b.ReportMetric(large, "ns-of-10000")
	b.ReportMetric(large-small, "ns-more")
	b.ReportMetric(0, "ns/op") // of both, a thousand times: says nothing
}

func BenchmarkCheckTarget(b *testing.B) {
	for name, target := range map[string]string{
		"plain": "/api/orders/0190a5f0-7f6c-7000-8000-000000000000/items?limit=50", "escaped": "/caf%C3%A9/a%20b?x",
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := route.CheckTarget("GET", target, "h"); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func TestTable_RoutesAreOrderedByName(t *testing.T) {
	names := []string{}
	for _, r := range compile(t, define("c", "GET /c"), define("a", "GET /a"), define("b", "GET /b", builtIn)).Routes() {
		names = append(names, r.Name)
	}
	if !slices.Equal(names, []string{"a", "b", "c"}) {
		t.Error(names)
	}
}
