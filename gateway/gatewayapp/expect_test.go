package gatewayapp

import (
	"bufio"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// S-P15: a client that asks before it sends its body is told to, once somebody
// wants the body, and the connection goes on as ever.
func TestPipeline_SP15ExpectThroughTheListener(t *testing.T) {
	for name, secure := range map[string]bool{"in clear": false, "TLS": true} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, func(c *Config) {
				if secure {
					c.TLSCert, c.TLSKey = certificateFiles(t)
				}
			})
			conn := w.dial(t)
			in := bufio.NewReader(conn)
			for _, c := range []struct{ framing, body string }{
				{"Content-Length: 5\r\n", "hello"}, {"Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n0\r\n\r\n"},
			} {
				before := len(w.requests())
				if _, err := io.WriteString(conn, "POST /api/public/x HTTP/1.1\r\nHost: gw\r\nExpect: 100-continue\r\n"+c.framing+"\r\n"); err != nil {
					t.Fatal(err)
				}
				if line, err := in.ReadString('\n'); err != nil || !strings.HasPrefix(line, "HTTP/1.1 100 ") {
					t.Fatalf("%s: first came %q, %v", c.framing, line, err)
				}
				if line, err := in.ReadString('\n'); err != nil || line != "\r\n" {
					t.Fatalf("%s: then %q, %v", c.framing, line, err)
				}
				if _, err := io.WriteString(conn, c.body); err != nil {
					t.Fatal(err)
				}
				res, body := readAnswer(t, in)
				for res.StatusCode == http.StatusContinue { // the upstream's own, which may come as well
					res, body = readAnswer(t, in)
				}
				if res.StatusCode != http.StatusOK || len(w.requests()) != before+1 {
					t.Errorf("%s: got %d %s, and %d requests reached the upstream", c.framing, res.StatusCode, body, len(w.requests())-before)
				}
			}
		})
	}
}

// byNetHTTP is a field with which a request is none of the plain ones: net/http
// serves it, as all whose bodies come in chunks or on TLS.
const byNetHTTP = "X_Way: other\r\n"

// S-P15: an expectation in HTTP/1.0 is ignored (RFC 9110 section 10.1.1): the
// upstream is not told of it, and the body does not wait for its consent.
func TestPipeline_SP15ExpectInHTTP10IsIgnored(t *testing.T) {
	w := newWorld(t, nil)
	for range 2 { // on a new connection to the upstream, and on one that was used
		res, body := w.ask("POST /api/public/x HTTP/1.0\r\nHost: gw\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello")
		if res.StatusCode != http.StatusOK {
			t.Fatalf("got %d %s", res.StatusCode, body)
		}
		if expect, told := w.last().Header["Expect"]; told {
			t.Errorf("the upstream was told %q", expect)
		}
	}
}

// S-P15: what a client has sent of a body that was refused early is never taken
// for a request, however it was framed.
func TestPipeline_SP15EarlyAnswers(t *testing.T) {
	w := newWorld(t, nil)
	w.answersRaw(func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/api/public/smuggled" {
			t.Error("the smuggled request reached the upstream")
		}
		_ = http.NewResponseController(rw).EnableFullDuplex()
		rw.Header().Set("Connection", "close") // net/http would trip over the unread body
		rw.WriteHeader(http.StatusConflict)    // before the body was read
		_, _ = io.WriteString(rw, "early")
	})
	rest := strings.Repeat(smuggled, 2000)
	for name, framing := range map[string]string{
		"a length":                  "Content-Length: 200000\r\n\r\n" + rest,
		"a length, by net/http":     byNetHTTP + "Content-Length: 200000\r\n\r\n" + rest,
		"a larger one":              "Content-Length: 900000\r\n\r\n" + rest,
		"a larger one, by net/http": byNetHTTP + "Content-Length: 900000\r\n\r\n" + rest,
		"chunks":                    "Transfer-Encoding: chunked\r\n\r\nfffff\r\n" + rest,
		"a small body":              "Content-Length: 100\r\n\r\n" + rest[:100],
		"a small body, by net/http": byNetHTTP + "Content-Length: 100\r\n\r\n" + rest[:100],
	} {
		t.Run(name, func(t *testing.T) {
			conn := w.dial(t)
			sent := make(chan struct{})
			go func() {
				defer close(sent)
				_, _ = io.WriteString(conn, "POST /api/public/x HTTP/1.1\r\nHost: gw\r\n"+framing)
			}()
			res, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = res.Body.Close() }()
			if body, _ := io.ReadAll(res.Body); res.StatusCode != http.StatusConflict || string(body) != "early" {
				t.Errorf("got %d %q", res.StatusCode, body)
			}
			_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
			<-sent
		})
	}
}
