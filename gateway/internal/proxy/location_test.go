package proxy

import (
	"net/http"
	"strings"
	"testing"
)

func TestServe_LocationOfTheTargetItself(t *testing.T) {
	for _, c := range []struct{ taken, put, location, want string }{
		{"", "", "TARGET/a/b?c=d#e", "/a/b?c=d#e"},
		{"", "", "TARGET", "/"},
		{"", "", "TARGET?x=1", "/?x=1"},
		{"/api", "", "TARGET/a", "/api/a"},
		{"/api", "", "TARGET", "/api"},
		{"/api", "", "TARGET/", "/api/"},
		{"/api", "/v2", "TARGET/v2/a", "/api/a"},
		{"/api", "/v2", "TARGET/v2", "/api"},
		{"/api", "/v2", "TARGET/v2x", "TARGET/v2x"},
		{"/api", "/v2", "TARGET/login", "TARGET/login"},
		{"", "/v2", "TARGET/v2?x", "/?x"},
		{"/api", "", "/a", "/a"},
		{"/api", "", "a", "a"},
		{"", "", "TARGET//evil.example/a", "TARGET//evil.example/a"},
		{"", "/v2", "TARGET/v2//evil.example/a", "TARGET/v2//evil.example/a"},
		{"", "", "TARGET.evil.example/a", "TARGET.evil.example/a"},
		{"", "", "TARGET@evil.example/a", "TARGET@evil.example/a"},
		{"", "", "TARGET0/a", "TARGET0/a"},
		{"", "", "https://other.example/a", "https://other.example/a"},
	} {
		var location string
		up := newRecorder(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header()["Location"] = []string{location}
			w.WriteHeader(http.StatusFound)
		})
		fill := strings.NewReplacer("TARGET", up.URL).Replace
		location = fill(c.location)
		f := newFront(t, up.URL).calls(func(call *Call) { call.Taken, call.Put = c.taken, c.put })
		for _, upper := range []bool{false, true} {
			if upper {
				location = strings.Replace(location, "http://", "HTTP://", 1)
			}
			res, _ := f.ask(t, get)
			if got := res.Header.Get("Location"); !strings.EqualFold(got, fill(c.want)) {
				t.Errorf("%q for %q: %s became %s, want %s", c.taken, c.put, location, got, fill(c.want))
			}
		}
		want := c.taken
		if c.put != "" {
			want = ""
		}
		if got := up.last(t).Header.Get("X-Forwarded-Prefix"); got != want {
			t.Errorf("%q for %q: X-Forwarded-Prefix %q", c.taken, c.put, got)
		}
	}
}
