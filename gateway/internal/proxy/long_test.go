package proxy

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse.internal/gateway/internal/proxy/live"
	"gatehouse.internal/shared/fault"
)

// running has the registry end answers until the end of the test. stop is what
// a gateway that stops does first.
func running(t testing.TB, r *live.Registry) (stop func()) {
	t.Helper()
	begin := func(run func(context.Context) error) (end func()) {
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan struct{})
		go func() { defer close(done); _ = run(ctx) }()
		return sync.OnceFunc(func() { cancel(); <-done })
	}
	t.Cleanup(begin(r.Run))
	stop = begin(r.Leave)
	t.Cleanup(stop)
	return stop
}

// endless answers and then says nothing more until the client has gone.
func endless(contentType string, length string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", contentType)
		if length != "" {
			w.Header().Set("Content-Length", length)
		}
		_, _ = io.WriteString(w, "begun\n"+strings.Repeat("x", 64<<10)) // more than is buffered on the way
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}
}

func TestLive_I13_F37_LongAnswersEndWithTheirSession(t *testing.T) {
	open := map[string]struct {
		answer  http.HandlerFunc
		request string
	}{
		"an event stream":       {endless("text/event-stream", ""), get},
		"a long poll":           {endless("application/json", ""), get},
		"a large download":      {endless("application/zip", "1000000000"), get},
		"a WebSocket":           {echoSocket, wsHead + "\r\n"},
		"a WebSocket, half way": {echoSocket, wsHead + "\r\n" + "some frames"},
	}
	ends := map[string]func(f *front, stop func()){
		"its session is revoked":          func(f *front, _ func()) { f.verdict.say(fault.New(fault.TokenRevoked, "")) },
		"nothing fresh is known any more": func(f *front, _ func()) { f.verdict.say(fault.New(fault.RevocationStateUnknown, "")) },
		"the gateway stops":               func(_ *front, stop func()) { stop() },
	}
	for what, o := range open {
		for when, end := range ends {
			if when == "the gateway stops" && (what == "a long poll" || what == "a large download") {
				continue // these may come to their end
			}
			t.Run(what+" ends when "+when, func(t *testing.T) {
				up := newRecorder(t, o.answer)
				f := newFront(t, up.URL).calls(func(c *Call) { signedIn(c); c.WebSocket = true; c.MaxStaleness = time.Second })
				stop := running(t, f.live)
				_, in := f.raw(t, o.request)
				if _, err := in.ReadString('\n'); err != nil {
					t.Fatal(err)
				}
				eventually(t, "it is registered", func() bool { return f.live.Len() == 1 })
				end(f, stop)
				if !endsSoon(in) {
					t.Error("it goes on")
				}
				eventually(t, "it is forgotten", func() bool { return f.live.Len() == 0 && f.set.Targets()[0].State().InFlight == 0 })
				if f.set.Targets()[0].State().Ejected {
					t.Error("the upstream is blamed")
				}
			})
		}
	}
}

// endsSoon reads until the connection ends; raw set a deadline of ten seconds.
func endsSoon(in *bufio.Reader) bool {
	started := time.Now()
	_, _ = io.Copy(io.Discard, in)
	return time.Since(started) < 5*time.Second
}

func TestLive_ShortAnswersAreNotRegistered(t *testing.T) {
	ended := 0
	up := newRecorder(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, strings.Repeat("x", 2<<20)) // long, but quick
	})
	f := newFront(t, up.URL).calls(signedIn)
	f.proxy.live = live.New(live.Options{Revocations: f.verdict, Now: time.Now, Ended: func(live.Kind, live.Cause) { ended++ }})
	_, _ = f.ask(t, get)
	_, _ = f.ask(t, strings.Replace(get, "GET", "HEAD", 1))
	if ended != 0 || f.proxy.live.Len() != 0 {
		t.Error("a short answer was registered")
	}
}

func TestLive_AnAnswerThatIsCutLooksCut(t *testing.T) {
	for name, length := range map[string]string{"chunked": "", "of known length": "1000000"} {
		t.Run(name, func(t *testing.T) {
			up := newRecorder(t, endless("application/octet-stream", length))
			f := newFront(t, up.URL).calls(signedIn)
			running(t, f.live)
			_, in := f.raw(t, get)
			res, err := http.ReadResponse(in, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = res.Body.Close() }()
			eventually(t, "it is registered", func() bool { return f.live.Count(live.Other) == 1 })
			f.verdict.say(fault.New(fault.TokenRevoked, ""))
			if _, err := io.Copy(io.Discard, res.Body); !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("it ends with %v", err)
			}
		})
	}
}

func TestLive_F37_AClientThatReadsNothingIsCutOffToo(t *testing.T) {
	up := newRecorder(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		for r.Context().Err() == nil {
			if _, err := io.WriteString(w, strings.Repeat("x", 64<<10)); err != nil {
				return
			}
		}
	})
	f := newFront(t, up.URL).calls(signedIn)
	running(t, f.live)
	_, _ = f.raw(t, get) // and never reads
	eventually(t, "it is registered", func() bool { return f.live.Count(live.EventStream) == 1 })
	f.verdict.say(fault.New(fault.TokenRevoked, ""))
	eventually(t, "it is forgotten", func() bool { return f.live.Len() == 0 && f.set.Targets()[0].State().InFlight == 0 })
}

func TestLive_F37_AnUploadOfARevokedSessionIsRefused(t *testing.T) {
	for name, length := range map[string]string{"of known length": "Content-Length: 2000000\r\n", "chunked": "Transfer-Encoding: chunked\r\n"} {
		t.Run(name, func(t *testing.T) {
			broken := make(chan error, 1)
			up := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				_, err := io.Copy(io.Discard, r.Body)
				broken <- err
			}))
			t.Cleanup(up.Close)
			f := newFront(t, up.URL).calls(signedIn)
			running(t, f.live)
			_, in := f.raw(t, strings.Replace(get, "GET", "PUT", 1)[:len(get)-2]+length+"\r\n5\r\nhello\r\n")
			eventually(t, "it is registered", func() bool { return f.live.Len() == 1 })
			f.verdict.say(fault.New(fault.TokenRevoked, ""))
			if res, body := answer(t, in); res.StatusCode != http.StatusUnauthorized || !strings.Contains(body, "token_revoked") {
				t.Errorf("got %d %s", res.StatusCode, body)
			}
			if err := <-broken; err == nil {
				t.Error("to the upstream the body looks whole")
			}
			if f.set.Targets()[0].State().Ejected || f.live.Len() != 0 {
				t.Error("the upstream is blamed, or the upload not forgotten")
			}
		})
	}
}

func TestLive_AnUploadMayBecomeAnEventStream(t *testing.T) {
	up := newRecorder(t, endless("text/event-stream", ""))
	f := newFront(t, up.URL).calls(signedIn)
	running(t, f.live)
	c, in := f.raw(t, strings.Replace(get, "GET", "PUT", 1)[:len(get)-2]+"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
	eventually(t, "it is registered", func() bool { return f.live.Count(live.Other) == 1 })
	_, _ = io.WriteString(c, "0\r\n\r\n")
	eventually(t, "it is a stream", func() bool { return f.live.Count(live.EventStream) == 1 && f.live.Len() == 1 })
	f.verdict.say(fault.New(fault.TokenRevoked, ""))
	if !endsSoon(in) {
		t.Error("it goes on")
	}
	eventually(t, "it is forgotten", func() bool { return f.live.Len() == 0 })
}

func TestLive_AnAnswerEndsWithItsToken(t *testing.T) {
	for name, c := range map[string]struct {
		edit func(*Call)
		ends bool
	}{
		"where its route says so":   {func(c *Call) { c.EndAtExpiry = true }, true},
		"and not where it does not": {func(*Call) {}, false},
	} {
		t.Run(name, func(t *testing.T) {
			up := newRecorder(t, endless("text/event-stream", ""))
			f := newFront(t, up.URL).calls(func(call *Call) {
				signedIn(call)
				call.Claims.ExpiresAt = time.Now().Add(300 * time.Millisecond)
				c.edit(call)
			})
			running(t, f.live)
			conn, in := f.raw(t, get)
			if _, err := in.ReadString('\n'); err != nil {
				t.Fatal(err)
			}
			_ = conn.SetReadDeadline(time.Now().Add(time.Second))
			_, err := io.Copy(io.Discard, in)
			if lives := errors.Is(err, os.ErrDeadlineExceeded); lives == c.ends {
				t.Errorf("it lives on: %t (%v)", lives, err)
			}
		})
	}
}

func TestExchange_AnAnswerThatStandsStillIsGivenUp(t *testing.T) {
	up := newRecorder(t, endless("application/zip", "1000000"))
	f := newFront(t, up.URL)
	f.proxy.pause = 50 * time.Millisecond
	_, in := f.raw(t, get)
	if !endsSoon(in) {
		t.Error("it goes on")
	}
	if f.set.Targets()[0].State().Ejected {
		t.Error("the upstream is blamed at once")
	}
}

func TestExchange_AClientThatTakesNothingIsGivenUp(t *testing.T) {
	for _, contentType := range []string{"application/zip", "text/event-stream"} {
		up := newRecorder(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", contentType)
			for r.Context().Err() == nil {
				if _, err := io.WriteString(w, strings.Repeat("x", 64<<10)); err != nil {
					return
				}
			}
		})
		f := newFront(t, up.URL)
		f.proxy.pause = 50 * time.Millisecond
		_, _ = f.raw(t, get)
		eventually(t, "the request arrives", func() bool { return len(up.requests()) == 1 })
		eventually(t, "the place is given back", func() bool { return f.set.Targets()[0].State().InFlight == 0 })
		if f.set.Targets()[0].State().Ejected {
			t.Error("the upstream is blamed")
		}
	}
}

func TestExchange_AnEventStreamMayBeSilent(t *testing.T) {
	next := make(chan struct{})
	up := newRecorder(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		_ = http.NewResponseController(w).Flush()
		<-next
		_, _ = io.WriteString(w, "data: late\n\n")
	})
	f := newFront(t, up.URL)
	f.proxy.pause = 20 * time.Millisecond
	_, in := f.raw(t, get)
	res, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	time.AfterFunc(100*time.Millisecond, func() { close(next) })
	if body, err := io.ReadAll(res.Body); err != nil || string(body) != "data: late\n\n" {
		t.Errorf("got %q %v", body, err)
	}
}

func TestNewTransport_TLS(t *testing.T) {
	up := newTLSRecorder(t)
	transport := NewTransport(TransportOptions{TLS: &TLSFiles{CA: certificateOf(t, up)}})
	t.Cleanup(transport.CloseIdleConnections)
	if transport.now.Load().http1.ResponseHeaderTimeout != DefaultTimeout {
		t.Errorf("timeout %v", transport.now.Load().http1.ResponseHeaderTimeout)
	}
	res, body := tunedFront(t, Options{Transport: transport}, up.URL).ask(t, get)
	if res.StatusCode != http.StatusOK || body != "ok" {
		t.Errorf("got %d %q", res.StatusCode, body)
	}
	_, err := transport.now.Load().http1.DialTLSContext(t.Context(), "tcp", "127.0.0.1:1")
	if !unreachable(err) || !strings.Contains(err.Error(), "refused") {
		t.Errorf("dialling a closed port: %v", err)
	}
}

func TestProbe_Ask(t *testing.T) {
	for answer, well := range map[string]bool{
		"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n": true, "HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno": true,
		"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n": false, "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n": false, "nonsense\r\n\r\n": false,
	} {
		address, _ := rawUpstream(t, answer, hangUp)
		target, err := url.Parse(address)
		if err != nil {
			t.Fatal(err)
		}
		p := NewProbe("/livez", nil, TransportOptions{})
		if err := p.Ask(t.Context(), target); (err == nil) != well {
			t.Errorf("%q: %v", answer, err)
		}
		p.Close()
	}
	up := newRecorder(t, nil)
	target, _ := url.Parse(up.URL)
	p := NewProbe("/health?deep=1", []int{200}, TransportOptions{})
	defer p.Close()
	other := NewProbe("/health", []int{204, 404}, TransportOptions{})
	defer other.Close()
	if err := other.Ask(t.Context(), target); err == nil {
		t.Error("a status that was not asked for is well")
	}
	if err := p.Ask(t.Context(), target); err != nil || up.last(t).target != "/health?deep=1" {
		t.Errorf("%v, asked for %q", err, up.last(t).target)
	}
}
