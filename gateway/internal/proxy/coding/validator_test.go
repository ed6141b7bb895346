package coding

import (
	"net/http"
	"testing"
)

func TestWeaken(t *testing.T) {
	for tag, want := range map[string]string{`"v1"`: `W/"v1"`, `W/"v1"`: `W/"v1"`, "v1": "v1"} {
		h := http.Header{"Etag": {tag}}
		if Weaken(h); h.Get("Etag") != want {
			t.Errorf("%s becomes %s, want %s", tag, h.Get("Etag"), want)
		}
	}
	none := http.Header{}
	if Weaken(none); len(none) != 0 {
		t.Errorf("no tag becomes %v", none)
	}
}

func TestNotModified(t *testing.T) {
	const strong, weaker = `"v1"`, `W/"v1"`
	for _, c := range []struct {
		asked   string // If-None-Match
		encoded bool   // the client takes encoded answers
		want    string
	}{
		{weaker, true, weaker},
		{weaker, false, weaker},
		{`"v0", W/"v1"`, true, weaker},
		{strong, true, strong},
		{strong, false, strong},
		{`W/"v1", "v1"`, true, strong},
		{`*`, true, weaker},
		{`*`, false, strong},
		{``, true, weaker}, // If-Modified-Since
		{``, false, strong},
	} {
		h := http.Header{"Etag": {strong}}
		if NotModified(http.Header{"If-None-Match": {c.asked}}, h, c.encoded); h.Get("Etag") != c.want {
			t.Errorf("asked with %s, encoded %v: %s, want %s", c.asked, c.encoded, h.Get("Etag"), c.want)
		}
	}
	h := http.Header{"Etag": {weaker}}
	if NotModified(http.Header{"If-None-Match": {strong}}, h, true); h.Get("Etag") != weaker {
		t.Errorf("the upstream's own weak tag becomes %s", h.Get("Etag"))
	}
}

func TestJoins(t *testing.T) {
	const date = "Sun, 06 Nov 1994 08:49:37 GMT"
	for _, c := range []struct {
		conditions []string // If-Range
		encoded    bool     // the client takes encoded answers
		want       bool
	}{
		{nil, true, false},
		{[]string{`"v1"`}, true, false},
		{[]string{`W/"v1"`}, true, true},
		{[]string{`W/"v1"`}, false, true},
		{[]string{date}, true, true},
		{[]string{date}, false, false},
		{[]string{`"v1"`, `"v2"`}, false, true},
		{[]string{""}, true, true},
	} {
		if got := Joins(http.Header{"If-Range": c.conditions}, c.encoded); got != c.want {
			t.Errorf("%q, encoded %v: %v", c.conditions, c.encoded, got)
		}
	}
}
