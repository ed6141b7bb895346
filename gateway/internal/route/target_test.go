package route_test

import (
	"net/http"
	"net/url"
	"path"
	"regexp"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"gatehouse.internal/gateway/internal/route"
	"gatehouse.internal/shared/fault"
)

func TestCheckTarget(t *testing.T) {
	for _, c := range []struct{ name, target, want string }{
		{"the root", "/", "/"},
		{"a plain path", "/api/orders/17", "/api/orders/17"},
		{"a slash at the end", "/api/orders/", "/api/orders/"},
		{"the query is not part of the path", "/a?b=/../c//d&e=%2f", "/a"},
		{"an empty query", "/a?", "/a"},
		{"an escaped space", "/a%20b", "/a%20b"},
		{"UTF-8, upper case", "/caf%C3%A9", "/caf%C3%A9"},
		{"UTF-8, lower case", "/caf%c3%a9", "/caf%c3%a9"},
		{"UTF-8 of four bytes", "/%F0%9F%8D%89/x", "/%F0%9F%8D%89/x"},
		{"characters with a meaning of their own", "/a:b@c!$&'()*+,=[0]", "/a:b@c!$&'()*+,=[0]"},
		{"their escapes", "/ada%40example.com/12%3A30%2B1", "/ada%40example.com/12%3A30%2B1"},
		{"a percent sign before no escape", "/100%25", "/100%25"},
		{"a percent sign before one digit", "/100%252", "/100%252"},
		{"parameters", "/a;b/c;d=e,f;g/", "/a;b/c;d=e,f;g/"},
		{"parameters without content", "/a;/b;;", "/a;/b;;"},
		{"dots inside a segment", "/a..b/.hidden/c.", "/a..b/.hidden/c."},
		{"absolute form for this host", "http://Gate.example:8080/a?b", "/a"},
		{"absolute form without a path", "HTTPS://gate.example:8080?b", "/"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := route.CheckTarget("GET", c.target, "gate.example:8080")
			if err != nil || got != c.want {
				t.Errorf("CheckTarget(%q) = %q, %v; want %q", c.target, got, err, c.want)
			}
		})
	}
	t.Run("a star is for OPTIONS alone", func(t *testing.T) {
		for _, method := range append(route.Methods(), "OPTIONS") {
			if got, err := route.CheckTarget(method, "/a", "h"); err != nil || got != "/a" {
				t.Errorf("%s: %q, %v", method, got, err)
			}
		}
		for _, method := range []string{"TRACE", "CONNECT", "get", "Get", "PROPFIND", "GET ", "", "POST\x00", strings.Repeat("A", 9000)} {
			if _, err := route.CheckTarget(method, "/a", "h"); !fault.Is(err, fault.Malformed) || len(err.Error()) > 200 {
				t.Errorf("%.20q: %v", method, err)
			}
		}
		if got, err := route.CheckTarget("OPTIONS", "*", "h"); err != nil || got != route.AnyTarget {
			t.Errorf("OPTIONS * = %q, %v", got, err)
		}
		if _, err := route.CheckTarget("GET", "*", "h"); !fault.Is(err, fault.Malformed) {
			t.Errorf("GET * = %v", err)
		}
	})
	t.Run("S-P16 a target that is too long", func(t *testing.T) {
		if _, err := route.CheckTarget("GET", "/"+strings.Repeat("a", route.MaxTarget), "h"); !fault.Is(err, fault.URITooLong) {
			t.Errorf("got %v", err)
		}
	})
}

func TestCheckTarget_Refuses(t *testing.T) {
	for name, targets := range map[string][]string{
		"S-P8 empty segments":             {"//", "//a", "/a//b", "/a//", "/a///b", "//evil.example/a"},
		"S-P8 dot segments":               {"/.", "/..", "/./a", "/../a", "/a/.", "/a/..", "/a/./b", "/a/../b", "/a/.../b", "/a/..../"},
		"S-P8 escaped dots":               {"/%2e", "/%2e%2e/a", "/a/%2E./b", "/a/.%2e", "/a%2eb"},
		"S-P8 escaped slashes":            {"/a%2fb", "/a%2Fb", "/%2f", "/a/..%2fb", "/%2f%2fevil"},
		"S-P8 backslashes":                {`/a\b`, `\a`, "/a%5cb", "/a%5C..%5Cb", `/\evil.example`},
		"S-P8 NUL and other controls":     {"/a%00", "/%00/b", "/a%0d%0ab", "/a%09", "/a%1F", "/a%7f", "/a\x00b", "/a\tb", "/a\r\nb", "/a\x7f"},
		"S-P8 C1 controls":                {"/a%C2%80", "/a%C2%9F", "/a%c2%85b"},
		"S-P8 double encoding":            {"/%252e%252e/a", "/a%252fb", "/a%255c", "/a%2500", "/a%25252f", "/a%25%32%65", "/a%2525"},
		"S-P8 escapes of letters":         {"/%61dmin", "/admi%6E", "/%41", "/a%2Db", "/a%5f", "/a%7E", "/%30"},
		"S-P8 malformed escapes":          {"/%", "/a%", "/a%2", "/a%zz", "/a%2z", "/%u002f", "/a%%20", "/%C3%zz"},
		"S-P8 parameters of nothing":      {"/;/a", "/;", "/;x", "/a/;", "/a/;b/c"},
		"S-P8 parameters and dots":        {"/..;/a", "/.;/a", "/a/..;x=y/b", "/...;", "/a;..", "/a;../b", "/a;.;b/c", "/a;b;../c"},
		"S-P8 escaped parameters":         {"/a%3bb", "/a%3B", "/a;b%3Bc", "/a;b%2fc", "/a;%2e%2e/b"},
		"S-P8 separators in escapes":      {"/a%3fb", "/a%3F/../b", "/a%23b", "/admin%3f.css"},
		"S-P8 fragments":                  {"/a#b", "/#", "/a?b#c"},
		"S-P8 non-ASCII octets":           {"/caf\xc3\xa9", "/\xff", "/a\x80"},
		"S-P8 overlong and broken UTF-8":  {"/%c0%af", "/%c0%ae%c0%ae/", "/%e0%80%af", "/%f0%80%80%af", "/%ff", "/%C3", "/%C3a", "/%C3%28", "/%ed%a0%80", "/%f5%80%80%80", "/%80", "/%C3/%A9"},
		"S-P8 look-alikes of separators":  {"/a%EF%BC%8Fb", "/%EF%BC%8E%EF%BC%8E/a", "/a%EF%BC%BCb", "/%E2%80%A5/a", "/a%EF%BC%9Bb", "/a%CD%BEb", "/a%EF%BC%852f"},
		"characters that need an escape":  {"/a b", `/a"b`, "/a<b", "/a>b", "/a^b", "/a`b", "/a{b}", "/a|b"},
		"controls and spaces in a query":  {"/a?b c", "/a?b\x00", "/a?b\r\nX: y", "/a?\x7f"},
		"S-P8 absolute form":              {"http://other.example/a", "http://gate.example/a", "http://u@gate.example:8080/a", "ftp://gate.example:8080/a", "http:///a", "http:/a", "://a"},
		"S-P8 absolute form, doubtful":    {"http://gate.example:8080//a", "http://gate.example:8080/../a", "http://gate.example:8080#a"},
		"S-P10 authority form of CONNECT": {"gate.example:443", "gate.example:8080"},
		"no path at all":                  {"", "a", "?a", "#", "./a", "**", "*"},
	} {
		t.Run(name, func(t *testing.T) {
			for _, target := range targets {
				if got, err := route.CheckTarget("GET", target, "gate.example:8080"); !fault.Is(err, fault.Malformed) {
					t.Errorf("CheckTarget(%q) = %q, %v; want malformed_request", target, got, err)
				}
			}
		})
	}
}

// TestCheckTarget_EveryCharacter holds the list of look-alikes to Unicode's
// own tables.
func TestCheckTarget_EveryCharacter(t *testing.T) {
	for r := rune(0x80); r <= unicode.MaxRune; r++ {
		if !utf8.ValidRune(r) {
			continue
		}
		_, err := route.CheckTarget("GET", "/"+url.PathEscape(string(r)), "h")
		folded := norm.NFKC.String(string(r))
		dangerous := strings.ContainsAny(folded, `/\%;?#`) || strings.Trim(folded, ".") == "" || r < 0xa0
		if dangerous != (err != nil) {
			t.Errorf("%U, which some read as %q: %v", r, folded, err)
		}
	}
}

func TestCheckTarget_EveryByte(t *testing.T) {
	for c := range 256 {
		raw := "/a" + string([]byte{byte(c)}) + "b"
		if got, err := route.CheckTarget("GET", raw, "h"); err == nil {
			holdsOneReading(t, got)
		}
		for _, format := range []string{"0123456789abcdef", "0123456789ABCDEF"} {
			escaped := "/a%" + string([]byte{format[c>>4], format[c&15]}) + "b"
			if got, err := route.CheckTarget("GET", escaped, "h"); err == nil {
				holdsOneReading(t, got)
			}
		}
	}
}

// holdsOneReading fails unless every reader we know takes the path for the
// same segments.
func holdsOneReading(t *testing.T, p string) {
	t.Helper()
	u, err := url.ParseRequestURI(p)
	if err != nil {
		t.Fatalf("%q: url.ParseRequestURI: %v", p, err)
	}
	if u.EscapedPath() != p || u.Host != "" || u.RawQuery != "" || u.Fragment != "" {
		t.Fatalf("%q: net/url writes it as %q", p, u.String())
	}
	if route.HasParameters(p) { // what is left without them has to hold as well
		holdsOneReading(t, stripped(p))
	}
	segments := strings.Split(p, "/")
	if decoded := strings.Split(u.Path, "/"); len(decoded) != len(segments) {
		t.Fatalf("%q: decoding gives other segments: %q", p, decoded)
	}
	if cleaned := path.Clean(u.Path); cleaned != u.Path && cleaned != strings.TrimSuffix(u.Path, "/") {
		t.Fatalf("%q: cleaning gives %q", p, cleaned)
	}
	if !utf8.ValidString(u.Path) || strings.ContainsFunc(u.Path, unicode.IsControl) {
		t.Fatalf("%q: decodes to %q", p, u.Path)
	}
	// A reader that decodes twice, leaving alone what is no escape.
	if twice := decodeLeniently(u.Path); twice != u.Path {
		t.Fatalf("%q: a second decoding gives %q", p, twice)
	}
	// A reader that decodes first and parses then.
	if again, _, _ := strings.Cut(u.Path, "?"); again != u.Path || strings.ContainsAny(u.Path, `#\`) || strings.Count(u.Path, ";") != strings.Count(p, ";") {
		t.Fatalf("%q: parsing what was decoded gives another path", p)
	}
	folded := norm.NFKC.String(u.Path)
	if strings.Count(folded, "/") != len(segments)-1 || strings.ContainsAny(folded, `\?#`) || strings.Count(folded, ";") != strings.Count(p, ";") {
		t.Fatalf("%q: compatibility normalisation gives %q", p, folded)
	}
	for i, s := range strings.Split(folded, "/") {
		if s != "" && strings.Trim(s, ".") == "" || s == "" && i > 0 && i < len(segments)-1 {
			t.Fatalf("%q: normalisation gives a dot segment or an empty one", p)
		}
	}
	// Escapes are there for a reason: nobody could write the segment without.
	for i := 0; i+2 < len(p); i++ {
		if p[i] == '%' {
			if c, err := url.PathUnescape(p[i : i+3]); err == nil && len(c) == 1 && isPlain(c[0]) {
				t.Fatalf("%q: escapes %q", p, c)
			}
		}
	}
}

// stripped takes the parameters off each segment, as Java's servers do.
func stripped(p string) string {
	return regexp.MustCompile(`;[^/]*`).ReplaceAllString(p, "")
}

func isPlain(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte("-._~", c) >= 0
}

func decodeLeniently(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+3 <= len(s) {
			if c, err := url.PathUnescape(s[i : i+3]); err == nil {
				b.WriteString(c)
				i += 2
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

func FuzzCheckTarget(f *testing.F) {
	for _, seed := range []string{
		"/", "/a/b?c=d", "/a%20b/%C3%A9", "/100%25", "//a", "/../a", "/%2e%2e/a", "/a%252fb", "/a%2", "http://h/a", "*",
		"/%c0%af", "/a;b", "/a;b=c;d/e;", "/a;../b", "/..;/a", "/a%EF%BC%8Fb", "/a#b", "/a?b#c", "/%25%2e", "/a%25/25", "/ada%40x/[0]", "/%25%C3%A9",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, target string) {
		p, err := route.CheckTarget(http.MethodGet, target, "h")
		if err != nil {
			if !fault.Is(err, fault.Malformed) && !fault.Is(err, fault.URITooLong) {
				t.Fatalf("%q is refused with %v", target, err)
			}
			return
		}
		rest, _, _ := strings.Cut(target, "?")
		if !strings.HasSuffix(rest, p) && p != "/" {
			t.Fatalf("%q gives %q, which is not a part of it", target, p)
		}
		holdsOneReading(t, p)
		if again, err := route.CheckTarget(http.MethodGet, p, "h"); err != nil || again != p {
			t.Fatalf("%q was accepted and is now %q, %v", p, again, err)
		}
	})
}
