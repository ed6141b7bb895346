package h1

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

func TestTransport_reuses_a_quiet_connection(t *testing.T) {
	s, transport := newTarget(t), newTransport(t, nil)
	p := warm(t, transport, s)
	for range 3 {
		done := start(t, transport, request(t, "POST", s.url, strings.NewReader("hello")))
		if _, body := p.request(); body != "hello" {
			t.Fatalf("the target got %q", body)
		}
		p.say(okay)
		wantOK(t, done)
	}
	s.none()
}

func TestTransport_never_reuses_a_connection_on_which_something_came(t *testing.T) {
	for name, end := range map[string]func(*peer){
		"another answer": func(p *peer) { p.say(okay) },
		"a byte":         func(p *peer) { p.say("x") },
		"its end":        func(p *peer) { _ = p.Close() },
		"half of it":     func(p *peer) { _ = p.Conn.(*net.TCPConn).CloseWrite() },
		"a reset":        func(p *peer) { _ = p.Conn.(*net.TCPConn).SetLinger(0); _ = p.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			s, transport := newTarget(t), newTransport(t, nil)
			p := warm(t, transport, s)
			end(p)
			transport.mu.RLock()
			idle := transport.pools[strings.TrimPrefix(s.url, "http://")].idle[0]
			transport.mu.RUnlock()
			eventually(t, "it has come", func() bool { return !idle.quietForTest() })
			// What came there is no answer to this: a POST, which is never sent twice.
			done := start(t, transport, request(t, "POST", s.url, strings.NewReader("hello")))
			fresh := s.next()
			if _, body := fresh.request(); body != "hello" {
				t.Errorf("the target got %q", body)
			}
			fresh.say("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX: y\r\n\r\nok")
			if got := <-done; got.err != nil || got.Header.Get("X") != "y" {
				t.Errorf("got %v", got)
			}
			if idle, open := transport.connections(); idle != 1 || open != 1 {
				t.Errorf("%d idle of %d connections", idle, open)
			}
		})
	}
}

// quietForTest looks without taking anything.
func (c *conn) quietForTest() bool {
	var quiet bool
	_ = c.probe.raw.Read(func(fd uintptr) bool {
		quiet = peekEmpty(fd)
		return true
	})
	return quiet
}

func TestTransport_never_reuses_a_connection_after_more_than_the_answer(t *testing.T) {
	for name, answer := range map[string]string{
		"a body longer than its length": okay + "!",
		"a second answer":               okay + okay,
		"a body of a HEAD":              okay,
		"a body of a 204":               "HTTP/1.1 204 No Content\r\nContent-Length: 2\r\n\r\nok",
		"more than the last chunk":      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n0\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			s, transport := newTarget(t), newTransport(t, nil)
			method := "GET"
			if strings.Contains(name, "HEAD") {
				method = "HEAD"
			}
			done := start(t, transport, request(t, method, s.url, http.NoBody))
			p := s.next()
			p.request()
			p.say(answer)
			if got := <-done; got.err != nil || got.StatusCode/100 != 2 {
				t.Fatalf("got %v", got)
			}
			p.wantEnd()
			if idle, open := transport.connections(); idle != 0 || open != 0 {
				t.Errorf("%d idle of %d connections", idle, open)
			}
		})
	}
}

// TestTransport_S_P13 has the target close an idle connection at the moment at
// which the request goes out, in both places where that can be noticed.
func TestTransport_S_P13_sends_again_only_what_cannot_have_been_seen(t *testing.T) {
	for _, c := range []struct {
		method, body string
		again        bool
	}{
		{"GET", "", true}, {"HEAD", "", true}, {"OPTIONS", "", true},
		{"POST", "", false}, {"POST", "hello", false}, {"PUT", "", false}, {"DELETE", "", false}, {"PATCH", "x", false}, {"GET", "hello", false}, {"BREW", "", false},
	} {
		t.Run(c.method+" "+c.body, func(t *testing.T) {
			s, transport := newTarget(t), newTransport(t, nil)
			p := warm(t, transport, s)
			var body io.Reader = http.NoBody
			if c.body != "" {
				body = strings.NewReader(c.body)
			}
			done := start(t, transport, request(t, c.method, s.url, body))
			p.request()
			_ = p.Close() // without an answer
			if !c.again {
				if got := <-done; !errors.Is(got.err, io.ErrUnexpectedEOF) {
					t.Errorf("got %v", got.err)
				}
				s.none()
				return
			}
			fresh := s.next()
			fresh.request()
			_ = fresh.Close() // and never a third time
			if got := <-done; got.err == nil {
				t.Error("there is an answer")
			}
			s.none()
		})
	}
	t.Run("nothing that was answered in part", func(t *testing.T) {
		s, transport := newTarget(t), newTransport(t, nil)
		p := warm(t, transport, s)
		done := start(t, transport, request(t, "GET", s.url, http.NoBody))
		p.request()
		p.say("HTTP/1.1 103 Early Hints\r\n\r\n")
		_ = p.Close()
		if got := <-done; got.err == nil {
			t.Error("there is an answer")
		}
		s.none()
	})
	t.Run("nothing that took too long", func(t *testing.T) {
		s, transport := newTarget(t), newTransport(t, func(o *Options) { o.AnswerTimeout = 50 * time.Millisecond })
		p := warm(t, transport, s)
		done := start(t, transport, request(t, "GET", s.url, http.NoBody))
		p.request()
		if got, ok := errors.AsType[net.Error]((<-done).err); !ok || !got.Timeout() {
			t.Errorf("got %v", got)
		}
		s.none()
	})
	t.Run("everything of which nothing was sent", func(t *testing.T) {
		s := newTarget(t)
		broken := false
		transport := newTransport(t, func(o *Options) {
			o.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
				c, err := new(net.Dialer).DialContext(ctx, network, address)
				if err != nil {
					return nil, err
				}
				return &failingWrites{c.(*net.TCPConn), &broken}, nil
			}
		})
		warm(t, transport, s)
		broken = true
		done := start(t, transport, request(t, "POST", s.url, strings.NewReader("hello")))
		fresh := s.next()
		if _, body := fresh.request(); body != "hello" {
			t.Errorf("the target got %q", body)
		}
		fresh.say(okay)
		wantOK(t, done)
	})
}

// failingWrites fails one write before it sends anything.
type failingWrites struct {
	*net.TCPConn
	broken *bool
}

func (f *failingWrites) Write(p []byte) (int, error) {
	if *f.broken {
		*f.broken = false
		return 0, errors.New("broken pipe")
	}
	return f.TCPConn.Write(p)
}

func TestTransport_bounds_connections(t *testing.T) {
	s, transport := newTarget(t), newTransport(t, func(o *Options) { o.MaxConns, o.MaxIdle = 2, 1 })
	first := start(t, transport, request(t, "GET", s.url, http.NoBody))
	second := start(t, transport, request(t, "GET", s.url, http.NoBody))
	a, b := s.next(), s.next()
	if got := <-start(t, transport, request(t, "POST", s.url, strings.NewReader("hello"))); !errors.Is(got.err, ErrBusy) {
		t.Errorf("a third gives %v", got.err)
	}
	for _, p := range []*peer{a, b} {
		p.request()
		p.say(okay)
	}
	wantOK(t, first)
	wantOK(t, second)
	if idle, open := transport.connections(); idle != 1 || open != 1 {
		t.Errorf("%d idle of %d connections", idle, open)
	}
}

func TestTransport_gives_the_body_back_where_nobody_can_be_reached(t *testing.T) {
	transport := newTransport(t, func(o *Options) {
		o.Dial = func(context.Context, string, string) (net.Conn, error) { return nil, io.ErrClosedPipe }
	})
	r := request(t, "POST", "http://nowhere.invalid", strings.NewReader("hello"))
	if _, err := transport.RoundTrip(r); !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("got %v", err)
	}
	if body, _ := io.ReadAll(r.Body); string(body) != "hello" {
		t.Errorf("the body is %q", body)
	}
	if _, open := transport.connections(); open != 0 {
		t.Errorf("%d connections", open)
	}
}

func TestTransport_idle_connections_end(t *testing.T) {
	t.Run("after a while", func(t *testing.T) {
		s, transport := newTarget(t), newTransport(t, func(o *Options) { o.IdleTimeout = 20 * time.Millisecond })
		warm(t, transport, s).wantEnd()
		eventually(t, "none is open", func() bool { _, open := transport.connections(); return open == 0 })
	})
	t.Run("before the target ends them", func(t *testing.T) {
		for said, want := range map[string]time.Duration{
			"timeout=5": 4 * time.Second, "max=100, Timeout=5": 4 * time.Second, "timeout=1": time.Second / 2, "timeout=0": 0,
			"timeout=9999999": time.Minute, "timeout=x": time.Minute, "": time.Minute,
		} {
			if got := stay(http.Header{"Keep-Alive": {said}}, time.Minute); got != want {
				t.Errorf("Keep-Alive: %s is %v", said, got)
			}
		}
	})
	t.Run("when they are told to", func(t *testing.T) {
		s, transport := newTarget(t), newTransport(t, nil)
		p := warm(t, transport, s)
		transport.CloseIdleConnections()
		p.wantEnd()
	})
	t.Run("with the transport", func(t *testing.T) {
		s, transport := newTarget(t), newTransport(t, nil)
		p := warm(t, transport, s)
		done := start(t, transport, request(t, "GET", s.url, http.NoBody))
		p.request()
		if err := transport.Close(); err != nil {
			t.Error(err)
		}
		p.say(okay)
		wantOK(t, done)
		p.wantEnd()
		if _, err := transport.RoundTrip(request(t, "GET", s.url, http.NoBody)); err == nil {
			t.Error("it goes on")
		}
	})
}

func TestTransport_idle_connections_have_no_goroutine_and_no_memory(t *testing.T) {
	s, transport := newTarget(t), newTransport(t, nil)
	var calls []<-chan came
	for range 10 {
		calls = append(calls, start(t, transport, request(t, "GET", s.url, http.NoBody)))
	}
	var peers []*peer
	for range 10 {
		peers = append(peers, s.next())
	}
	for _, p := range peers {
		p.request()
		p.say(okay)
	}
	for _, done := range calls {
		wantOK(t, done)
	}
	if idle, _ := transport.connections(); idle != 10 {
		t.Fatalf("%d are idle", idle)
	}
	for _, p := range transport.pools {
		for _, c := range p.idle {
			if c.in.buf != nil {
				t.Error("an idle connection has memory")
			}
		}
	}
	stacks := make([]byte, 1<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	for text := range strings.SplitSeq(string(stacks), "\n\n") {
		if strings.Contains(text, "h1.(*conn)") || strings.Contains(text, "h1.(*sender)") || strings.Contains(text, "h1.(*pool)") {
			t.Errorf("a goroutine is left:\n%s", text)
		}
	}
}

func TestTransport_refuses_what_is_not_its_to_carry(t *testing.T) {
	s, transport := newTarget(t), newTransport(t, nil)
	for name, edit := range map[string]func(*http.Request){
		"https":                func(r *http.Request) { r.URL.Scheme = "https" },
		"no URL":               func(r *http.Request) { r.URL = nil },
		"an upgrade":           func(r *http.Request) { r.Header["Upgrade"] = []string{"websocket"} },
		"a line in a value":    func(r *http.Request) { r.Header["X"] = []string{"a\r\nX-User-Id: evil"} },
		"a LF in a value":      func(r *http.Request) { r.Header["X"] = []string{"a\nX-User-Id: evil"} },
		"a CR in a value":      func(r *http.Request) { r.Header["X"] = []string{"a\rb"} },
		"a NUL in a value":     func(r *http.Request) { r.Header["X"] = []string{"a\x00b"} },
		"a line in a name":     func(r *http.Request) { r.Header["X: y\r\nZ"] = []string{"a"} },
		"a colon in a name":    func(r *http.Request) { r.Header["X:"] = []string{"a"} },
		"an empty name":        func(r *http.Request) { r.Header[""] = []string{"a"} },
		"a line in the target": func(r *http.Request) { r.URL.Opaque = "/a HTTP/1.1\r\nX: y" },
		"a space in a target":  func(r *http.Request) { r.URL.Opaque = "/a b" },
		"a line in the query":  func(r *http.Request) { r.URL.RawQuery = "a\r\nX: y" },
		"a line in the host":   func(r *http.Request) { r.Host = "a\r\nX: y" },
		"a line in the method": func(r *http.Request) { r.Method = "GET / HTTP/1.1\r\nX: y\r\n\r\nGET" },
		"no method":            func(r *http.Request) { r.Method = "" },
		"a line in what is told beside": func(r *http.Request) {
			*r = *r.WithContext(telling{r.Context(), []Field{{Name: "X", Value: "a\r\nX-User-Id: evil"}}})
		},
	} {
		r := request(t, "GET", s.url, http.NoBody)
		edit(r)
		if _, err := transport.RoundTrip(r); err == nil {
			t.Errorf("%s is carried", name)
		}
	}
	s.none()
}

func TestTransport_writes_what_it_is_given(t *testing.T) {
	s, transport := newTarget(t), newTransport(t, nil)
	r := request(t, "PUT", s.url, http.NoBody)
	r.URL.Opaque, r.URL.RawQuery = "/a%2fb;c/%7E", "x=1;y=%zz&"
	r.Header = http.Header{
		"X-A": {"1", "2"}, "my_own": {"v"}, "Connection": {"close, X-A"}, "Keep-Alive": {"1"}, "Transfer-Encoding": {"chunked"}, "Content-Length": {"7"}, "Host": {"evil"}, "Trailer": {"X"},
	}
	r = r.WithContext(telling{t.Context(), []Field{{Name: "X-B", Value: "told"}, {Name: "X-C", Value: ""}}})
	done := start(t, transport, r)
	p := s.next()
	var lines []string
	for {
		line, err := p.in.ReadString('\n')
		if err != nil {
			t.Fatal(err)
		}
		if line == "\r\n" {
			break
		}
		lines = append(lines, strings.TrimSuffix(line, "\r\n"))
	}
	p.say(okay)
	wantOK(t, done)
	if lines[0] != "PUT /a%2fb;c/%7E?x=1;y=%zz& HTTP/1.1" || lines[1] != "Host: "+strings.TrimPrefix(s.url, "http://") || lines[2] != "Content-Length: 0" || len(lines) != 8 {
		t.Errorf("the head is %q", lines)
	}
	for _, want := range []string{"X-A: 1", "X-A: 2", "my_own: v", "X-B: told", "X-C: "} {
		if !strings.Contains(strings.Join(lines, "\n")+"\n", want+"\n") {
			t.Errorf("there is no %s in %q", want, lines)
		}
	}
}

func TestTransport_interim_answers(t *testing.T) {
	s, transport := newTarget(t), newTransport(t, nil)
	told := make(chan string, 4)
	r := request(t, "GET", s.url, http.NoBody)
	done := start(t, transport, r.WithContext(informed{t.Context(), told}))
	p := s.next()
	p.request()
	p.say("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n")
	if got := fmt.Sprint(<-told, <-told); got != "103 </a>102 " {
		t.Errorf("told of %s", got)
	}
	p.say(okay)
	wantOK(t, done)
}
