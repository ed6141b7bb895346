package direct

import (
	"bufio"
	"bytes"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gatehouse.internal/shared/httpx/framing"
)

const (
	get  = "GET / HTTP/1.1\r\nHost: x\r\n"
	post = "POST / HTTP/1.1\r\nHost: x\r\n"
)

var taken = map[string]string{
	"a plain request":          get + "\r\n",
	"with a query":             "GET /a/b.c?d=e%2f&f HTTP/1.1\r\nHost: x.example:80\r\n\r\n",
	"with an escaped path":     "GET /a%20b/%c3%a9?x HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n",
	"with an empty query":      "GET /a? HTTP/1.1\r\nHost: x\r\n\r\n",
	"with many slashes":        "GET //a//b HTTP/1.1\r\nHost: x\r\n\r\n",
	"with fields":              get + "accept: */*\r\nX-Test:\ta b \r\nX-test: c\r\nCookie: a=b\r\ncookie: c=d\r\n\r\n",
	"with a body of no length": "POST /x HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
	"with a body":              "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello",
	"with a body to come":      "PUT / HTTP/1.1\r\nHost: x\r\ncontent-length:\t123456789012345678 \r\n\r\n",
	"of GET with a body":       get + "Content-Length: 10\r\n\r\n",
	"that closes":              get + "Connection: close\r\n\r\n",
	"that stays":               get + "Connection: Keep-Alive\r\n\r\n",
	"of an old cache":          get + "Pragma: no-cache\r\n\r\n",
	"with another behind it":   get + "\r\n" + "GET /second HTTP/1.1\r\nHost: y\r\n\r\n",
	"with octets beyond ASCII": get + "X-Name: \xc3\xa9\xff\r\n\r\n",
}

var passedOn = map[string]string{
	"HTTP/1.0":                "GET / HTTP/1.0\r\nHost: x\r\n\r\n",
	"HTTP/2":                  "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
	"a chunked body":          "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
	"an upgrade":              get + "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
	"an upgrade, unlisted":    get + "Upgrade: websocket\r\n\r\n",
	"an expectation":          "POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n\r\n",
	"a list in Connection":    get + "Connection: close, X-Test\r\n\r\n",
	"two lines Connection":    get + "Connection: keep-alive\r\nConnection: close\r\n\r\n",
	"two lengths":             post + "Content-Length: 0\r\nContent-Length: 0\r\n\r\n",
	"a length, and another":   post + "Content-Length: 5\r\ncontent-length: 5\r\n\r\nhello",
	"a length, and none":      post + "Content-Length: 5\r\nContent-Length: \r\n\r\nhello",
	"both framings":           post + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
	"both, otherwise":         post + "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
	"a sign":                  post + "Content-Length: +5\r\n\r\nhello",
	"a negative length":       post + "Content-Length: -5\r\n\r\nhello",
	"a list of lengths":       post + "Content-Length: 5, 5\r\n\r\nhello",
	"a space in a length":     post + "Content-Length: 5 5\r\n\r\nhello",
	"an empty length":         post + "Content-Length: \r\n\r\n",
	"a length in hex":         post + "Content-Length: 0x5\r\n\r\nhello",
	"zeros":                   post + "Content-Length: 00\r\n\r\n",
	"a zero before a length":  post + "Content-Length: 05\r\n\r\nhello",
	"a length of 19 digits":   post + "Content-Length: 1000000000000000000\r\n\r\n",
	"digits beyond ASCII":     post + "Content-Length: \xd9\xa5\r\n\r\nhello",
	"a length before a space": post + "Content-Length : 5\r\n\r\nhello",
	"CONNECT":                 "CONNECT x:443 HTTP/1.1\r\nHost: x:443\r\n\r\n",
	"an absolute target":      "GET http://x/ HTTP/1.1\r\nHost: x\r\n\r\n",
	"an asterisk":             "OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n",
	"no host":                 "GET / HTTP/1.1\r\nAccept: */*\r\n\r\n",
	"no fields":               "GET / HTTP/1.1\r\n\r\n",
	"two hosts":               get + "Host: x\r\n\r\n",
	"a strange host":          "GET / HTTP/1.1\r\nHost: x y\r\n\r\n",
	"an empty host":           "GET / HTTP/1.1\r\nHost: \r\n\r\n",
	"a bare LF":               "GET / HTTP/1.1\nHost: x\r\n\r\n",
	"a bare LF in a field":    get + "X-Test: a\nTransfer-Encoding: chunked\r\n\r\n",
	"a bare CR":               get + "X-Test: a\rb\r\n\r\n",
	"a folded field":          get + "X-Test: a\r\n b\r\n\r\n",
	"a space before a colon":  get + "X-Test : a\r\n\r\n",
	"NUL":                     get + "X-Test: a\x00b\r\n\r\n",
	"an underscore":           get + "Content_Length: 5\r\n\r\n",
	"a field without a name":  get + ": a\r\n\r\n",
	"a malformed escape":      "GET /%zz HTTP/1.1\r\nHost: x\r\n\r\n",
	"a control character":     "GET /\x01 HTTP/1.1\r\nHost: x\r\n\r\n",
	"octets in the target":    "GET /\xc3\xa9 HTTP/1.1\r\nHost: x\r\n\r\n",
	"two spaces":              "GET  / HTTP/1.1\r\nHost: x\r\n\r\n",
	"a space at the end":      "GET / HTTP/1.1 \r\nHost: x\r\n\r\n",
	"an empty line first":     "\r\n" + get + "\r\n",
	"many fields":             get + strings.Repeat("A: b\r\n", maxFields) + "\r\n",
}

func TestParse_takes_what_is_plain(t *testing.T) {
	for name, text := range taken {
		if _, n, ok := parse([]byte(text)); !ok || n == 0 {
			t.Errorf("%s: not taken (%d %v)", name, n, ok)
		}
		likeOthers(t, []byte(text))
	}
}

func TestParse_passes_on_everything_else(t *testing.T) {
	for name, text := range passedOn {
		if _, n, ok := parse([]byte(text)); ok {
			t.Errorf("%s: taken, %d bytes", name, n)
		}
	}
}

func TestParse_needs_the_whole_head(t *testing.T) {
	for n := range len(get) + 1 {
		if _, took, ok := parse([]byte(get)[:n]); !ok || took != 0 {
			t.Errorf("%d bytes: %d %v", n, took, ok)
		}
	}
}

// likeOthers holds parse to what package framing and net/http find in the same
// bytes.
func likeOthers(t *testing.T, p []byte) {
	t.Helper()
	q, n, ok := parse(p)
	if !ok || n == 0 {
		return
	}
	scanner := framing.New(framing.DefaultMaxHead, false)
	if passed, refusal := scanner.Scan(p[:n]); refusal != nil || passed != n {
		t.Fatalf("%q: taken, but the scanner passes %d of %d bytes: %v", p[:n], passed, n, refusal)
	}
	bodyLikeOthers(t, p[:n], &scanner, q.length)
	src := bytes.NewReader(p[:n])
	in := bufio.NewReader(src)
	r, err := http.ReadRequest(in)
	if err != nil {
		t.Fatalf("%q: taken, but net/http says %v", p[:n], err)
	}
	if left := src.Len() + in.Buffered(); left != 0 || r.ContentLength != q.length || (r.Body == http.NoBody) != (q.length == 0) || len(r.TransferEncoding) > 0 || len(r.Trailer) > 0 {
		t.Fatalf("%q: taken, with a body of %d, but net/http leaves %d bytes, and finds a body of %d", p[:n], q.length, left, r.ContentLength)
	}
	type reading struct {
		Method, Target, Host string
		URL                  url.URL
		Close                bool
		Header               http.Header
	}
	ours := reading{q.method, q.target, q.host, *q.url, q.close, q.header}
	theirs := reading{r.Method, r.RequestURI, r.Host, *r.URL, r.Close, r.Header}
	if diff := cmp.Diff(theirs, ours); diff != "" {
		t.Fatalf("%q: net/http reads it otherwise (-net/http +direct):\n%s", p[:n], diff)
	}
}

// bodyLikeOthers holds the length of a body to where the scanner expects the
// next request.
func bodyLikeOthers(t *testing.T, head []byte, scanner *framing.Scanner, length int64) {
	t.Helper()
	junk := bytes.Repeat([]byte(" \r\n"), 1<<10) // is no request anywhere
	for left := length; left > 0; {
		n := min(left, int64(len(junk)))
		if passed, refusal := scanner.Scan(junk[:n]); refusal != nil || int64(passed) != n {
			t.Fatalf("%q: taken, with a body of %d, but the scanner ends it %d before: %v", head, length, left, refusal)
		}
		if left -= n; length > 1<<20 { // which is long enough to see that it is one
			return
		}
	}
	if _, refusal := scanner.Scan(junk); refusal == nil {
		t.Fatalf("%q: taken, with a body of %d, but the scanner does not expect a request behind it", head, length)
	}
}

func FuzzParse(f *testing.F) {
	for _, text := range taken {
		f.Add([]byte(text))
	}
	for _, text := range passedOn {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, p []byte) { likeOthers(t, p) })
}
