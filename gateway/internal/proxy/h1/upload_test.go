package h1

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func TestTransport_sends_bodies_in_their_framing(t *testing.T) {
	for _, size := range []int{1, 100, smallBody, smallBody + 1, bufferSize, 1 << 20} {
		text := strings.Repeat("x", size)
		for _, length := range []int64{int64(size), -1} {
			s, transport := newTarget(t), newTransport(t, nil)
			for range 2 { // the second on the same connection
				r := request(t, "POST", s.url, io.NopCloser(strings.NewReader(text)))
				r.ContentLength = length
				done := start(t, transport, r)
				p := s.next()
				for first := true; ; first = false {
					got, body := p.request()
					if body != text || got.ContentLength != length || (len(got.TransferEncoding) > 0) != (length < 0) {
						t.Fatalf("the target got %d bytes of %d, %v", len(body), size, got.TransferEncoding)
					}
					p.say(okay)
					wantOK(t, done)
					if !first {
						break
					}
					r = request(t, "POST", s.url, io.NopCloser(strings.NewReader(text)))
					r.ContentLength = length
					// An answer may come before the sender knows that all was sent; its
					// connection then ends.
					if idle, _ := transport.connections(); idle == 0 {
						break
					}
					done = start(t, transport, r)
				}
				transport.CloseIdleConnections()
			}
		}
	}
}

func TestTransport_bodies_that_are_not_what_they_said(t *testing.T) {
	for name, c := range map[string]struct {
		length int64
		body   io.Reader
		want   error
	}{
		"short":               {10, strings.NewReader("hello"), errShort},
		"long":                {2, strings.NewReader("hello"), errLong},
		"broken":              {10, io.MultiReader(strings.NewReader("hello"), failing{}), errBroken},
		"large and short":     {1 << 20, strings.NewReader("hello"), errShort},
		"large and long":      {1 << 17, strings.NewReader(strings.Repeat("x", 1<<18)), errLong},
		"large and broken":    {1 << 20, io.MultiReader(strings.NewReader("hello"), failing{}), errBroken},
		"broken, in chunks":   {-1, io.MultiReader(strings.NewReader("hello"), failing{}), errBroken},
		"broken at the first": {-1, failing{}, errBroken},
	} {
		t.Run(name, func(t *testing.T) {
			s, transport := newTarget(t), newTransport(t, nil)
			r := request(t, "POST", s.url, io.NopCloser(c.body))
			r.ContentLength = c.length
			got := <-start(t, transport, r)
			if !errors.Is(got.err, c.want) {
				t.Errorf("got %v", got.err)
			}
			if name != "long" {
				p := s.next()
				if got, err := http.ReadRequest(p.in); err == nil {
					if _, err := io.ReadAll(got.Body); err == nil {
						t.Error("to the target it looks whole")
					}
				}
			} else {
				s.none() // what is seen to be wrong at the first look takes no connection
			}
			eventually(t, "the connection is closed", func() bool { _, open := transport.connections(); return open == 0 })
		})
	}
}

var errBroken = errors.New("broken")

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, errBroken }

// slow is a body whose reads wait until it is released.
type slow struct {
	first   io.Reader
	release chan struct{}
}

func (s *slow) Read(p []byte) (int, error) {
	if n, err := s.first.Read(p); err == nil {
		return n, nil
	}
	<-s.release
	return 0, errBroken
}

// TestTransport_a_body_that_pauses has the target get the head and what is there
// of a small body, and then the rest.
func TestTransport_a_body_that_pauses(t *testing.T) {
	s, transport := newTarget(t), newTransport(t, nil)
	body, more := io.Pipe()
	r := request(t, "POST", s.url, body)
	r.ContentLength = 10
	done := start(t, transport, r)
	if _, err := io.WriteString(more, "hello"); err != nil {
		t.Fatal(err)
	}
	p := s.next()
	got, err := http.ReadRequest(p.in)
	if err != nil {
		t.Fatal(err)
	}
	text := make([]byte, 5)
	if _, err := io.ReadFull(got.Body, text); err != nil || string(text) != "hello" || got.ContentLength != 10 {
		t.Errorf("%q of %d bytes, %v", text, got.ContentLength, err)
	}
	go func() { _, _ = io.WriteString(more, "world"); _ = more.Close() }()
	if rest, err := io.ReadAll(got.Body); err != nil || string(rest) != "world" {
		t.Errorf("then %q, %v", rest, err)
	}
	p.say(okay)
	wantOK(t, done)
}

// TestTransport_a_body_that_pauses_is_kept has a request whose target cannot be
// reached keep its whole body for another.
func TestTransport_a_body_that_pauses_is_kept(t *testing.T) {
	transport := newTransport(t, func(o *Options) {
		o.Dial = func(context.Context, string, string) (net.Conn, error) { return nil, errBroken }
	})
	r := request(t, "POST", "http://target.test", io.NopCloser(io.MultiReader(strings.NewReader("hello"), strings.NewReader("world"))))
	r.ContentLength = 10
	if got := <-start(t, transport, r); !errors.Is(got.err, errBroken) {
		t.Errorf("%v", got.err)
	}
	if text, err := io.ReadAll(r.Body); err != nil || string(text) != "helloworld" {
		t.Errorf("%q is left, %v", text, err)
	}
}

func TestTransport_S_P15_an_early_answer_passes_and_its_connection_ends(t *testing.T) {
	for name, length := range map[string]int64{"of a known length": 1 << 20, "in chunks": -1} {
		t.Run(name, func(t *testing.T) {
			s, transport := newTarget(t), newTransport(t, nil)
			body := &slow{strings.NewReader("hello"), make(chan struct{})}
			r := request(t, "POST", s.url, io.NopCloser(body))
			r.ContentLength = length
			done := start(t, transport, r)
			p := s.next()
			p.say("HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno")
			if got := <-done; got.err != nil || got.StatusCode != 413 || got.body != "no" {
				t.Errorf("got %v", got)
			}
			if idle, open := transport.connections(); idle != 0 || open != 0 {
				t.Errorf("%d idle of %d connections", idle, open)
			}
			close(body.release)
			if err := transport.Close(); err != nil { // waits for the body
				t.Error(err)
			}
		})
	}
	t.Run("also when the target takes no more", func(t *testing.T) {
		s, transport := newTarget(t), newTransport(t, nil)
		r := request(t, "POST", s.url, io.NopCloser(io.LimitReader(endless{}, 1<<30)))
		r.ContentLength = 1 << 30
		done := start(t, transport, r)
		p := s.next()
		p.say("HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno")
		_ = p.Conn.(*net.TCPConn).CloseWrite()
		if got := <-done; got.err != nil || got.StatusCode != 413 || got.body != "no" {
			t.Errorf("got %v", got)
		}
		if err := transport.Close(); err != nil {
			t.Error(err)
		}
	})
	t.Run("and both may stream at once", func(t *testing.T) {
		s, transport := newTarget(t), newTransport(t, nil)
		up, feed := io.Pipe()
		r := request(t, "POST", s.url, up)
		r.ContentLength = -1
		done := make(chan *http.Response, 1)
		go func() {
			res, err := transport.RoundTrip(r)
			if err != nil {
				t.Error(err)
			}
			done <- res
		}()
		p := s.next()
		req, err := http.ReadRequest(p.in)
		if err != nil {
			t.Fatal(err)
		}
		p.say("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
		res := <-done
		for range 3 {
			_, _ = feed.Write([]byte("ping"))
			got := make([]byte, 4)
			if _, err := io.ReadFull(req.Body, got); err != nil || string(got) != "ping" {
				t.Fatalf("the target got %q, %v", got, err)
			}
			p.say("4\r\npong\r\n")
			if _, err := io.ReadFull(res.Body, got); err != nil || string(got) != "pong" {
				t.Fatalf("got %q, %v", got, err)
			}
		}
		_ = feed.Close()
		p.say("0\r\n\r\n")
		if _, err := io.ReadAll(res.Body); err != nil {
			t.Error(err)
		}
	})
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

// counting counts the reads of a body.
type counting struct {
	io.Reader
	reads atomic.Int32
}

func (c *counting) Read(p []byte) (int, error) { c.reads.Add(1); return c.Reader.Read(p) }

func TestTransport_S_P15_expectations(t *testing.T) {
	ask := func(t *testing.T, transport *Transport, s *target) (*counting, <-chan came, chan string) {
		t.Helper()
		body := &counting{Reader: strings.NewReader("hello")}
		r := request(t, "POST", s.url, io.NopCloser(body))
		r.ContentLength = 5
		r.Header.Set("Expect", "100-continue")
		told := make(chan string, 4)
		return body, start(t, transport, r.WithContext(informed{t.Context(), told})), told
	}
	head := func(p *peer) *http.Request {
		t.Helper()
		r, err := http.ReadRequest(p.in)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	t.Run("met", func(t *testing.T) {
		s, transport := newTarget(t), newTransport(t, nil)
		body, done, told := ask(t, transport, s)
		p := s.next()
		r := head(p)
		if body.reads.Load() != 0 {
			t.Error("the body was read before")
		}
		p.say("HTTP/1.1 100 Continue\r\n\r\n")
		if got, _ := io.ReadAll(r.Body); string(got) != "hello" {
			t.Errorf("the target got %q", got)
		}
		p.say(okay)
		wantOK(t, done)
		if got := <-told; got != "100 " {
			t.Errorf("told of %s", got)
		}
	})
	t.Run("not met", func(t *testing.T) {
		s, transport := newTarget(t), newTransport(t, nil)
		body, done, _ := ask(t, transport, s)
		p := s.next()
		head(p)
		p.say("HTTP/1.1 417 Expectation Failed\r\nContent-Length: 2\r\n\r\nno")
		if got := <-done; got.err != nil || got.StatusCode != 417 || body.reads.Load() != 0 {
			t.Errorf("got %v after %d reads", got, body.reads.Load())
		}
		p.wantEnd() // the target could take the next request for the body
	})
	t.Run("not understood", func(t *testing.T) {
		s, transport := newTarget(t), newTransport(t, func(o *Options) { o.ContinueTimeout = time.Millisecond })
		_, done, _ := ask(t, transport, s)
		p := s.next()
		if _, body := p.request(); body != "hello" {
			t.Errorf("the target got %q", body)
		}
		p.say(okay)
		wantOK(t, done)
	})
}

func TestTransport_a_caller_that_goes_away_ends_the_call(t *testing.T) {
	gone := errors.New("gone")
	for name, phase := range map[string]struct {
		body io.Reader
		say  string
	}{
		"before the answer":          {http.NoBody, ""},
		"in the head":                {http.NoBody, "HTTP/1.1 200 OK\r\n"},
		"in the body":                {http.NoBody, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe"},
		"in a chunk":                 {http.NoBody, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhe"},
		"in an endless body":         {http.NoBody, "HTTP/1.1 200 OK\r\n\r\nhe"},
		"while it sends a body":      {io.LimitReader(endless{}, 1<<40), ""},
		"while it sends and listens": {io.LimitReader(endless{}, 1<<40), "HTTP/1.1 200 OK\r\n\r\nhe"},
	} {
		t.Run(name, func(t *testing.T) {
			s, transport := newTarget(t), newTransport(t, nil)
			ctx, cancel := context.WithCancelCause(t.Context())
			r := request(t, "POST", s.url, phase.body).WithContext(ctx)
			if phase.body != http.NoBody {
				r.ContentLength = -1
			}
			done := start(t, transport, r)
			p := s.next()
			if _, err := http.ReadRequest(p.in); err != nil {
				t.Fatal(err)
			}
			p.say(phase.say)
			cancel(gone)
			if got := <-done; got.err == nil {
				t.Error("there is a whole answer")
			}
			_, _ = io.Copy(io.Discard, p.in)
			p.wantEnd()
			if _, open := transport.connections(); open != 0 {
				t.Errorf("%d connections are open", open)
			}
		})
	}
	t.Run("before there is a connection", func(t *testing.T) {
		s, transport := newTarget(t), newTransport(t, nil)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := transport.RoundTrip(request(t, "GET", s.url, http.NoBody).WithContext(ctx)); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	})
}

func TestBody_can_be_closed_at_any_time(t *testing.T) {
	for name, say := range map[string]string{
		"a length":   "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\nhe",
		"chunks":     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhe",
		"no framing": "HTTP/1.1 200 OK\r\n\r\nhe",
	} {
		for _, reading := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				s, transport := newTarget(t), newTransport(t, nil)
				answered := make(chan *http.Response, 1)
				go func() {
					res, err := transport.RoundTrip(request(t, "GET", s.url, http.NoBody))
					if err != nil {
						t.Error(err)
					}
					answered <- res
				}()
				p := s.next()
				p.request()
				p.say(say)
				res := <-answered
				begun, over := make(chan struct{}), make(chan error, 1)
				go func() {
					if !reading {
						close(begun)
						over <- errBodyClosed
						return
					}
					_, _ = io.ReadFull(res.Body, make([]byte, 2))
					close(begun)
					_, err := io.Copy(io.Discard, res.Body)
					over <- err
				}()
				<-begun
				if err := res.Body.Close(); err != nil {
					t.Error(err)
				}
				if err := <-over; !errors.Is(err, errBodyClosed) {
					t.Errorf("the read ended with %v", err)
				}
				if _, err := res.Body.Read(make([]byte, 1)); !errors.Is(err, errBodyClosed) {
					t.Errorf("a read gives %v", err)
				}
				if err := res.Body.Close(); err != nil {
					t.Error(err)
				}
				p.wantEnd()
				if _, open := transport.connections(); open != 0 {
					t.Errorf("%d connections are open", open)
				}
			})
		}
	}
}
