package gatewayapp

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// load is what clients do, and what they find. None repeats a request, so that
// one that is lost is seen.
type load struct {
	path     string // of all requests, each with a number behind it
	token    string // "" for none
	dial     func(context.Context) (net.Conn, error)
	sent     atomic.Int64
	answered atomic.Int64
	group    sync.WaitGroup

	mu   sync.Mutex
	lost []string
	seen map[string]int // requests at the upstream, by path
}

// largeBody is the size of large bodies, which come in two pieces.
const largeBody = 48 << 10

func (l *load) loses(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lost = append(l.lost, fmt.Sprintf(format, args...))
}

// serve is the upstream: it says what it has got, now and then after a while.
func (l *load) serve(w http.ResponseWriter, r *http.Request) {
	n, err := io.Copy(io.Discard, r.Body)
	l.mu.Lock()
	l.seen[r.URL.Path]++
	slow := len(l.seen)%20 == 0
	l.mu.Unlock()
	if slow {
		<-time.After(30 * time.Millisecond)
	}
	_, _ = fmt.Fprintf(w, "%s %d %v", r.Method, n, err)
}

// message is a request in pieces, and the answer that it gets.
type message struct {
	id     int64
	pieces []string
	want   string
}

// next is a request of one of several kinds.
func (l *load) next(fields string) message {
	m := message{id: l.sent.Add(1)}
	if l.token != "" {
		fields += "Authorization: Bearer " + l.token + "\r\n"
	}
	head := fmt.Sprintf(" %s%d HTTP/1.1\r\nHost: gw\r\n%s", l.path, m.id, fields)
	switch m.id % 4 {
	case 0:
		m.pieces, m.want = []string{"GET" + head + "\r\n"}, "GET 0 <nil>"
	case 1:
		m.pieces, m.want = []string{"POST" + head + "Content-Length: 5\r\n\r\nhello"}, "POST 5 <nil>"
	case 2:
		m.pieces, m.want = []string{"POST" + head + "Transfer-Encoding: chunked\r\n\r\n", "5\r\nhello\r\n", "0\r\n\r\n"}, "POST 5 <nil>"
	default:
		half := strings.Repeat("x", largeBody/2)
		m.pieces, m.want = []string{fmt.Sprintf("POST%sContent-Length: %d\r\n\r\n", head, largeBody), half, half}, fmt.Sprintf("POST %d <nil>", largeBody)
	}
	return m
}

// keeping makes requests on a connection for as long as the gateway keeps it,
// until ctx ends. It pauses between them, so that the connection rests.
func (l *load) keeping(ctx context.Context, pause time.Duration) {
	l.group.Go(func() {
		var conn net.Conn
		var in *bufio.Reader
		for ctx.Err() == nil {
			if conn == nil {
				if conn, in = l.connect(ctx); conn == nil {
					return
				}
			}
			if l.exchange(conn, in, l.next("")) {
				_ = conn.Close()
				conn = nil
			}
			if pause > 0 {
				<-time.After(pause)
			}
		}
		if conn != nil {
			_ = conn.Close()
		}
	})
}

// connecting makes a new connection for each request.
func (l *load) connecting(ctx context.Context) {
	l.group.Go(func() {
		for ctx.Err() == nil {
			conn, in := l.connect(ctx)
			if conn == nil {
				return
			}
			l.exchange(conn, in, l.next("Connection: close\r\n"))
			_ = conn.Close()
		}
	})
}

func (l *load) connect(ctx context.Context) (net.Conn, *bufio.Reader) {
	conn, err := l.dial(ctx)
	if err != nil {
		if ctx.Err() == nil {
			l.loses("connect: %v", err)
		}
		return nil, nil
	}
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	return conn, bufio.NewReader(conn)
}

// exchange makes one request, and says whether the connection ends with it.
func (l *load) exchange(conn io.Writer, in *bufio.Reader, m message) (leave bool) {
	for _, piece := range m.pieces {
		if _, err := io.WriteString(conn, piece); err != nil {
			l.loses("write request %d: %v", m.id, err)
			return true
		}
	}
	res, err := http.ReadResponse(in, nil)
	if err != nil {
		l.loses("read the answer to request %d: %v", m.id, err)
		return true
	}
	return !l.judge(m.id, res, m.want) || res.Close
}

// judge counts an answer that is as it should be.
func (l *load) judge(id int64, res *http.Response, want string) bool {
	body, err := io.ReadAll(res.Body)
	_ = res.Body.Close()
	if err != nil || res.StatusCode != http.StatusOK || string(body) != want {
		l.loses("request %d got %s %s %q, %v", id, res.Proto, res.Status, body, err)
		return false
	}
	l.answered.Add(1)
	return true
}

// http2 makes requests on HTTP/2 connections.
func (l *load) http2(ctx context.Context) {
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	transport := &http.Transport{Protocols: protocols, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return l.dial(ctx) }}
	l.group.Go(func() {
		defer transport.CloseIdleConnections()
		for ctx.Err() == nil {
			id := l.sent.Add(1)
			r, err := http.NewRequestWithContext(context.WithoutCancel(ctx), http.MethodPost, fmt.Sprintf("http://gw%s%d", l.path, id), strings.NewReader("hello"))
			if err != nil {
				l.loses("%v", err)
				return
			}
			r.GetBody = nil // so that nothing is sent twice
			if l.token != "" {
				r.Header.Set("Authorization", "Bearer "+l.token)
			}
			res, err := transport.RoundTrip(r)
			if err != nil {
				l.loses("HTTP/2 request %d: %v", id, err)
				continue
			}
			l.judge(id, res, "POST 5 <nil>")
		}
	})
}

// report holds what was found to what must be: every request was answered, and
// has reached the upstream once. The clients must be done.
func (l *load) report(t *testing.T) {
	t.Helper()
	for path, times := range l.seen {
		if times != 1 {
			t.Errorf("%s reached the upstream %d times", path, times)
		}
	}
	if len(l.lost) > 0 {
		t.Errorf("%d of %d requests were lost: %s", len(l.lost), l.sent.Load(), strings.Join(l.lost[:min(len(l.lost), 5)], "; "))
	}
	if sent, answered := l.sent.Load(), l.answered.Load(); answered != sent || int64(len(l.seen)) != sent {
		t.Errorf("%d requests, %d were answered and %d reached the upstream", sent, answered, len(l.seen))
	}
	t.Logf("%d requests, %d lost", l.sent.Load(), len(l.lost))
}
