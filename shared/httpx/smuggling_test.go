package httpx_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// otherWay is a request that only net/http serves, and so is all that follows
// it on a connection.
const otherWay = "GET /first HTTP/1.1\r\nHost: x\r\nX_Other: way\r\n\r\n"

const (
	posts  = "POST /read HTTP/1.1\r\nHost: x\r\n"
	behind = "GET /next HTTP/1.1\r\nHost: x\r\n\r\n"
	evil   = "GET /evil HTTP/1.1\r\nHost: x\r\n\r\n"
)

// conversations are all that a client says on a connection, which it then ends.
// The requests that are seen, and the answers, must be the same whoever serves
// them; where evil is behind a length that all understand, it is a body.
var conversations = map[string]string{
	"a body":                       posts + "Content-Length: 5\r\n\r\nhello" + behind,
	"a body that is a request":     posts + fmt.Sprintf("Content-Length: %d\r\n\r\n", len(evil)) + evil + behind,
	"with spaces around it":        posts + "Content-Length: \t 5  \r\n\r\nhello" + behind,
	"two of them, and one without": posts + "Content-Length: 5\r\n\r\nhello" + posts + "Content-Length: 3\r\n\r\nabc" + behind + behind,
	"a large one":                  posts + "Content-Length: 100000\r\n\r\n" + strings.Repeat("GET /evil HTTP/1.1\r\n", 5000) + behind,
	"a GET with a body":            "GET /read HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello" + behind,
	"that closes":                  posts + "Connection: close\r\nContent-Length: 5\r\n\r\nhello" + evil,
	"unread":                       "POST /unread HTTP/1.1\r\nHost: x\r\nContent-Length: 31\r\n\r\n" + evil + behind,
	"half read":                    "POST /half HTTP/1.1\r\nHost: x\r\nContent-Length: 31\r\n\r\n" + evil + behind,
	"unread and large":             "POST /unread HTTP/1.1\r\nHost: x\r\nContent-Length: 300000\r\n\r\n" + strings.Repeat(evil, 20) + behind,
	"closed":                       "POST /closed HTTP/1.1\r\nHost: x\r\nContent-Length: 31\r\n\r\n" + evil + behind,
	"shorter than announced":       posts + "Content-Length: 500\r\n\r\n" + evil,
	"unread, shorter":              "POST /unread HTTP/1.1\r\nHost: x\r\nContent-Length: 500\r\n\r\n" + evil,
	"nothing of it":                posts + "Content-Length: 5\r\n\r\n",
	"longer than announced":        posts + "Content-Length: 3\r\n\r\nhello" + behind,
	"longer by an end of line":     posts + "Content-Length: 5\r\n\r\nhello\r\n" + behind,
	"CL.TE":                        posts + "Content-Length: 36\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + evil,
	"TE.CL":                        posts + "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n" + evil,
	"CL.0":                         posts + "Content-Length: 31\r\nContent-Length: 0\r\n\r\n" + evil,
	"0.CL":                         posts + "Content-Length: 0\r\nContent-Length: 31\r\n\r\n" + evil,
	"the same length twice":        posts + "Content-Length: 5\r\ncontent-length: 5\r\n\r\nhello" + behind,
	"a list":                       posts + "Content-Length: 5, 5\r\n\r\nhello" + behind,
	"a list of two":                posts + "Content-Length: 5,0\r\n\r\nhello" + behind,
	"a sign":                       posts + "Content-Length: +5\r\n\r\nhello" + behind,
	"a negative length":            posts + "Content-Length: -5\r\n\r\nhello" + behind,
	"zeros before it":              posts + "Content-Length: 005\r\n\r\nhello" + behind,
	"zeros":                        posts + "Content-Length: 00\r\n\r\n" + behind,
	"hexadecimal":                  posts + "Content-Length: 0x5\r\n\r\nhello" + behind,
	"with a space in it":           posts + "Content-Length: 3 3\r\n\r\n" + evil + behind,
	"empty":                        posts + "Content-Length: \r\n\r\n" + behind,
	"beyond 63 bits":               posts + "Content-Length: 18446744073709551621\r\n\r\nhello" + behind,
	"beyond 18 digits":             posts + "Content-Length: 1000000000000000005\r\n\r\nhello" + behind,
	"of other digits":              posts + "Content-Length: \xd9\xa5\r\n\r\nhello" + behind,
	"a space before the colon":     posts + "Content-Length : 5\r\n\r\nhello" + behind,
	"an underscore":                posts + "Content_Length: 31\r\n\r\n" + evil,
	"folded":                       posts + "Content-Length:\r\n 31\r\n\r\n" + evil,
	"a bare LF behind it":          posts + "Content-Length: 31\nX: y\r\n\r\n" + evil,
	"a hidden coding":              posts + "Content-Length: 31\r\nTransfer-Encoding: \x0bchunked\r\n\r\n" + evil,
	"HTTP/1.0":                     "POST /read HTTP/1.0\r\nHost: x\r\nConnection: keep-alive\r\nContent-Length: 5\r\n\r\nhello" + behind,
	"chunked":                      posts + "Transfer-Encoding: chunked\r\n\r\n1f\r\n" + evil + "\r\n0\r\n\r\n" + behind,
	"a body, then chunks":          posts + "Content-Length: 5\r\n\r\nhello" + posts + "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n" + behind,
	"an expectation":               posts + "Expect: 100-continue\r\nContent-Length: 5\r\n\r\nhello" + behind,
	"another expectation":          posts + "Expect: more\r\nContent-Length: 5\r\n\r\nhello" + behind,
	"a trailer announced":          posts + "Trailer: X\r\nContent-Length: 5\r\n\r\nhello" + behind,
	"an upgrade":                   posts + "Connection: upgrade\r\nUpgrade: h2c\r\nContent-Length: 5\r\n\r\nhello" + behind,
}

func TestServer_bodies_are_read_in_one_way_by_both_of_its_readers(t *testing.T) {
	for name, text := range conversations {
		for how, say := range map[string]func(io.Writer, string){
			"at once": func(w io.Writer, text string) { _, _ = io.WriteString(w, text) },
			"in pieces": func(w io.Writer, text string) {
				for len(text) > 0 {
					n := min(len(text), 1+len(text)/100)
					_, _ = io.WriteString(w, text[:n])
					text = text[n:]
				}
			},
		} {
			ours, theirs := converse(t, say, text), converse(t, say, otherWay+text)
			if first := "GET /first"; len(theirs.Seen) == 0 || !strings.HasPrefix(theirs.Seen[0], first) || len(theirs.Said) == 0 {
				t.Fatalf("%s: the other way begins with %q %q", name, theirs.Seen, theirs.Said)
			}
			theirs.Seen, theirs.Said = theirs.Seen[1:], theirs.Said[1:]
			if diff := cmp.Diff(theirs, ours, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("%s, %s (-net/http +direct):\n%s", name, how, diff)
			}
			for _, seen := range ours.Seen {
				if strings.HasPrefix(seen, "GET /evil") {
					t.Errorf("%s, %s: a body was served as a request", name, how)
				}
			}
		}
	}
}

// conversation is what a client's words have led to.
type conversation struct{ Seen, Said []string }

func converse(t *testing.T, say func(io.Writer, string), text string) (all conversation) {
	t.Helper()
	var mu sync.Mutex
	server, stop := running(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var read []byte
		var err error
		switch r.URL.Path {
		case "/unread":
		case "/half":
			read = make([]byte, 10)
			_, err = io.ReadFull(r.Body, read)
		case "/closed":
			_ = r.Body.Close()
		default:
			read, err = io.ReadAll(r.Body)
		}
		mu.Lock()
		defer mu.Unlock()
		all.Seen = append(all.Seen, fmt.Sprintf("%s %s %d %v: %.99q (%d) whole %v", r.Method, r.URL.Path, r.ContentLength, r.Header, read, len(read), err == nil))
		_, _ = fmt.Fprintf(w, "%d bytes", len(read))
	}))
	conn := dial(t, server.Addr())
	var wait sync.WaitGroup
	wait.Go(func() {
		say(conn, text) // may fail, when the server has closed
		if tcp, ok := conn.(*net.TCPConn); ok {
			_ = tcp.CloseWrite()
		}
	})
	got, _ := io.ReadAll(conn) // a reset is an end, too
	wait.Wait()
	all.Said = answersIn(t, got)
	if err := stop(); err != nil {
		t.Error(err)
	}
	return all
}

// answersIn tells what clients go by in each answer.
func answersIn(t *testing.T, got []byte) (said []string) {
	t.Helper()
	in := bufio.NewReader(bytes.NewReader(got))
	for {
		if _, err := in.Peek(1); err != nil {
			return said
		}
		answer, err := http.ReadResponse(in, nil)
		if err != nil {
			t.Fatalf("%q: %v", got, err)
		}
		body, err := io.ReadAll(answer.Body)
		_ = answer.Body.Close()
		if err != nil {
			t.Fatalf("%q: %v", got, err)
		}
		var problem struct{ Code string }
		if json.Unmarshal(body, &problem) == nil && problem.Code != "" {
			body = []byte(problem.Code)
		}
		said = append(said, fmt.Sprintf("%d %q", answer.StatusCode, body))
	}
}
