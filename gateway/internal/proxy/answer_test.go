package proxy

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"gatehouse.internal/gateway/internal/upstream"
	"gatehouse.internal/shared/fault"
)

const get = "GET /a HTTP/1.1\r\nHost: gw\r\nConnection: close\r\n\r\n"

// hangUp closes the connection at once.
func hangUp(net.Conn) {}

// silence keeps the connection open until the other side closes it.
func silence(c net.Conn) { _, _ = io.Copy(io.Discard, c) }

func wantProblem(t *testing.T, res *http.Response, body string, status int, kind fault.Kind) {
	t.Helper()
	var p struct {
		Code   string
		Status int
	}
	_ = json.Unmarshal([]byte(body), &p)
	if res.StatusCode != status || p.Code != string(kind) || p.Status != status || res.Header.Get("Content-Type") != "application/problem+json" {
		t.Errorf("got %d %s, want %d %s", res.StatusCode, body, status, kind)
	}
}

func TestServe_SP14UpstreamMisbehaves(t *testing.T) {
	for _, c := range []struct {
		name, answer string
		end          func(net.Conn)
		status       int
		kind         fault.Kind
	}{
		{"not HTTP", "SSH-2.0-OpenSSH_9.9\r\n", hangUp, 502, fault.UpstreamError},
		{"nothing", "", hangUp, 502, fault.UpstreamError},
		{"half a head", "HTTP/1.1 200 OK\r\nContent-Le", hangUp, 502, fault.UpstreamError},
		{"a bad status", "HTTP/1.1 abc OK\r\n\r\n", hangUp, 502, fault.UpstreamError},
		{"HTTP/9", "HTTP/9.x 200 OK\r\n\r\n", hangUp, 502, fault.UpstreamError},
		{"a status that is none", "HTTP/1.1 000 X\r\nContent-Length: 0\r\n\r\n", hangUp, 502, fault.UpstreamError},
		{"a space before the colon", "HTTP/1.1 200 OK\r\nContent-Length : 2\r\n\r\nok", hangUp, 502, fault.UpstreamError},
		{"a header without a colon", "HTTP/1.1 200 OK\r\nnonsense\r\n\r\nok", hangUp, 502, fault.UpstreamError},
		{"two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\nok!", hangUp, 502, fault.UpstreamError},
		{"a negative length", "HTTP/1.1 200 OK\r\nContent-Length: -2\r\n\r\nok", hangUp, 502, fault.UpstreamError},
		{"a length with a sign", "HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nok", hangUp, 502, fault.UpstreamError},
		{"framed twice", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", silence, 502, fault.UpstreamError},
		{"framed twice the other way round", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nX: y\r\ncontent-length: 2\r\n\r\n2\r\nok\r\n0\r\n\r\n", silence, 502, fault.UpstreamError},
		{"framed twice after an interim answer", "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", silence, 502, fault.UpstreamError},
		{"an unknown coding", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", hangUp, 502, fault.UpstreamError},
		{"a head without end", "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 100<<10) + "\r\n\r\n", hangUp, 502, fault.UpstreamError},
		{"a switch nobody asked for", "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", silence, 502, fault.UpstreamError},
		{"a switch to h2c", "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n", silence, 502, fault.UpstreamError},
		{"a 101 without a word", "HTTP/1.1 101 Switching Protocols\r\n\r\n", silence, 502, fault.UpstreamError},
		{"silence", "", silence, 504, fault.UpstreamTimeout},
		{"half a head and silence", "HTTP/1.1 200 OK\r\nX:", silence, 504, fault.UpstreamTimeout},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			url, _ := rawUpstream(t, c.answer, c.end)
			transport := NewTransport(TransportOptions{Timeout: 300 * time.Millisecond})
			defer transport.CloseIdleConnections()
			f := tunedFront(t, Options{Transport: transport}, url)
			_, in := f.raw(t, get)
			res, body := answer(t, in)
			for res.StatusCode == http.StatusEarlyHints {
				res, body = answer(t, in)
			}
			wantProblem(t, res, body, c.status, c.kind)
		})
	}
}

func TestServe_BothFramingsAreFoundAcrossReadsAndConnectionsInUse(t *testing.T) {
	for _, bad := range []bool{false, true} {
		up := newRecorder(t, func(w http.ResponseWriter, _ *http.Request) {
			conn, out, _ := w.(http.Hijacker).Hijack()
			defer func() { _ = conn.Close() }()
			head := "HTTP/1.1 200 OK\r\nX: 1\r\nTransfer-Encoding: chunked\r\n"
			if bad {
				head += "Content-Length: 2\r\n"
			}
			// The body looks like a head that is framed twice.
			for _, b := range []byte(head + "\r\n33\r\n\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n\r\n0\r\n\r\n") {
				_ = out.WriteByte(b)
				_ = out.Flush()
			}
		})
		f := newFront(t, up.URL)
		res, _ := f.ask(t, get)
		if got := res.StatusCode == http.StatusBadGateway; got != bad {
			t.Errorf("framed twice %v: %d", bad, res.StatusCode)
		}
	}
}

func TestServe_SP14ATruncatedBodyLooksTruncated(t *testing.T) {
	for _, c := range []struct{ name, answer string }{
		{"short of its length", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello"},
		{"without its last chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"},
		{"in the middle of a chunk", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhello"},
		{"a bad chunk size", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n-1\r\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			url, _ := rawUpstream(t, c.answer, hangUp)
			f := newFront(t, url)
			_, in := f.raw(t, "GET /a HTTP/1.1\r\nHost: gw\r\n\r\n")
			res, err := http.ReadResponse(in, nil)
			if err != nil {
				return // cut off before anything was sent is fine, too
			}
			defer func() { _ = res.Body.Close() }()
			if body, err := io.ReadAll(res.Body); err == nil {
				t.Errorf("it looks whole: %q", body)
			}
		})
	}
}

func TestServe_AnswersKeepWhatTheUpstreamSays(t *testing.T) {
	up := newRecorder(t, func(w http.ResponseWriter, _ *http.Request) {
		h := w.Header()
		h.Set("WWW-Authenticate", `Bearer realm="orders", error="invalid_token"`)
		h.Add("WWW-Authenticate", "Basic realm=x")
		h.Set("X-Content-Type-Options", "upstream")
		h.Set("X-Request-Id", "theirs")
		h.Set("Connection", "X-Secret-Hop, keep-alive")
		h.Set("X-Secret-Hop", "1")
		h.Set("Keep-Alive", "timeout=5")
		h.Set("Proxy-Authenticate", "Basic")
		h.Set("Access-Control-Allow-Origin", "*")
		h.Set("Access-Control-Allow-Credentials", "true")
		h.Add("Set-Cookie", "a=1; Path=/")
		h.Add("Set-Cookie", "__Host-access=planted; Path=/; Secure")
		h.Add("Set-Cookie", " __secure-refresh=planted")
		h.Add("Set-Cookie", "__Secure-Device=planted")
		h.Add("Set-Cookie", "=__Host-access=planted") // without a name; sent back as if it had one
		h.Add("Set-Cookie", " = __Secure-device=planted; Path=/")
		w.WriteHeader(http.StatusUnauthorized)
	})
	f := newFront(t, up.URL)
	res, _ := f.ask(t, get)
	want := map[string]string{
		"Www-Authenticate":       `Bearer realm="orders", error="invalid_token"|Basic realm=x`, // S-B8
		"X-Content-Type-Options": "upstream", "X-Request-Id": "req-1", "X-Secret-Hop": "", "Keep-Alive": "", "Proxy-Authenticate": "",
		"Access-Control-Allow-Origin": "https://app.example.com", "Access-Control-Allow-Credentials": "", "Set-Cookie": "a=1; Path=/",
	}
	for name, value := range want {
		if got := strings.Join(res.Header[name], "|"); got != value {
			t.Errorf("%s: %q, want %q", name, got, value)
		}
	}
	f = tunedFront(t, Options{Issuer: true}, up.URL)
	res, _ = f.ask(t, get)
	if got := len(res.Header["Set-Cookie"]); got != 6 {
		t.Errorf("the issuer set %d cookies of 6", got)
	}
}

func TestServe_InterimAnswersPassAndTakeNothingWithThem(t *testing.T) {
	url, _ := rawUpstream(t, "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", nil)
	f := newFront(t, url)
	_, in := f.raw(t, get)
	early, _ := answer(t, in)
	if early.StatusCode != http.StatusEarlyHints || early.Header.Get("Link") != "</a.css>" {
		t.Errorf("first came %d %v", early.StatusCode, early.Header)
	}
	res, body := answer(t, in)
	if res.StatusCode != http.StatusOK || body != "ok" || res.Header.Get("X-Request-Id") != "req-1" || res.Header.Get("Link") != "" ||
		res.Header.Get("Access-Control-Allow-Origin") != "https://app.example.com" {
		t.Errorf("then came %d %q %v", res.StatusCode, body, res.Header)
	}
}

func TestServe_Unreachable(t *testing.T) {
	closed, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	dead := "http://" + closed.Addr().String()
	_ = closed.Close()
	t.Run("a refused connection is unavailable", func(t *testing.T) {
		res, body := newFront(t, dead).ask(t, get)
		wantProblem(t, res, body, 503, fault.UpstreamUnavailable)
		if res.Header.Get("Retry-After") == "" {
			t.Error("it does not tell when to try again")
		}
	})
	t.Run("another target gets the request, body and all, whatever the method", func(t *testing.T) {
		up := newRecorder(t, nil)
		f := newFront(t, dead, up.URL)
		for range 6 {
			res, _ := f.ask(t, "POST /a HTTP/1.1\r\nHost: gw\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello")
			if got := up.last(t); res.StatusCode != http.StatusOK || got.body != "hello" {
				t.Fatalf("%d, body %q", res.StatusCode, got.body)
			}
		}
		if n := len(up.requests()); n != 6 {
			t.Errorf("upstream saw %d of 6", n)
		}
		if !f.set.Targets()[0].State().Ejected {
			t.Error("the dead target is not left out")
		}
		for _, target := range f.set.Targets() {
			eventually(t, "all places are given back", func() bool { return target.State().InFlight == 0 })
		}
	})
	t.Run("but only one other", func(t *testing.T) {
		var attempts int
		f := tunedFront(t, Options{Observe: func(int, time.Duration) { attempts++ }}, dead, dead, dead)
		res, body := f.ask(t, get)
		wantProblem(t, res, body, 503, fault.UpstreamUnavailable)
		if attempts != 2 {
			t.Errorf("%d attempts", attempts)
		}
	})
	t.Run("a certificate nobody vouches for is unavailable", func(t *testing.T) {
		secure := newTLSRecorder(t)
		res, body := newFront(t, secure.URL).ask(t, get)
		wantProblem(t, res, body, 503, fault.UpstreamUnavailable)
	})
}

func TestServe_OverloadedTargets(t *testing.T) {
	release := make(chan struct{})
	up := newRecorder(t, func(http.ResponseWriter, *http.Request) { <-release })
	f := newFront(t, up.URL)
	set, err := upstream.New(upstream.Settings{Targets: []string{up.URL}, MaxInFlight: 1})
	if err != nil {
		t.Fatal(err)
	}
	f.proxy.set = set
	_, first := f.raw(t, get)
	eventually(t, "the first arrives", func() bool { return len(up.requests()) == 1 })
	res, body := f.ask(t, get)
	wantProblem(t, res, body, 503, fault.Overloaded)
	close(release)
	if res, _ := answer(t, first); res.StatusCode != http.StatusOK {
		t.Errorf("the first gets %d", res.StatusCode)
	}
}

// accept is what a server answers to a WebSocket key.
// echoSocket grants a WebSocket and sends back what it gets.
func TestServe_StreamsAreFlushed(t *testing.T) {
	more := make(chan struct{})
	up := newRecorder(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
		for range 2 {
			_, _ = io.WriteString(w, "data: x\n\n")
			_ = http.NewResponseController(w).Flush()
			<-more
		}
	})
	f := newFront(t, up.URL)
	_, in := f.raw(t, get)
	res, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	defer close(more)
	lines := bufio.NewReader(res.Body)
	if line, err := lines.ReadString('\n'); err != nil || line != "data: x\n" {
		t.Fatalf("first event: %q %v", line, err)
	}
	more <- struct{}{}
	_, _ = lines.ReadString('\n')
	if line, err := lines.ReadString('\n'); err != nil || line != "data: x\n" {
		t.Fatalf("second event: %q %v", line, err)
	}
}

func TestServe_ErrorsAreLoggedNotShown(t *testing.T) {
	x := &exchange{proxy: &Proxy{}, Context: t.Context()}
	outcome, err := x.judge(errors.New("dial tcp 10.1.2.3: secret detail"))
	if f, ok := errors.AsType[*fault.Error](err); !ok || strings.Contains(f.Detail, "10.1.2.3") || outcome != upstream.Failed {
		t.Errorf("judged %v %v", err, outcome)
	}
}
