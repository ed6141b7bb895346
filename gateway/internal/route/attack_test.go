package route_test

import (
	"net/url"
	"path"
	"strings"
	"testing"

	"gatehouse.internal/gateway/internal/route"
)

// guarded is a table in which a weak prefix surrounds strict routes, as a
// catch-all would that is meant for all but the administrators' part.
func guarded(t testing.TB) *route.Table {
	return compile(t,
		define("weak", "* /*", func(d *route.Definition) { d.Auth = route.AuthNone }),
		define("weak-api", "* /api/*"),
		define("admin", "* /api/admin/*"),
		define("admin-user", "GET /api/users/{id}/secrets"),
		define("own", "* /auth/login", builtIn),
		define("verb", "* /api/jobs:cancel"),
	)
}

// spellings are other ways to write a path, from the advisories of other
// gateways.
func spellings(p string) []string {
	last := strings.LastIndexByte(p, '/')
	parent, name := p[:last], p[last+1:]
	all := []string{
		"/" + p, p + "/", p + "//", "/." + p, "/x/.." + p, p + "/.", p + "/..", p + "/../" + name, parent + "//" + name, parent + "/./" + name,
		parent + "/x/../" + name, parent + "/.../" + name, parent + "/%2e/" + name, parent + "/x/%2e%2e/" + name, parent + "/x/.%2e/" + name,
		parent + "/x/%2E%2E/" + name, parent + "%2f" + name, parent + "%2F" + name, parent + "%5c" + name, parent + `\` + name, parent + "%252f" + name,
		parent + "/%2e%2e%2f" + name, parent + "/x/%252e%252e/" + name, parent + "/..;/" + name, parent + "/;/" + name, p + ";", p + ";.css", p + "%3b.css",
		p + "%00", p + "%00.css", p + "%0a", p + "%0d%0a", p + "%09", p + "%20", p + "%a0", p + "%C2%A0", p + ".", p + "..", p + ".css", p + "?", p + "?/../..",
		p + "#", p + "#/x", p + "%23", p + "%3f", p + "%3f.css", p + "%2f", p + "%2f..", p + "%", p + "%2", p + "%zz", p + "%u002f",
		parent + "/%c0%af" + name, parent + "%c0%af" + name, parent + "%e0%80%af" + name, parent + "/%c0%ae%c0%ae/" + name, parent + "%EF%BC%8F" + name,
		parent + "/%EF%BC%8E%EF%BC%8E/" + name, parent + "/" + strings.ToUpper(name), parent + "/" + strings.ToUpper(name[:1]) + name[1:],
		"http://gate.example" + p, "http://gate.example/" + p, "http://evil.example" + p, "//gate.example" + p, `\\gate.example` + p, "http:" + p,
		"*", strings.TrimPrefix(p, "/"), " " + p, p + " ", p + "\t", p + "\x00",
	}
	for i := range len(name) {
		c := name[i]
		const digits = "0123456789abcdef"
		escaped := "%" + string([]byte{digits[c>>4], digits[c&15]})
		all = append(all, parent+"/"+name[:i]+escaped+name[i+1:], parent+"/"+name[:i]+"%25"+escaped[1:]+name[i+1:])
	}
	return all
}

// readings are what servers make of a path that reaches them.
func readings(t *testing.T, p string) []string {
	t.Helper()
	decoded, err := url.PathUnescape(p)
	if err != nil {
		t.Fatalf("%q was accepted: %v", p, err)
	}
	all := []string{p, decoded, path.Clean(decoded), decodeLeniently(decoded)}
	if first, _, found := strings.Cut(decoded, ";"); found {
		all = append(all, first)
	}
	if u, err := url.Parse(decoded); err == nil {
		all = append(all, u.Path)
	}
	return all
}

// TestAttack_PathSpellings holds every spelling of a strict path to this: it
// is refused, or it goes to the route of each path that a server could read it
// as, but for the case of letters, which tells paths apart (RFC 3986 section
// 6.2.2.1), and a slash at the end of an exact path, which makes another one.
func TestAttack_PathSpellings(t *testing.T) {
	table := guarded(t)
	accepted := 0
	for _, p := range []string{"/api/admin", "/api/admin/users", "/api/users/17/secrets", "/auth/login", "/api/jobs:cancel"} {
		strict := answer(table, "GET", "gate.example", p)
		for _, spelling := range spellings(p) {
			got, err := route.CheckTarget("GET", spelling, "gate.example")
			if err != nil {
				continue
			}
			if _, allow := table.Match("GET", "gate.example", got); route.HasParameters(got) && allow == "" && answer(table, "GET", "gate.example", got) == "404" {
				continue // 400 as well, see the pipeline
			}
			accepted++
			matched := answer(table, "GET", "gate.example", got)
			for _, reading := range readings(t, got) {
				if reading == p && matched != strict && got != p+"/" {
					t.Errorf("S-P8 %q goes to %s, and a server may read %q, which is %s", spelling, matched, reading, strict)
				}
			}
		}
	}
	if accepted < 20 {
		t.Errorf("only %d spellings were accepted: the test shows little", accepted)
	}
}

// FuzzTable_Match holds a match to the decoded path: however a path is
// escaped, its route is that of what it says.
func FuzzTable_Match(f *testing.F) {
	for _, p := range []string{"/api/admin/users", "/auth/login", "/api/jobs:cancel", "/api/users/17/secrets"} {
		for _, s := range spellings(p) {
			f.Add(s)
		}
	}
	f.Add("/api/jobs%3Acancel")
	f.Add("/api/jobs%3acancel")
	table := guarded(f)
	f.Fuzz(func(t *testing.T, target string) {
		p, err := route.CheckTarget("GET", target, "h")
		if err != nil {
			return
		}
		decoded, err := url.PathUnescape(p)
		if err != nil {
			t.Fatal(err)
		}
		matched := answer(table, "GET", "h", p)
		if route.HasParameters(p) {
			if matched != "404" {
				t.Fatalf("%q goes to %s, which takes no parameters", p, matched)
			}
			return
		}
		if says := answer(table, "GET", "h", escapeAll(decoded)); says != matched {
			t.Fatalf("%q goes to %s, and %q, which is what it says, to %s", p, matched, decoded, says)
		}
		if isAdmin := decoded == "/api/admin" || strings.HasPrefix(decoded, "/api/admin/"); isAdmin != (matched == "admin") {
			t.Fatalf("%q goes to %s", p, matched)
		}
	})
}

// escapeAll escapes every byte but slashes.
func escapeAll(p string) string {
	const digits = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(p) {
		if c := p[i]; c == '/' {
			b.WriteByte(c)
		} else {
			b.Write([]byte{'%', digits[c>>4], digits[c&15]})
		}
	}
	return b.String()
}
