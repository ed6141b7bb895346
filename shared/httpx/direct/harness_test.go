package direct

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// testConn is a connection whose owner counts.
type testConn struct {
	*net.TCPConn
	rests, stirs, taken atomic.Int32
}

func (c *testConn) Rest()       { c.rests.Add(1) }
func (c *testConn) Stir()       { c.stirs.Add(1) }
func (c *testConn) Writes(bool) {}
func (c *testConn) TakenOver()  { c.taken.Add(1) }

// left is a connection that was handed over.
type left struct {
	conn    *testConn
	pending string
}

// world is a server with all that it has handed over.
type world struct {
	*Server
	address string
	over    chan left
}

// serve serves connections until the test ends, and looks for clients that have
// gone away all the time.
func serve(t *testing.T, h http.HandlerFunc, change ...func(*Server)) *world {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	w := &world{address: l.Addr().String(), over: make(chan left, 16), Server: &Server{
		Handler: h, Base: context.Background(), Head: time.Minute, Rest: time.Minute, MaxHead: 32 << 10, Log: slog.New(slog.DiscardHandler),
	}}
	for _, c := range change {
		c(w.Server)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var group sync.WaitGroup
	group.Go(func() { w.Watch(ctx) })
	group.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			group.Go(func() {
				conn := &testConn{TCPConn: c.(*net.TCPConn)}
				if pending, handOver := w.Serve(conn); handOver {
					w.over <- left{conn, string(pending)}
				}
			})
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		w.Cut()
		cancel()
		group.Wait()
	})
	return w
}

// client is one who speaks in bytes.
type client struct {
	net.Conn
	t  *testing.T
	in *bufio.Reader
}

func dial(t *testing.T, address string) *client {
	t.Helper()
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_ = conn.SetDeadline(time.Now().Add(20 * time.Second))
	return &client{conn, t, bufio.NewReader(conn)}
}

func (c *client) say(text string) {
	c.t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		c.t.Fatal(err)
	}
}

// answer reads an answer to a request of the method, interim ones among it.
func (c *client) answer(method string) (*http.Response, string) {
	c.t.Helper()
	res, err := http.ReadResponse(c.in, &http.Request{Method: method})
	if err != nil {
		c.t.Fatal(err)
	}
	body, err := io.ReadAll(res.Body)
	_ = res.Body.Close()
	if err != nil {
		body = append(body, " cut off: "+err.Error()...)
	}
	return res, string(body)
}

// ended reports whether nothing more comes.
func (c *client) ended() bool {
	_, err := c.in.ReadByte()
	return errors.Is(err, io.EOF)
}
