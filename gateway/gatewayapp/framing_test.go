package gatewayapp

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"gatehouse.internal/shared/fault"
)

const smuggled = "GET /api/public/smuggled HTTP/1.1\r\nHost: gw\r\n\r\n"

// framings are requests whose end, or whose fields, two servers could read
// differently. Where it is in the body, the head has passed: the request may
// have reached the upstream, which sees that it is cut off.
var framings = []struct {
	name, start, head, body string
	status                  int
	inBody                  bool
}{
	{name: "S-P1 both framings", head: "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", body: "0\r\n\r\n"},
	{name: "S-P1 both framings, the other way round", head: "Transfer-Encoding: chunked\r\nContent-Length: 60\r\n", body: "0\r\n\r\n"},
	{name: "S-P1 both framings and no body", head: "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n", body: "0\r\n\r\n"},
	{name: "S-P1 a length in another spelling", head: "Content_Length: 5\r\n", body: "hello"},
	{name: "S-P1 a coding in another spelling", head: "Transfer_Encoding: chunked\r\n", body: "0\r\n\r\n"},
	{name: "S-P2 two lengths", head: "Content-Length: 5\r\nContent-Length: 6\r\n", body: "hello"},
	{name: "S-P2 the same length twice", head: "Content-Length: 5\r\nContent-Length: 5\r\n", body: "hello"},
	{name: "S-P2 a list of lengths", head: "Content-Length: 5, 6\r\n", body: "hello"},
	{name: "S-P2 a list of the same lengths", head: "Content-Length: 5, 5\r\n", body: "hello"},
	{name: "S-P2 a length with a sign", head: "Content-Length: +5\r\n", body: "hello"},
	{name: "S-P2 a negative length", head: "Content-Length: -5\r\n"},
	{name: "S-P2 a hexadecimal length", head: "Content-Length: 0x5\r\n", body: "hello"},
	{name: "S-P2 an empty length", head: "Content-Length: \r\n"},
	{name: "S-P2 an overflowing length", head: "Content-Length: 18446744073709551621\r\n", body: "hello"},
	{name: "S-P2 a coding that is not chunked", head: "Transfer-Encoding: identity\r\n"},
	{name: "S-P2 chunked is not the last", head: "Transfer-Encoding: chunked, gzip\r\n", body: "0\r\n\r\n"},
	{name: "S-P2 another coding below chunked", head: "Transfer-Encoding: gzip, chunked\r\n", body: "0\r\n\r\n", status: 501},
	{name: "S-P2 chunked twice", head: "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", body: "0\r\n\r\n"},
	{name: "S-P2 chunked and identity", head: "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n", body: "0\r\n\r\n"},
	{name: "S-P2 a hidden coding", head: "Transfer-Encoding: \x0bchunked\r\n", body: "0\r\n\r\n"},
	{name: "S-P2 a quoted coding", head: "Transfer-Encoding: \"chunked\"\r\n", body: "0\r\n\r\n"},
	{name: "S-P2 a coding with a parameter", head: "Transfer-Encoding: chunked;x=y\r\n", body: "0\r\n\r\n"},
	{name: "S-P2 an empty coding", head: "Transfer-Encoding: \r\n"},
	{name: "S-P2 a coding on a folded line", head: "Transfer-Encoding:\r\n chunked\r\n", body: "0\r\n\r\n"},
	{name: "S-P2 a coding in HTTP/1.0", start: "POST /api/public/x HTTP/1.0\r\nConnection: keep-alive\r\n", head: "Transfer-Encoding: chunked\r\n", body: "0\r\n\r\n"},
	{name: "S-P3 a chunk size with a sign", head: "Transfer-Encoding: chunked\r\n", body: "+0\r\n\r\n", inBody: true},
	{name: "S-P3 a chunk size with a prefix", head: "Transfer-Encoding: chunked\r\n", body: "0x0\r\n\r\n", inBody: true},
	{name: "S-P3 a chunk size with an underscore", head: "Transfer-Encoding: chunked\r\n", body: "0_0\r\n\r\n", inBody: true},
	{name: "S-P3 a chunk size with a space", head: "Transfer-Encoding: chunked\r\n", body: "0 \r\n\r\n", inBody: true},
	{name: "S-P3 a chunk size that overflows", head: "Transfer-Encoding: chunked\r\n", body: "10000000000000000\r\n", inBody: true},
	{name: "S-P3 a chunk line that ends in LF", head: "Transfer-Encoding: chunked\r\n", body: "0\n\r\n", inBody: true},
	{name: "S-P3 a chunk line with a bare CR", head: "Transfer-Encoding: chunked\r\n", body: "0;\r\r\n\r\n", inBody: true},
	{name: "S-P3 a chunk without its end", head: "Transfer-Encoding: chunked\r\n", body: "5\r\nhello0\r\n\r\n", inBody: true},
	{name: "S-P3 an endless extension", head: "Transfer-Encoding: chunked\r\n", body: "0;" + strings.Repeat("x", 9000) + "\r\n\r\n", inBody: true},
	{name: "S-P3 endless trailers", head: "Transfer-Encoding: chunked\r\n", body: "0\r\n" + strings.Repeat("X: y\r\n", 2000) + "\r\n", inBody: true},
	{name: "S-P4 a space before the colon", head: "Content-Length : 5\r\n", body: "hello"},
	{name: "S-P4 a tab before the colon", head: "Content-Length\t: 5\r\n", body: "hello"},
	{name: "S-P4 a space before the name", head: "X: y\r\n Content-Length: 5\r\n", body: "hello"},
	{name: "S-P4 a field without a name", head: ": y\r\n"},
	{name: "S-P4 a field without a colon", head: "X\r\n"},
	{name: "S-P4 a folded field", head: "X: a\r\n  X-User-Id: evil\r\n"},
	{name: "S-P4 a NUL in a value", head: "X: a\x00b\r\n"},
	{name: "S-P4 a NUL in a name", head: "X\x00: b\r\n"},
	{name: "S-P4 a bare CR in a value", head: "X: a\rTransfer-Encoding: chunked\r\n"},
	{name: "S-P4 a bare LF", head: "X: a\nTransfer-Encoding: chunked\r\n"},
	{name: "S-P4 a bare LF at the end of the head", head: "X: a\r\n\n"},
	{name: "S-P4 an escape character", head: "X: \x1b[31m\r\n"},
	{name: "S-P4 a DEL", head: "X: \x7f\r\n"},
	{name: "S-P4 two hosts", head: "Host: evil.example\r\n"},
	{name: "S-P4 the same host twice", head: "host: gw\r\n"},
	{name: "S-P4 no host", start: "POST /api/public/x HTTP/1.1\r\n"},
	{name: "S-P4 a host with a user", start: "POST /api/public/x HTTP/1.1\r\nHost: a@gw\r\n"},
	{name: "S-P4 a host with a path", start: "POST /api/public/x HTTP/1.1\r\nHost: gw/x\r\n"},
	{name: "a bare LF behind the request line", start: "POST /api/public/x HTTP/1.1\nHost: gw\r\n"},
	{name: "a bare CR in the target", start: "POST /api/public/\rx HTTP/1.1\r\nHost: gw\r\n"},
	{name: "two spaces in the request line", start: "POST  /api/public/x HTTP/1.1\r\nHost: gw\r\n"},
	{name: "a tab in the request line", start: "POST /api/public/x\tHTTP/1.1\r\nHost: gw\r\n"},
	{name: "no version", start: "POST /api/public/x\r\nHost: gw\r\n"},
	{name: "another version", start: "POST /api/public/x HTTP/1.2\r\nHost: gw\r\n", status: 505},
	{name: "HTTP/2 in the clothes of HTTP/1.1", start: "POST /api/public/x HTTP/2.0\r\nHost: gw\r\n", status: 505},
	{name: "a method that is no token", start: "PO{ST /api/public/x HTTP/1.1\r\nHost: gw\r\n"},
	{name: "an overlong method", start: strings.Repeat("P", 100) + " /api/public/x HTTP/1.1\r\nHost: gw\r\n"},
	{name: "S-P16 too many fields", head: strings.Repeat("X: y\r\n", 300), status: 431},
	{name: "S-P16 a head that is too large", head: "X: " + strings.Repeat("y", 40<<10) + "\r\n", status: 431},
}

// TestPipeline_FramingAttacks sends every ambiguous framing through the real
// listener, in clear and over TLS, alone and behind a good request, at once and
// in pieces: it is refused in its turn, the connection ends, and what would
// follow it is never taken for a request.
func TestPipeline_FramingAttacks(t *testing.T) {
	for name, secure := range map[string]bool{"in clear": false, "TLS": true} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, func(c *Config) {
				if secure {
					c.TLSCert, c.TLSKey = certificateFiles(t)
				}
			})
			for i, c := range framings {
				t.Run(c.name, func(t *testing.T) {
					request := c.start
					if request == "" {
						request = "POST /api/public/x HTTP/1.1\r\nHost: gw\r\n"
					}
					// A path of its own, as what was refused in its body may come late.
					request = strings.Replace(request, "/api/public/", fmt.Sprintf("/api/public/attack-%d-", i), 1) + c.head + "\r\n" + c.body + smuggled
					path := fmt.Sprintf("attack-%d-", i)
					if c.inBody {
						path = "smuggled"
					}
					w.attack(t, request, c.status, path, 1)
					w.attack(t, "GET /api/public/before HTTP/1.1\r\nHost: gw\r\n\r\n"+request, c.status, path, 2)
				})
			}
		})
	}
}

// attack sends a request, the last of some, that must be refused. Nothing of
// the given path may reach the upstream.
func (w *world) attack(t *testing.T, text string, status int, path string, answers int) {
	t.Helper()
	conn := w.dial(t)
	half := len(text) / 2 // in two pieces, wherever that is
	for _, piece := range []string{text[:half], text[half:]} {
		if _, err := io.WriteString(conn, piece); err != nil {
			break // refused already
		}
	}
	in := bufio.NewReader(conn)
	if answers == 2 {
		if res, body := readAnswer(t, in); res.StatusCode != http.StatusOK || body != "ok" {
			t.Errorf("the request before it got %d %q", res.StatusCode, body)
		}
	}
	res, body := readAnswer(t, in)
	if status == 0 {
		status = http.StatusBadRequest
	}
	wantProblem(t, res, body, status, map[int]fault.Kind{
		400: fault.Malformed, 431: fault.HeadersTooLarge, 501: fault.UnsupportedTransferCoding, 505: fault.UnsupportedVersion,
	}[status])
	if rest, err := io.ReadAll(in); len(rest) > 0 || isTimeout(err) {
		t.Errorf("the connection went on with %q, %v", rest, err)
	}
	for _, r := range w.requests() {
		if strings.Contains(r.RequestURI, "smuggled") || strings.Contains(r.RequestURI, path) {
			t.Errorf("%s reached the upstream", r.RequestURI)
		}
	}
}

func isTimeout(err error) bool {
	timeout, is := errors.AsType[net.Error](err)
	return is && timeout.Timeout()
}

// dial opens a connection as the gateway's clients do, with TLS if it has any.
func (w *world) dial(t *testing.T, protocols ...string) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", w.app.Addr())
	if err != nil {
		t.Fatal(err)
	}
	if w.cfg.TLSCert != "" {
		secure := tls.Client(conn, &tls.Config{InsecureSkipVerify: true, NextProtos: protocols}) // the test's own gateway
		if err := secure.HandshakeContext(t.Context()); err != nil {
			t.Fatal(err)
		}
		conn = secure
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(30 * time.Second))
	return conn
}

func TestPipeline_SP4HostsThatAreNone(t *testing.T) {
	w := newWorld(t, nil)
	for _, host := range []string{"gw,evil.example", "gw;x", "gw%2fx", "gw$", "a=b", "(gw)", "gw!", "*", "gw'", strings.Repeat("a", 300), "g\xfcw",
		"]", "[", "[::1", "::1", "[gw]", "[::1]x", "[::1]:x", "[1.2.3.4]", "[fe80::1", "gw:x", "gw:1:2", "gw:123456", ":80", "gw:-1", "[::1]]", "gw]"} {
		res, body := w.ask("GET /api/public/x HTTP/1.1\r\nHost: " + host + "\r\nConnection: close\r\n\r\n")
		wantProblem(t, res, body, 400, fault.Malformed)
	}
	if got := len(w.requests()); got != 0 {
		t.Errorf("%d requests reached the upstream", got)
	}
}

// What is well framed passes, also where a careless reader could stumble.
func TestPipeline_FramingsThatPass(t *testing.T) {
	w := newWorld(t, nil)
	for name, request := range map[string]string{
		"a chunked body":           "POST /api/public/x HTTP/1.1\r\nHost: gw\r\nTransfer-Encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n0\r\nX-User-Id: evil\r\n\r\n",
		"a body that is a head":    "POST /api/public/x HTTP/1.1\r\nHost: gw\r\nContent-Length: 46\r\n\r\n" + smuggled[:46],
		"the same, by net/http":    "POST /api/public/x HTTP/1.1\r\nHost: gw\r\n" + byNetHTTP + "Content-Length: 46\r\n\r\n" + smuggled[:46],
		"HTTP/1.0, kept alive":     "POST /api/public/x HTTP/1.0\r\nHost: gw\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\nhello",
		"a field beyond ASCII":     "GET /api/public/x HTTP/1.1\r\nHost: gw\r\nX: \xc3\xbc\xff\r\n\r\n",
		"a length with a tab":      "POST /api/public/x HTTP/1.1\r\nHost: gw\r\nContent-Length:\t5 \r\n\r\nhello",
		"an absolute target":       "GET http://gw/api/public/x HTTP/1.1\r\nHost: gw\r\n\r\n",
		"an absolute one, in caps": "GET HTTP://GW:8080/api/public/x HTTP/1.1\r\nX: y\r\nHost: gw:8080\r\n\r\n",
		"an IPv6 address":          "GET /api/public/x HTTP/1.1\r\nHost: [2001:db8::1]:8080\r\n\r\n",
		"an IPv6 address alone":    "GET /api/public/x HTTP/1.1\r\nHost: [::ffff:192.0.2.1]\r\n\r\n",
		"a port that is empty":     "GET /api/public/x HTTP/1.1\r\nHost: gw:\r\n\r\n",
		"a port":                   "GET /api/public/x HTTP/1.1\r\nHost: gw_1.example.:65535\r\n\r\n",
		"a question and no body":   "GET /api/public/x HTTP/1.1\r\nHost: gw\r\nContent-Length: 0\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			conn := w.dial(t)
			in := bufio.NewReader(conn)
			for range 3 {
				before := len(w.requests())
				if _, err := io.WriteString(conn, request); err != nil {
					t.Fatal(err)
				}
				if res, body := readAnswer(t, in); res.StatusCode != http.StatusOK {
					t.Fatalf("got %d %s", res.StatusCode, body)
				}
				if all := w.requests(); len(all) != before+1 || all[before].Header.Get("X-User-Id") != "" {
					t.Errorf("the upstream saw %d requests", len(all)-before)
				}
			}
		})
	}
}
