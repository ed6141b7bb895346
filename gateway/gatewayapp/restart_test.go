package gatewayapp

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// node is one gateway of several that share the world's broker and issuer.
type node struct {
	app   *App
	ready atomic.Bool // as the balancer has last seen it
	stop  func() error
}

// node starts another gateway.
func (w *world) node(id string) *node {
	w.t.Helper()
	cfg := w.cfg
	cfg.NodeID = id
	app, err := New(context.Background(), cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- app.Run(ctx) }()
	n := &node{app: app}
	n.stop = sync.OnceValue(func() error { cancel(); return <-done })
	w.t.Cleanup(func() { _ = n.stop() })
	w.until(id+" is ready", func() bool { return app.Ready(ctx) == nil })
	return n
}

// balancer sends each connection to a node that says it is ready, as load
// balancers do: it asks every few milliseconds, and knows nothing else.
type balancer struct {
	mu    sync.Mutex
	nodes []*node
	turn  int
}

func (b *balancer) add(n *node) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.nodes = append(b.nodes, n)
}

func (b *balancer) list() []*node {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]*node(nil), b.nodes...)
}

// watch asks the nodes for their health until ctx ends.
func (b *balancer) watch(ctx context.Context) {
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: time.Second}
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for {
		for _, n := range b.list() {
			res, err := client.Get("http://" + n.app.OpsAddr() + "/readyz")
			n.ready.Store(err == nil && res.StatusCode == http.StatusOK)
			if err == nil {
				_ = res.Body.Close()
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// dial connects to the next node that is ready. A connection that does not
// come about costs no request: the next node is tried.
func (b *balancer) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	for ctx.Err() == nil {
		b.mu.Lock()
		b.turn++
		n := b.nodes[b.turn%len(b.nodes)]
		b.mu.Unlock()
		if !n.ready.Load() {
			continue
		}
		if conn, err := new(net.Dialer).DialContext(ctx, "tcp", n.app.Addr()); err == nil {
			return conn, nil
		}
	}
	return nil, ctx.Err()
}

// load is what clients do, and what they find.
type load struct {
	balancer *balancer
	token    string
	sent     atomic.Int64
	answered atomic.Int64
	mu       sync.Mutex
	lost     []string
}

func (l *load) loses(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lost = append(l.lost, fmt.Sprintf(format, args...))
}

// request is one of several kinds, with a number of its own.
func (l *load) request() (text string, id int64) {
	id = l.sent.Add(1)
	head := fmt.Sprintf(" /api/orders/%d HTTP/1.1\r\nHost: gw\r\nAuthorization: Bearer %s\r\n", id, l.token)
	switch id % 3 {
	case 0:
		return "GET" + head + "\r\n", id
	case 1:
		return "POST" + head + "Content-Length: 5\r\n\r\nhello", id
	}
	return "POST" + head + "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", id
}

// plain makes requests on a keep-alive connection until ctx ends, and repeats
// none. It pauses between them, so that its connection rests now and then.
func (l *load) plain(ctx context.Context, pause time.Duration) {
	var conn net.Conn
	var in *bufio.Reader
	for ctx.Err() == nil {
		if conn == nil {
			var err error
			if conn, err = l.balancer.dial(ctx, "", ""); err != nil {
				return
			}
			_ = conn.SetDeadline(time.Now().Add(time.Minute))
			in = bufio.NewReader(conn)
		}
		text, id := l.request()
		leave, err := exchange(conn, in, text)
		if err != nil {
			l.loses("request %d: %v", id, err)
		} else {
			l.answered.Add(1)
		}
		if err != nil || leave {
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
}

// exchange makes one request. leave says that the connection ends with it.
func exchange(conn io.Writer, in *bufio.Reader, text string) (leave bool, err error) {
	if _, err := io.WriteString(conn, text); err != nil {
		return true, fmt.Errorf("write: %w", err)
	}
	res, err := http.ReadResponse(in, nil)
	if err != nil {
		return true, fmt.Errorf("read: %w", err)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return true, fmt.Errorf("read body: %w", err)
	}
	if res.StatusCode != http.StatusOK || string(body) != "ok" {
		return true, fmt.Errorf("got %d %s", res.StatusCode, body)
	}
	return res.Close, nil
}

// http2 makes requests on HTTP/2 connections.
func (l *load) http2(ctx context.Context) {
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	transport := &http.Transport{Protocols: protocols, DialContext: l.balancer.dial}
	defer transport.CloseIdleConnections()
	for ctx.Err() == nil {
		id := l.sent.Add(1)
		r, err := http.NewRequestWithContext(context.WithoutCancel(ctx), http.MethodPost, fmt.Sprintf("http://gw/api/orders/%d", id), strings.NewReader("hello"))
		if err != nil {
			l.loses("%v", err)
			return
		}
		r.GetBody = nil // so that nothing is sent twice
		r.Header.Set("Authorization", "Bearer "+l.token)
		res, err := transport.RoundTrip(r)
		if err != nil {
			l.loses("HTTP/2 request %d: %v", id, err)
			continue
		}
		body, err := io.ReadAll(res.Body)
		_ = res.Body.Close()
		if err != nil || res.StatusCode != http.StatusOK || res.ProtoMajor != 2 || string(body) != "ok" {
			l.loses("HTTP/2 request %d: %s %s %q %v", id, res.Proto, res.Status, body, err)
			continue
		}
		l.answered.Add(1)
	}
}

// TestApp_RollingRestartLosesNoRequest restarts three nodes one after the
// other, under load by clients that keep their connections and repeat nothing.
func TestApp_RollingRestartLosesNoRequest(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.DrainDelay = time.Second })
	var slow atomic.Int64
	seen := map[string]int{} // guarded by the world's lock
	w.answers(func(rw http.ResponseWriter, r *http.Request) {
		w.mu.Lock()
		seen[r.URL.Path]++
		w.seen = w.seen[:0]
		w.mu.Unlock()
		if slow.Add(1)%20 == 0 { // some are under way for a while
			<-time.After(30 * time.Millisecond)
		}
		_, _ = io.WriteString(rw, "ok")
	})
	b := new(balancer)
	for i := range 3 {
		b.add(w.node(fmt.Sprintf("first-%d", i)))
	}
	ctx, cancel := context.WithCancel(context.Background())
	var group sync.WaitGroup
	defer group.Wait()
	defer cancel()
	group.Go(func() { b.watch(ctx) })
	l := &load{balancer: b, token: w.token(nil)}
	for i := range 12 {
		group.Go(func() { l.plain(ctx, time.Duration(i)*time.Millisecond) })
	}
	for range 2 {
		group.Go(func() { l.http2(ctx) })
	}
	more := func(n int64) { // so that no step is over before the clients have seen it
		t.Helper()
		want := l.answered.Load() + n
		w.until("the clients go on", func() bool { return l.answered.Load() >= want })
	}
	for i, old := range b.list() {
		more(100)
		b.add(w.node(fmt.Sprintf("second-%d", i)))
		more(100)
		if err := old.stop(); err != nil {
			t.Errorf("node %d: %v", i, err)
		}
	}
	more(100)
	cancel()
	group.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	for path, times := range seen {
		if times != 1 {
			t.Errorf("%s reached the upstream %d times", path, times)
		}
	}
	if len(l.lost) > 0 {
		t.Errorf("%d of %d requests were lost: %s", len(l.lost), l.sent.Load(), strings.Join(l.lost[:min(len(l.lost), 5)], "; "))
	}
	t.Logf("%d requests, %d lost", l.sent.Load(), len(l.lost))
}

// A WebSocket and an event stream are told to go when the node stops, not
// before its balancer can have noticed.
func TestApp_EndlessAnswersEndAfterTheDrainDelay(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.DrainDelay = 500 * time.Millisecond })
	w.answers(func(rw http.ResponseWriter, r *http.Request) {
		rw.Header().Set("Content-Type", "text/event-stream")
		_ = http.NewResponseController(rw).Flush()
		for {
			if _, err := io.WriteString(rw, "data: x\n\n"); err != nil || http.NewResponseController(rw).Flush() != nil {
				return
			}
			select {
			case <-r.Context().Done():
				return
			case <-time.After(time.Millisecond):
			}
		}
	})
	_, in := w.raw("GET /api/public/stream HTTP/1.1\r\nHost: gw\r\n\r\n")
	res, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	began := time.Now()
	stopped := make(chan struct{})
	go func() { w.stop(); close(stopped) }()
	_, err = io.Copy(io.Discard, res.Body)
	if took := time.Since(began); took < 500*time.Millisecond {
		t.Errorf("it ended after %v", took)
	}
	if !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("it looks as if it had come to its end: %v", err)
	}
	<-stopped
}
