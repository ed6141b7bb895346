package gatewayapp

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
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
func (b *balancer) dial(ctx context.Context) (net.Conn, error) {
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

// TestApp_RollingRestartLosesNoRequest restarts three nodes one after the
// other, under load by clients that keep their connections, that make new ones,
// and that speak HTTP/2, and repeat nothing.
func TestApp_RollingRestartLosesNoRequest(t *testing.T) {
	w := newWorld(t, func(c *Config) { c.DrainDelay = time.Second })
	b := new(balancer)
	l := &load{path: "/api/orders/", token: w.token(nil), dial: b.dial, seen: map[string]int{}}
	w.answersRaw(l.serve)
	for i := range 3 {
		b.add(w.node(fmt.Sprintf("first-%d", i)))
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer l.group.Wait()
	defer cancel()
	l.group.Go(func() { b.watch(ctx) })
	for i := range 10 {
		l.keeping(ctx, time.Duration(i)*time.Millisecond)
	}
	for range 4 {
		l.connecting(ctx)
	}
	for range 2 {
		l.http2(ctx)
	}
	more := func() { // so that no step is over before the clients have seen it
		t.Helper()
		want := l.answered.Load() + 200
		w.until("the clients go on", func() bool { return l.answered.Load() >= want })
	}
	for i, old := range b.list() {
		more()
		b.add(w.node(fmt.Sprintf("second-%d", i)))
		more()
		if err := old.stop(); err != nil {
			t.Errorf("node %d: %v", i, err)
		}
	}
	more()
	cancel()
	l.group.Wait()
	l.report(t)
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
