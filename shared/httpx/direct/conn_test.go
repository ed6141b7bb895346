package direct

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"
)

const hi = "GET /hi HTTP/1.1\r\nHost: x\r\n\r\n"

func hello(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, "hello "+r.URL.Path) }

func TestServe_answers_requests_in_turn(t *testing.T) {
	w := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Body != http.NoBody || r.ContentLength != 0 || r.TLS != nil || r.RemoteAddr == "" || r.Proto != "HTTP/1.1" || !r.ProtoAtLeast(1, 1) || r.Host != "x" {
			t.Errorf("request %+v", r)
		}
		hello(w, r)
	})
	c := dial(t, w.address)
	for i := range 3 {
		c.say(fmt.Sprintf("GET /%d HTTP/1.1\r\nHost: x\r\n\r\n", i))
		if res, body := c.answer("GET"); res.StatusCode != 200 || body != fmt.Sprintf("hello /%d", i) {
			t.Errorf("%d: %d %q", i, res.StatusCode, body)
		}
	}
	c.say(hi + "GET /2 HTTP/1.1\r\nHost: x\r\n\r\nGET /3 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n" + hi)
	for _, want := range []string{"hello /hi", "hello /2", "hello /3"} {
		if _, body := c.answer("GET"); body != want {
			t.Errorf("pipelined: %q, want %q", body, want)
		}
	}
	if !c.ended() {
		t.Error("the connection goes on after a request that closes it")
	}
}

func TestServe_a_head_may_come_in_pieces(t *testing.T) {
	w := serve(t, hello)
	c := dial(t, w.address)
	for range 2 {
		for _, piece := range []string{hi[:9], hi[9:20], hi[20:]} {
			c.say(piece)
			time.Sleep(time.Millisecond) // so that they come as pieces, mostly; any way they come is good
		}
		if _, body := c.answer("GET"); body != "hello /hi" {
			t.Errorf("got %q", body)
		}
	}
}

func TestServe_hands_over_what_is_for_net_http(t *testing.T) {
	body := "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"
	for name, text := range map[string]string{
		"a chunked body": body, "rubbish": "\x16\x03\x01\r\n", "a bare LF": "GET / HTTP/1.1\n", "HTTP/2": "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
		"a large head": "GET / HTTP/1.1\r\nHost: x\r\nX-Large: " + strings.Repeat("x", maxHead),
	} {
		for _, first := range []string{"", hi} {
			w := serve(t, hello)
			c := dial(t, w.address)
			c.say(first + text)
			if first != "" {
				if _, got := c.answer("GET"); got != "hello /hi" {
					t.Errorf("%s: before it: %q", name, got)
				}
			}
			var rest left
			select {
			case rest = <-w.over:
			case <-time.After(20 * time.Second):
				t.Fatalf("%s: not handed over", name)
			}
			_ = rest.conn.SetReadDeadline(time.Now().Add(10 * time.Second))
			more := make([]byte, len(text)-len(rest.pending))
			if _, err := io.ReadFull(rest.conn, more); err != nil || rest.pending+string(more) != text {
				t.Errorf("%s: %q and %d bytes more are handed over: %v", name, rest.pending, len(more), err)
			}
			_ = rest.conn.Close()
		}
	}
}

func TestServe_a_slow_head_ends_the_connection(t *testing.T) {
	for name, text := range map[string]string{"nothing": "", "half of the first": hi[:10], "half of the second": hi + hi[:10]} {
		w := serve(t, hello, func(s *Server) { s.Head = 30 * time.Millisecond })
		c := dial(t, w.address)
		c.say(text)
		if len(text) > len(hi) {
			_, _ = c.answer("GET")
		}
		if !c.ended() {
			t.Errorf("%s: the connection goes on", name)
		}
	}
}

func TestServe_SP16_a_client_that_goes_away_ends_its_request(t *testing.T) {
	for name, leave := range map[string]func(c *client){
		"closes":    func(c *client) { _ = c.Close() },
		"resets":    func(c *client) { _, _ = c.Conn.(*net.TCPConn).SetLinger(0), c.Close() },
		"has ended": func(c *client) { _ = c.Conn.(*net.TCPConn).CloseWrite() },
	} {
		came, gone := make(chan struct{}), make(chan error, 1)
		w := serve(t, func(_ http.ResponseWriter, r *http.Request) {
			came <- struct{}{}
			<-r.Context().Done()
			gone <- r.Context().Err()
		})
		c := dial(t, w.address)
		c.say(hi)
		<-came
		leave(c)
		select {
		case err := <-gone:
			if !errors.Is(err, context.Canceled) {
				t.Errorf("%s: %v", name, err)
			}
		case <-time.After(20 * time.Second):
			t.Fatalf("%s: the request goes on", name)
		}
	}
}

func TestServe_a_request_that_lasts_leaves_nothing_to_the_next(t *testing.T) {
	watched := make(chan struct{})
	w := serve(t, func(rw http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/long" {
			<-watched
		}
		_ = http.NewResponseController(rw).SetWriteDeadline(time.Now().Add(time.Hour))
		_ = http.NewResponseController(rw).SetReadDeadline(time.Unix(1, 0))
		hello(rw, r)
	})
	c := dial(t, w.address)
	for range 2 {
		c.say("GET /long HTTP/1.1\r\nHost: x\r\n\r\n" + hi) // the second one comes while the client is watched, or is there before
		for !w.watching() {
			time.Sleep(time.Millisecond) // a condition, with the client's deadline
		}
		watched <- struct{}{}
		if _, body := c.answer("GET"); body != "hello /long" {
			t.Errorf("got %q", body)
		}
		if _, body := c.answer("GET"); body != "hello /hi" {
			t.Errorf("the next: %q", body)
		}
	}
}

// watching reports whether some client was looked after.
func (w *world) watching() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for c := range w.open {
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.watcher != nil {
			return true
		}
	}
	return false
}

func TestServe_the_context_ends_with_the_handler(t *testing.T) {
	kept := make(chan *http.Request, 1)
	called := make(chan struct{}, 3)
	w := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		ctx := r.Context()
		if ctx.Err() != nil {
			t.Error("it has ended before")
		}
		stop := context.AfterFunc(ctx, func() { t.Error("called, though taken back") })
		if !stop() || stop() {
			t.Error("it can be taken back once")
		}
		context.AfterFunc(ctx, func() { called <- struct{}{} })
		context.AfterFunc(ctx, func() { called <- struct{}{} })
		child, cancel := context.WithTimeout(ctx, time.Hour)
		context.AfterFunc(child, func() { called <- struct{}{}; cancel() })
		kept <- r
	})
	c := dial(t, w.address)
	c.say(hi)
	_, _ = c.answer("GET")
	ctx := (<-kept).Context()
	<-ctx.Done()
	if !errors.Is(ctx.Err(), context.Canceled) || context.Cause(ctx) != ctx.Err() { //nolint:errorlint // the very same
		t.Errorf("%v", ctx.Err())
	}
	for range 3 {
		<-called
	}
	late := make(chan struct{})
	if context.AfterFunc(ctx, func() { close(late) })() {
		t.Error("what comes after the end can be taken back")
	}
	<-late
}

func TestServe_a_panic_ends_the_connection(t *testing.T) {
	w := serve(t, func(http.ResponseWriter, *http.Request) { panic("a fault") })
	c := dial(t, w.address)
	c.say(hi)
	if !c.ended() {
		t.Error("the connection goes on")
	}
}

// A handler that ends its goroutine, as t.FailNow does, leaves nothing open.
func TestServe_a_handler_that_ends_its_goroutine_ends_the_connection(t *testing.T) {
	ended := make(chan struct{})
	w := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		context.AfterFunc(r.Context(), func() { close(ended) })
		runtime.Goexit()
	})
	c := dial(t, w.address)
	c.say(hi)
	if !c.ended() {
		t.Error("the connection goes on")
	}
	<-ended
}

func TestServe_an_answer_is_over_when_its_handler_is(t *testing.T) {
	kept := make(chan http.ResponseWriter, 2)
	w := serve(t, func(w http.ResponseWriter, r *http.Request) { kept <- w; hello(w, r) })
	c := dial(t, w.address)
	c.say(hi)
	_, _ = c.answer("GET")
	old := <-kept
	c.say(hi)
	_, _ = c.answer("GET") // so that the first handler has returned for certain
	old.WriteHeader(500)
	if _, err := old.Write([]byte("x")); !errors.Is(err, errOver) {
		t.Errorf("write: %v", err)
	}
	control := http.NewResponseController(old)
	_, _, hijack := control.Hijack()
	for name, err := range map[string]error{"flush": control.Flush(), "deadline": control.SetWriteDeadline(time.Now()), "hijack": hijack} {
		if !errors.Is(err, errOver) {
			t.Errorf("%s: %v", name, err)
		}
	}
	c.say(hi)
	if _, body := c.answer("GET"); body != "hello /hi" {
		t.Errorf("the next answer is %q", body)
	}
}

func TestServe_a_client_that_reads_nothing_ends_its_request_when_it_is_cut(t *testing.T) {
	failed := make(chan error, 1)
	stuck := make(chan struct{}, 1)
	w := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		for range 10_000 {
			if _, err := w.Write(make([]byte, 100_000)); err != nil {
				failed <- err
				return
			}
			select {
			case stuck <- struct{}{}:
			default:
			}
		}
	})
	c := dial(t, w.address)
	c.say(hi)
	<-stuck
	if n := w.Cut(); n != 1 {
		t.Errorf("%d requests were cut off", n)
	}
	if err := <-failed; err == nil {
		t.Error("it was written")
	}
	if conn := dial(t, w.address); !conn.ended() {
		t.Error("connections are served after the end")
	}
}

func TestServe_a_handler_may_take_the_connection_over(t *testing.T) {
	taken := make(chan string, 1)
	w := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		_ = http.NewResponseController(w).SetReadDeadline(time.Unix(1, 0)) // for the answer, which there is none of
		conn, buffered, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		_ = conn.SetReadDeadline(time.Now().Add(time.Minute)) // which stays
		if _, err := w.Write([]byte("x")); !errors.Is(err, http.ErrHijacked) {
			t.Errorf("write: %v", err)
		}
		if n := buffered.Reader.Buffered(); n != 5 {
			t.Errorf("%d bytes are there", n)
		}
		go func() {
			defer func() { _ = conn.Close() }()
			_, _ = io.WriteString(conn, "raw")
			all, _ := io.ReadAll(buffered)
			taken <- string(all)
		}()
	})
	c := dial(t, w.address)
	c.say(hi + "early")
	raw := make([]byte, 3)
	if _, err := io.ReadFull(c, raw); err != nil || string(raw) != "raw" {
		t.Errorf("%q %v", raw, err)
	}
	c.say(" late")
	_ = c.Conn.(*net.TCPConn).CloseWrite()
	if got := <-taken; got != "early late" {
		t.Errorf("got %q", got)
	}
}
