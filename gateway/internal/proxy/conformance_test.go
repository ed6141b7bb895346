package proxy

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// scripted is an upstream that reads a request and answers with given bytes,
// again and again on each connection, or once if it hangs up.
type scripted struct {
	url string

	mu          sync.Mutex
	connections int
	requests    []string // method and target
}

func newScripted(t *testing.T, answer string, end func(net.Conn)) *scripted {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &scripted{url: "http://" + l.Addr().String()}
	ctx, cancel := context.WithCancel(context.Background())
	var group sync.WaitGroup
	group.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			s.mu.Lock()
			s.connections++
			s.mu.Unlock()
			group.Go(func() {
				defer context.AfterFunc(ctx, func() { _ = c.Close() })()
				defer func() { _ = c.Close() }()
				s.serve(c, answer, end)
			})
		}
	})
	t.Cleanup(func() { cancel(); _ = l.Close(); group.Wait() })
	return s
}

func (s *scripted) serve(c net.Conn, answer string, end func(net.Conn)) {
	in := bufio.NewReader(c)
	for {
		r, err := http.ReadRequest(in)
		if err != nil {
			return
		}
		_, _ = io.Copy(io.Discard, r.Body)
		s.mu.Lock()
		s.requests = append(s.requests, r.Method+" "+r.RequestURI)
		s.mu.Unlock()
		if _, err := io.WriteString(c, answer); err != nil {
			return
		}
		if end != nil {
			end(c)
			return
		}
	}
}

func (s *scripted) counts() (connections, requests int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.connections, len(s.requests)
}

// What becomes of an answer.
const (
	whole   = "whole"
	cutOff  = "cut off" // the head was fine
	refused = "refused"
	late    = "late" // refused because it did not come in time
)

// TestConformance has both transports meet the same upstreams.
func TestConformance(t *testing.T) {
	const ok = "HTTP/1.1 200 OK\r\n"
	big := strings.Repeat("0123456789abcdef", 20<<10)
	for _, c := range []struct {
		name   string
		method string // GET if empty
		answer string
		end    func(net.Conn)
		want   string // what becomes of it
		body   string
		status int  // 200 if 0
		again  bool // the connection serves a second request
	}{
		{"a length", "", ok + "Content-Length: 2\r\n\r\nok", nil, whole, "ok", 0, true},
		{"a length of nothing", "", ok + "Content-Length: 0\r\n\r\n", nil, whole, "", 0, true},
		{"a large body", "", ok + "Content-Length: 327680\r\n\r\n" + big, nil, whole, big, 0, true},
		{"white space around a value", "", ok + "Content-Length: \t 2 \t\r\n\r\nok", nil, whole, "ok", 0, true},
		{"names in any case", "", ok + "cOnTeNt-LeNgTh: 2\r\n\r\nok", nil, whole, "ok", 0, true},
		{"no reason", "", "HTTP/1.1 200 \r\nContent-Length: 2\r\n\r\nok", nil, whole, "ok", 0, true},
		{"no reason and no space", "", "HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok", nil, whole, "ok", 0, true},
		{"a reason of odd bytes", "", "HTTP/1.1 200 \xe9t\xe9 : x\r\nContent-Length: 2\r\n\r\nok", nil, whole, "ok", 0, true},
		{"chunks", "", ok + "Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", nil, whole, "ok", 0, true},
		{"chunks, in capitals and with extensions", "", ok + "TRANSFER-ENCODING: Chunked\r\n\r\n0002;a=b;c=\"d\"\r\nok\r\n00\r\n\r\n", nil, whole, "ok", 0, true},
		{"a large body in chunks", "", ok + "Transfer-Encoding: chunked\r\n\r\n50000\r\n" + big + "\r\n0\r\n\r\n", nil, whole, big, 0, true},
		{"many small chunks", "", ok + "Transfer-Encoding: chunked\r\n\r\n" + strings.Repeat("8\r\n01234567\r\n", 500) + "0\r\n\r\n", nil, whole, strings.Repeat("01234567", 500), 0, true},
		{"trailer fields", "", ok + "Transfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 1\r\nContent-Length: 5\r\n\r\n", nil, whole, "ok", 0, true},
		{"until the end of the connection", "", ok + "\r\nok", hangUp, whole, "ok", 0, false},
		{"HTTP/1.0", "", "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok", nil, whole, "ok", 0, false},
		{"HTTP/1.0 that stays", "", "HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 2\r\n\r\nok", nil, whole, "ok", 0, true},
		{"Connection: close", "", ok + "Connection: X, Close\r\nContent-Length: 2\r\n\r\nok", nil, whole, "ok", 0, false},
		{"HEAD", "HEAD", ok + "Content-Length: 200\r\n\r\n", nil, whole, "", 0, true},
		{"HEAD of chunks", "HEAD", ok + "Transfer-Encoding: chunked\r\n\r\n", nil, whole, "", 0, true},
		{"HEAD without a length", "HEAD", ok + "\r\n", nil, whole, "", 0, true},
		{"204", "", "HTTP/1.1 204 No Content\r\n\r\n", nil, whole, "", 204, true},
		{"304 with a length", "", "HTTP/1.1 304 Not Modified\r\nContent-Length: 200\r\n\r\n", nil, whole, "", 304, true},
		{"interim answers", "", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" + ok + "Content-Length: 2\r\n\r\nok", nil, whole, "ok", 0, true},

		{"nothing", "", "", hangUp, refused, "", 0, false},
		{"silence", "", "", silence, late, "", 0, false},
		{"another protocol", "", "SSH-2.0-OpenSSH_9.9\r\n", silence, refused, "", 0, false},
		{"HTTP/2", "", "\x00\x00\x12\x04\x00\x00\x00\x00\x00", hangUp, refused, "", 0, false},
		{"TLS", "", "\x15\x03\x01\x00\x02\x02\x46\r\n", silence, refused, "", 0, false},
		{"HTTP/1.2", "", "HTTP/1.2 200 OK\r\nContent-Length: 2\r\n\r\nok", nil, refused, "", 0, false},
		{"http in lower case", "", "http/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", nil, refused, "", 0, false},
		{"a short status", "", "HTTP/1.1 20 OK\r\nContent-Length: 2\r\n\r\nok", nil, refused, "", 0, false},
		{"a long status", "", "HTTP/1.1 2000 OK\r\nContent-Length: 2\r\n\r\nok", nil, refused, "", 0, false},
		{"a status below 100", "", "HTTP/1.1 099 OK\r\nContent-Length: 2\r\n\r\nok", nil, refused, "", 0, false},
		{"a signed status", "", "HTTP/1.1 +20 OK\r\nContent-Length: 2\r\n\r\nok", nil, refused, "", 0, false},
		{"two spaces before the status", "", "HTTP/1.1  200 OK\r\nContent-Length: 2\r\n\r\nok", nil, refused, "", 0, false},
		{"an empty line first", "", "\r\n" + ok + "Content-Length: 2\r\n\r\nok", nil, refused, "", 0, false},
		{"half a head", "", ok + "Content-Le", hangUp, refused, "", 0, false},
		{"half a head and silence", "", ok + "Content-Le", silence, late, "", 0, false},
		{"lines that end in LF", "", "HTTP/1.1 200 OK\nContent-Length: 2\n\nok", silence, refused, "", 0, false},
		{"one line that ends in LF", "", ok + "X: y\nContent-Length: 2\r\n\r\nok", silence, refused, "", 0, false},
		{"a CR in a line", "", ok + "X: a\rContent-Length: 7\r\nContent-Length: 2\r\n\r\nok", silence, refused, "", 0, false},
		{"a NUL in a value", "", ok + "X: a\x00b\r\nContent-Length: 2\r\n\r\nok", silence, refused, "", 0, false},
		{"a folded line", "", ok + "X: a\r\n b\r\nContent-Length: 2\r\n\r\nok", silence, refused, "", 0, false},
		{"a folded first line", "", ok + " Content-Length: 7\r\nContent-Length: 2\r\n\r\nok", silence, refused, "", 0, false},
		{"a space before the colon", "", ok + "Content-Length : 2\r\n\r\nok", silence, refused, "", 0, false},
		{"no colon", "", ok + "nonsense\r\nContent-Length: 2\r\n\r\nok", silence, refused, "", 0, false},
		{"no name", "", ok + ": 2\r\nContent-Length: 2\r\n\r\nok", silence, refused, "", 0, false},
		{"a name that is none", "", ok + "a(b): 2\r\nContent-Length: 2\r\n\r\nok", silence, refused, "", 0, false},
		{"a head that is too large", "", ok + "X: " + strings.Repeat("x", 100<<10) + "\r\n\r\n", silence, refused, "", 0, false},
		{"a head without end", "", ok + strings.Repeat("X: y\r\n", 20<<10), silence, refused, "", 0, false},
		{"interim answers without end", "", strings.Repeat("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", 4<<10), silence, refused, "", 0, false},
		{"a switch that nobody asked for", "", "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", silence, refused, "", 0, false},

		{"both framings", "", ok + "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", silence, refused, "", 0, false},
		{"both framings, the other first", "", ok + "transfer-encoding: chunked\r\nX: y\r\ncontent-length: 2\r\n\r\n2\r\nok\r\n0\r\n\r\n", silence, refused, "", 0, false},
		{"both framings of a HEAD", "HEAD", ok + "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n", silence, refused, "", 0, false},
		{"both framings after an interim answer", "", "HTTP/1.1 103 Early Hints\r\n\r\n" + ok + "Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", silence, refused, "", 0, false},
		{"two lengths", "", ok + "Content-Length: 2\r\nContent-Length: 3\r\n\r\nok!", silence, refused, "", 0, false},
		{"the same length twice", "", ok + "Content-Length: 2\r\nContent-Length: 2\r\n\r\nok", silence, refused, "", 0, false},
		{"a list of lengths", "", ok + "Content-Length: 2, 2\r\n\r\nok", silence, refused, "", 0, false},
		{"an empty length", "", ok + "Content-Length:\r\n\r\nok", silence, refused, "", 0, false},
		{"a negative length", "", ok + "Content-Length: -2\r\n\r\nok", silence, refused, "", 0, false},
		{"a signed length", "", ok + "Content-Length: +2\r\n\r\nok", silence, refused, "", 0, false},
		{"a hexadecimal length", "", ok + "Content-Length: 0x2\r\n\r\nok", silence, refused, "", 0, false},
		{"a length with an underscore", "", ok + "Content-Length: 1_0\r\n\r\nok", silence, refused, "", 0, false},
		{"a length of no number", "", ok + "Content-Length: two\r\n\r\nok", silence, refused, "", 0, false},
		{"a length that overflows", "", ok + "Content-Length: 18446744073709551618\r\n\r\nok", silence, refused, "", 0, false},
		{"an unknown coding", "", ok + "Transfer-Encoding: gzip\r\n\r\n", silence, refused, "", 0, false},
		{"two codings", "", ok + "Transfer-Encoding: gzip, chunked\r\n\r\n", silence, refused, "", 0, false},
		{"two codings on two lines", "", ok + "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n2\r\nok\r\n0\r\n\r\n", silence, refused, "", 0, false},
		{"chunked twice", "", ok + "Transfer-Encoding: chunked, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", silence, refused, "", 0, false},
		{"an empty coding", "", ok + "Transfer-Encoding:\r\n\r\n2\r\nok\r\n0\r\n\r\n", silence, refused, "", 0, false},
		{"a coding of HTTP/1.0", "", "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", silence, refused, "", 0, false},

		{"short of its length", "", ok + "Content-Length: 10\r\n\r\nhello", hangUp, cutOff, "hello", 0, false},
		{"no last chunk", "", ok + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", hangUp, cutOff, "hello", 0, false},
		{"no end of the last chunk", "", ok + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n", hangUp, cutOff, "hello", 0, false},
		{"half a chunk", "", ok + "Transfer-Encoding: chunked\r\n\r\n9\r\nhello", hangUp, cutOff, "hello", 0, false},
		{"no chunk", "", ok + "Transfer-Encoding: chunked\r\n\r\n", hangUp, cutOff, "", 0, false},
		{"a negative chunk", "", ok + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n-1\r\n", silence, cutOff, "hello", 0, false},
		{"a signed chunk", "", ok + "Transfer-Encoding: chunked\r\n\r\n+5\r\nhello\r\n0\r\n\r\n", silence, cutOff, "", 0, false},
		{"a chunk with a prefix", "", ok + "Transfer-Encoding: chunked\r\n\r\n0x5\r\nhello\r\n0\r\n\r\n", silence, cutOff, "", 0, false},
		{"a chunk with an underscore", "", ok + "Transfer-Encoding: chunked\r\n\r\n0_5\r\nhello\r\n0\r\n\r\n", silence, cutOff, "", 0, false},
		{"a chunk without a size", "", ok + "Transfer-Encoding: chunked\r\n\r\n;x\r\nhello\r\n0\r\n\r\n", silence, cutOff, "", 0, false},
		{"a chunk with two sizes", "", ok + "Transfer-Encoding: chunked\r\n\r\n5 5\r\nhello\r\n0\r\n\r\n", silence, cutOff, "", 0, false},
		{"a chunk that overflows", "", ok + "Transfer-Encoding: chunked\r\n\r\n10000000000000005\r\nhello\r\n0\r\n\r\n", silence, cutOff, "", 0, false},
		{"a chunk that is longer than it says", "", ok + "Transfer-Encoding: chunked\r\n\r\n5\r\nhelloX\r\n0\r\n\r\n", silence, cutOff, "hello", 0, false},
		{"a chunk's line that ends in LF", "", ok + "Transfer-Encoding: chunked\r\n\r\n5\nhello\r\n0\r\n\r\n", silence, cutOff, "", 0, false},
		{"a chunk that ends in LF", "", ok + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\n0\r\n\r\n", silence, cutOff, "hello", 0, false},
		{"an extension without end", "", ok + "Transfer-Encoding: chunked\r\n\r\n5;" + strings.Repeat("x", 8<<10) + "\r\nhello\r\n0\r\n\r\n", silence, cutOff, "", 0, false},
		{"a malformed trailer field", "", ok + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nbad trailer\r\n\r\n", silence, cutOff, "hello", 0, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			for name, trip := range bothTransports(t) {
				up := newScripted(t, c.answer, c.end)
				method, status := c.method, c.status
				if method == "" {
					method = http.MethodGet
				}
				if status == 0 {
					status = 200
				}
				got, body, came := outcome(t, trip, method, up.url)
				if came != c.want || body != c.body || came != refused && came != late && got != status {
					t.Errorf("%s: the answer is %s, %d %.80q; want it %s, %d %.80q", name, came, got, body, c.want, status, c.body)
				}
				if c.want != whole {
					continue
				}
				if _, body, came = outcome(t, trip, method, up.url); came != whole || body != c.body {
					t.Errorf("%s: the second answer is %s", name, came)
				}
				if connections, _ := up.counts(); (connections == 1) != c.again {
					t.Errorf("%s: two requests took %d connections", name, connections)
				}
			}
		})
	}
}

// other carries requests by net/http's transport, as Transport has it do.
type other struct{ by *http.Transport }

func (o other) RoundTrip(r *http.Request) (*http.Response, error) { return carryOther(o.by, r) }

func bothTransports(t *testing.T) map[string]http.RoundTripper {
	t.Helper()
	transport := NewTransport(TransportOptions{Timeout: 300 * time.Millisecond})
	t.Cleanup(func() { _ = transport.Close() })
	return map[string]http.RoundTripper{"h1": transport.plain, "net/http": other{transport.now.Load().http1}}
}

// outcome sends a request and tells what becomes of the answer.
func outcome(t *testing.T, trip http.RoundTripper, method, url string) (status int, body, came string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url+"/a?b", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	res, err := trip.RoundTrip(r)
	if err == nil {
		err = checkSwitch(r, res)
	}
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
		return 0, "", late
	}
	if err != nil {
		return 0, "", refused
	}
	defer func() { _ = res.Body.Close() }()
	all, err := io.ReadAll(res.Body)
	if err != nil {
		return res.StatusCode, string(all), cutOff
	}
	return res.StatusCode, string(all), whole
}
