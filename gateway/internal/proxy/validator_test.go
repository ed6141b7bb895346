package proxy

import (
	"bytes"
	"io"
	"net/http"
	"testing"
	"time"
)

// documentTime is when the document was changed last, long enough ago for it to
// be a strong validator (RFC 9110 section 8.8.2.2).
var documentTime = time.Date(2020, 1, 2, 3, 4, 5, 0, time.UTC)

// upFiles serves the document as net/http does files, conditions and ranges
// included, and takes changes to it.
func upFiles(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", "application/json")
	if !r.URL.Query().Has("untagged") {
		h.Set("ETag", `"v1"`)
	}
	if r.Method != http.MethodPut {
		http.ServeContent(w, r, "", documentTime, bytes.NewReader([]byte(document)))
		return
	}
	if r.Header.Get("If-Match") != `"v1"` {
		w.WriteHeader(http.StatusPreconditionFailed)
		return
	}
	h.Set("ETag", `"v2"`)
	_, _ = io.WriteString(w, document)
}

// TestServe_CompressAndConditions asks for a document that may come encoded
// under the conditions of RFC 9110 section 13, and for parts of it.
func TestServe_CompressAndConditions(t *testing.T) {
	f := newFront(t, newRecorder(t, upFiles).URL).calls(compressed)
	const gzipped, ranged = "Accept-Encoding: gzip", "Range: bytes=100-199"
	date := documentTime.Format(http.TimeFormat)
	for _, c := range []struct {
		name, method, path string
		fields             []string
		status             int
		coding, tag        string
		body               string
	}{
		{"fetch", "GET", "/a", []string{gzipped}, 200, "gzip", `W/"v1"`, document},
		{"look whether what was encoded has changed", "GET", "/a", []string{gzipped, `If-None-Match: W/"v1"`}, 304, "", `W/"v1"`, ""},
		{"look whether what was not encoded has changed", "GET", "/a", []string{gzipped, `If-None-Match: "v1"`}, 304, "", `"v1"`, ""},
		{"look whether it is newer", "GET", "/a", []string{gzipped, "If-Modified-Since: " + date}, 304, "", `W/"v1"`, ""},
		{"look whether it is newer, and take nothing encoded", "GET", "/a", []string{"If-Modified-Since: " + date}, 304, "", `"v1"`, ""},

		{"change what came encoded", "PUT", "/a", []string{`If-Match: W/"v1"`, "Content-Length: 0"}, 412, "", `"v1"`, ""},
		{"change what came as it is", "PUT", "/a", []string{`If-Match: "v1"`, "Content-Length: 0"}, 200, "", `"v2"`, document},
		{"change, and take the answer encoded", "PUT", "/a", []string{gzipped, `If-Match: "v1"`, "Content-Length: 0"}, 200, "gzip", `"v2"`, document},

		{"a part", "GET", "/a", []string{gzipped, ranged}, 206, "", `"v1"`, document[100:200]},
		{"the rest of what came as it is", "GET", "/a", []string{gzipped, ranged, `If-Range: "v1"`}, 206, "", `"v1"`, document[100:200]},
		{"the rest of what has changed", "GET", "/a", []string{gzipped, ranged, `If-Range: "v0"`}, 200, "", `"v1"`, document},
		{"the rest of what came encoded", "GET", "/a", []string{gzipped, ranged, `If-Range: W/"v1"`}, 200, "gzip", `W/"v1"`, document},
		{"the rest of what may have come encoded", "GET", "/a?untagged", []string{gzipped, ranged, "If-Range: " + date}, 200, "gzip", "", document},
		{"the rest of what cannot have come encoded", "GET", "/a?untagged", []string{ranged, "If-Range: " + date}, 206, "", "", document[100:200]},
		{"the end of a part that is none", "GET", "/a", []string{gzipped, "Range: bytes=900000-"}, 416, "", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			res := f.askFor(t, c.method, c.path, append(c.fields, "Connection: close")...)
			if h := res.Header; res.StatusCode != c.status || h.Get("Content-Encoding") != c.coding || h.Get("ETag") != c.tag {
				t.Errorf("got %d %v, want %d, %q and %s", res.StatusCode, h, c.status, c.coding, c.tag)
			}
			var body string
			if c.coding == "gzip" {
				body = unzip(t, res.Body)
			} else {
				text, _ := io.ReadAll(res.Body)
				body = string(text)
			}
			if body != c.body && c.status < 300 {
				t.Errorf("got %d bytes, want %d", len(body), len(c.body))
			}
		})
	}
	// A route that encodes nothing leaves conditions to the upstream.
	f.calls(nil)
	if res := f.askFor(t, "GET", "/a?untagged", gzipped, ranged, "If-Range: "+date, "Connection: close"); res.StatusCode != http.StatusPartialContent {
		t.Errorf("got %d", res.StatusCode)
	}
}
