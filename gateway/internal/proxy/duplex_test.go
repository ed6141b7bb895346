package proxy

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// An upstream over TLS may answer while the body still comes, whatever the body
// looks like: the beginning of a request above all, which is no reason to read
// what is under way of the answer as the head of another one.
func TestServe_SP15_an_answer_beside_a_body_that_looks_like_a_head(t *testing.T) {
	up := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).EnableFullDuplex()
		memory := make([]byte, 1<<10)
		for {
			n, err := r.Body.Read(memory)
			if n > 0 {
				_, _ = w.Write(memory[:n])
				_ = http.NewResponseController(w).Flush()
			}
			if err != nil {
				return
			}
		}
	}))
	up.StartTLS()
	t.Cleanup(up.Close)
	transport := NewTransport(TransportOptions{TLS: &TLSFiles{CA: certificateOf(t, up), ServerName: "example.com"}})
	t.Cleanup(transport.CloseIdleConnections)
	f := tunedFront(t, Options{Transport: transport}, up.URL)
	for name, piece := range map[string]string{
		"a text":          "Hello to everybody, and to nobody else.",
		"a request line":  "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
		"a line of a log": "GET /index.html HTTP/1.1\r",
	} {
		for range 2 { // on a new connection, and on one that was used
			c, in := f.raw(t, fmt.Sprintf("POST /a HTTP/1.1\r\nHost: gw\r\nContent-Length: %d\r\n\r\n%s", 20*len(piece), piece))
			res, err := http.ReadResponse(in, nil)
			if err != nil {
				t.Fatal(err)
			}
			echo := make([]byte, len(piece))
			for i := range 20 {
				if _, err := io.ReadFull(res.Body, echo); err != nil || string(echo) != piece {
					t.Fatalf("%s: piece %d came back as %q, %v", name, i, echo, err)
				}
				if i < 19 {
					_, _ = io.WriteString(c, piece)
				}
			}
			if rest, err := io.ReadAll(res.Body); err != nil || len(rest) > 0 {
				t.Errorf("%s: then came %q, %v", name, rest, err)
			}
			_ = res.Body.Close()
		}
	}
}

// An answer to HEAD has no body to encode, whoever carries it.
func TestServe_Compress_HEAD_over_HTTP2(t *testing.T) {
	up := speaking(t, H2C, upDocument)
	f := frontTo(t, H2C, up).calls(compressed)
	for _, query := range []string{"", "?chunked"} {
		res := f.askFor(t, http.MethodHead, "/"+query, "Accept-Encoding: gzip")
		if length := res.Header["Content-Length"]; len(length) > 0 || res.Header.Get("Content-Encoding") != "gzip" {
			t.Errorf("%q: of length %q, encoded as %q", query, length, res.Header["Content-Encoding"])
		}
	}
	if res := f.askFor(t, http.MethodHead, "/"); res.Header.Get("Content-Length") != fmt.Sprint(len(document)) {
		t.Errorf("not encoded: of length %q", res.Header["Content-Length"])
	}
}

// Two lengths are as doubtful from an upstream of HTTP/2 as from any other (RFC
// 9113 section 8.1.1).
func TestServe_SP14_two_lengths_over_HTTP2(t *testing.T) {
	up := speaking(t, H2C, func(w http.ResponseWriter, r *http.Request) {
		w.Header()["content-length"] = strings.Split(r.URL.RawQuery, "|") // which net/http does not look at
		w.Header()["Content-Length"] = nil
		_, _ = io.WriteString(w, "hi")
	})
	f := frontTo(t, H2C, up)
	for query, status := range map[string]int{"2": 200, "2|2": 502, "2|3": 502, "3|2": 502, "2,2": 502, "x": 502, "-2": 502} {
		res := f.askFor(t, http.MethodGet, "/?"+query)
		if res.StatusCode != status {
			t.Errorf("%s: %d, want %d", query, res.StatusCode, status)
		}
	}
}
