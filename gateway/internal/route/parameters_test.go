package route_test

import (
	"strings"
	"testing"

	"gatehouse.internal/gateway/internal/route"
)

func takesParameters(d *route.Definition) { d.PathParameters = true }

// parametered is a table in which weak routes take parameters and strict ones
// beside and below them do not.
func parametered(t testing.TB) *route.Table {
	return compile(t,
		define("weak", "GET /*", takesParameters),
		define("admin", "* /admin/*"),
		define("item", "GET /items/{id}", takesParameters),
		define("item-write", "PUT /items/{id}"),
		define("item-new", "GET /items/new"),
		define("shop", "GET shop.example/sale/*", takesParameters),
		define("own", "GET /auth/me", builtIn),
	)
}

func TestTable_MatchWithParameters(t *testing.T) {
	table := parametered(t)
	for _, c := range []struct{ name, request, want string }{
		{"a prefix", "GET /x;a=b/y;c", "weak"},
		{"a parameter of the pattern", "GET /items/7;colour=red", "item"},
		{"HEAD too", "HEAD /items/7;colour=red", "item"},
		{"a route that takes none", "PUT /items/7;colour=red", "404"},
		{"methods, where another route takes them", "POST /items/7;colour=red", "405 GET, HEAD, PUT, OPTIONS"},
		{"OPTIONS, for browsers", "OPTIONS /items/7;colour=red", "405 GET, HEAD, PUT, OPTIONS"},
		{"a host's route", "GET shop.example/sale/x;y", "shop"},
		{"S-P8 not around a strict route, read without them", "GET /admin;x/users", "404"},
		{"S-P8 nor inside one", "GET /admin/users;x", "404"},
		{"S-P8 nor around an exact one", "GET /items/new;x", "404"},
		{"S-P8 nor around a built-in one", "GET /auth/me;x", "404"},
		{"S-P8 nor around a host's", "GET shop.example/sale;x/y", "404"},
	} {
		t.Run(c.name, func(t *testing.T) {
			method, place, _ := strings.Cut(c.request, " ")
			slash := strings.Index(place, "/")
			if got := answer(table, method, place[:slash], place[slash:]); got != c.want {
				t.Errorf("%s is %q, want %q", c.request, got, c.want)
			}
		})
	}
}

// FuzzTable_MatchParameters holds a match of a path with parameters to both of
// its readings: the route that was found is that of the path without them.
func FuzzTable_MatchParameters(f *testing.F) {
	for _, seed := range []string{"/admin;x/users", "/x;a=b/y;c", "/items/7;c=r", "/items/new;x", "/auth;/me", "/a;", "/a;%20/b", "/sale;x/a", "/sale/a;x"} {
		f.Add(seed)
	}
	table := parametered(f)
	f.Fuzz(func(t *testing.T, target string) {
		p, err := route.CheckTarget("GET", target, "shop.example")
		if err != nil || !route.HasParameters(p) {
			return
		}
		r, _ := table.Match("GET", "shop.example", p)
		if r == nil {
			return
		}
		plain := stripped(p)
		if again, err := route.CheckTarget("GET", plain, "shop.example"); err != nil || again != plain {
			t.Fatalf("%q is taken, and %q, as some servers read it, is not: %v", p, plain, err)
		}
		if other, _ := table.Match("GET", "shop.example", plain); !r.PathParameters || other != r {
			t.Fatalf("%q goes to %s, and %q to %+v", p, r.Name, plain, other)
		}
	})
}
