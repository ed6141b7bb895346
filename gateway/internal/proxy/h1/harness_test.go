package h1

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"
)

// target is a server whose connections the test plays by hand.
type target struct {
	t   testing.TB
	url string
	in  chan net.Conn
}

func newTarget(t testing.TB) *target {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &target{t: t, url: "http://" + l.Addr().String(), in: make(chan net.Conn, 64)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_ = c.SetDeadline(time.Now().Add(10 * time.Second))
			s.in <- c
		}
	}()
	t.Cleanup(func() {
		_ = l.Close()
		<-done
		close(s.in)
		for c := range s.in {
			_ = c.Close()
		}
	})
	return s
}

// peer is the target's end of a connection.
type peer struct {
	t testing.TB
	net.Conn
	in *bufio.Reader
}

// next is the next connection that came.
func (s *target) next() *peer {
	s.t.Helper()
	select {
	case c := <-s.in:
		s.t.Cleanup(func() { _ = c.Close() })
		return &peer{s.t, c, bufio.NewReader(c)}
	case <-time.After(10 * time.Second):
		s.t.Fatal("no connection came")
		return nil
	}
}

// none sees to it that no further connection has come.
func (s *target) none() {
	s.t.Helper()
	select {
	case <-s.in:
		s.t.Error("another connection came")
	default:
	}
}

// request reads one request, body and all.
func (p *peer) request() (*http.Request, string) {
	p.t.Helper()
	r, err := http.ReadRequest(p.in)
	if err != nil {
		p.t.Fatalf("the target reads a request: %v", err)
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		p.t.Fatalf("the target reads a body: %v", err)
	}
	return r, string(body)
}

func (p *peer) say(text string) {
	p.t.Helper()
	if _, err := io.WriteString(p, text); err != nil {
		p.t.Fatalf("the target answers: %v", err)
	}
}

// wantEnd waits until the other end has closed the connection.
func (p *peer) wantEnd() {
	p.t.Helper()
	if _, err := p.in.ReadByte(); err == nil {
		p.t.Error("the connection goes on")
	} else if errors.Is(err, os.ErrDeadlineExceeded) {
		p.t.Error("the connection stays")
	}
}

const okay = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

func newTransport(t testing.TB, edit func(*Options)) *Transport {
	t.Helper()
	o := Options{
		Dial: new(net.Dialer).DialContext, AnswerTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second, ContinueTimeout: 10 * time.Second,
		IdleTimeout: time.Minute, MaxIdle: 16, MaxConns: 64, MaxHead: 64 << 10,
	}
	if edit != nil {
		edit(&o)
	}
	transport := New(o)
	t.Cleanup(func() { _ = transport.Close() })
	return transport
}

// came is what a call has led to.
type came struct {
	*http.Response
	body string
	err  error
}

// start begins a call and reads its answer.
func start(t testing.TB, trip http.RoundTripper, r *http.Request) <-chan came {
	t.Helper()
	done := make(chan came, 1)
	var group sync.WaitGroup
	group.Go(func() {
		res, err := trip.RoundTrip(r)
		if err != nil {
			done <- came{err: err}
			return
		}
		body, err := io.ReadAll(res.Body)
		_ = res.Body.Close()
		done <- came{res, string(body), err}
	})
	t.Cleanup(group.Wait)
	return done
}

func request(t testing.TB, method, url string, body io.Reader) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func wantOK(t testing.TB, done <-chan came) {
	t.Helper()
	if got := <-done; got.err != nil || got.StatusCode != 200 || got.body != "ok" {
		t.Fatalf("got %q, %v", got.body, got.err)
	}
}

// warm makes one call, so that there is an idle connection.
func warm(t testing.TB, transport *Transport, s *target) *peer {
	t.Helper()
	done := start(t, transport, request(t, "GET", s.url, http.NoBody))
	p := s.next()
	p.request()
	p.say(okay)
	wantOK(t, done)
	return p
}

// eventually waits for a condition, with a deadline.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	deadline := time.After(10 * time.Second)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-deadline:
			t.Fatalf("never: %s", what)
		case <-tick.C:
		}
	}
}

func (t *Transport) connections() (idle, open int) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	for _, p := range t.pools {
		p.mu.Lock()
		idle, open = idle+len(p.idle), open+p.open
		p.mu.Unlock()
	}
	return idle, open
}

// informed is a context that notes interim answers.
type informed struct {
	context.Context
	told chan string
}

func (i informed) Interim(status int, h http.Header) error {
	i.told <- fmt.Sprint(status, " ", strings.Join(h["Link"], "|"))
	return nil
}

// telling is a context that has fields for the request.
type telling struct {
	context.Context
	fields []Field
}

func (t telling) Told() []Field { return t.fields }
