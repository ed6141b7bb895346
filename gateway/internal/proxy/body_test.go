package proxy

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"gatehouse.internal/shared/fault"
)

func newTLSRecorder(t *testing.T) *httptest.Server {
	t.Helper()
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") }))
	s.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelInfo)
	s.StartTLS()
	t.Cleanup(s.Close)
	return s
}

func TestServe_BodyLimit(t *testing.T) {
	up := newRecorder(t, nil)
	f := newFront(t, up.URL).calls(func(c *Call) { c.MaxBody = 10 })
	chunked := func(n int) string {
		return fmt.Sprintf("POST /a HTTP/1.1\r\nHost: gw\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", n, strings.Repeat("x", n))
	}
	announced := func(n int) string {
		return fmt.Sprintf("POST /a HTTP/1.1\r\nHost: gw\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s", n, strings.Repeat("x", n))
	}
	for i, make := range []func(int) string{chunked, announced} {
		// A path of its own: a request that was cut off may be recorded later.
		path := fmt.Sprintf("/whole/%d", i)
		res, _ := f.calls(func(c *Call) { c.MaxBody, c.Path = 10, path }).ask(t, make(10))
		whole := 0
		for _, got := range up.requests() {
			if got.target == path && got.body == strings.Repeat("x", 10) {
				whole++
			}
		}
		if res.StatusCode != http.StatusOK || whole != 1 {
			t.Errorf("10 of 10 bytes: %d, and the upstream has %d such requests", res.StatusCode, whole)
		}
		f.calls(func(c *Call) { c.MaxBody = 10 })
		for _, n := range []int{11, 5000} {
			res, body := f.ask(t, make(n))
			wantProblem(t, res, body, 413, fault.PayloadTooLarge)
		}
	}
	for _, got := range up.requests() {
		if len(got.body) > 10 {
			t.Errorf("upstream got %d bytes", len(got.body))
		}
	}
}

func TestServe_TheClientsFaultsAreNotTheUpstreams(t *testing.T) {
	up := newRecorder(t, nil)
	other := newRecorder(t, nil)
	f := newFront(t, up.URL, other.URL)
	for _, rest := range []string{
		"zz\r\n", "-5\r\nhello\r\n", "+5\r\nhello\r\n0\r\n\r\n", "0x5\r\nhello\r\n0\r\n\r\n", "5_0\r\nhello\r\n0\r\n\r\n", "5\r\nhelloX\r\n0\r\n\r\n", "FFFFFFFFFFFFFFFFF\r\nhello\r\n",
		"5\r\nhello", "5 5\r\nhello\r\n0\r\n\r\n", "5\r\nhello\r\n0\r\nbad trailer\r\n\r\n",
	} {
		for range 12 {
			c, in := f.raw(t, "POST /a HTTP/1.1\r\nHost: gw\r\nTransfer-Encoding: chunked\r\n\r\n"+rest)
			_ = c.(interface{ CloseWrite() error }).CloseWrite()
			res, err := http.ReadResponse(in, nil)
			if err != nil {
				continue // nothing is an answer, too
			}
			_ = res.Body.Close()
			if res.StatusCode != http.StatusBadRequest {
				t.Errorf("%q: %d", rest, res.StatusCode)
			}
		}
	}
	for _, target := range f.set.Targets() {
		if state := target.State(); state.Ejected {
			t.Errorf("a client had %s left out", state.URL)
		}
	}
	for _, got := range up.requests() {
		if got.ContentLength >= 0 || len(got.TransferEncoding) == 0 {
			t.Errorf("upstream saw another framing: %v", got.TransferEncoding)
		}
	}
}

func TestServe_AClientThatGoesAwayIsNotTheUpstreamsFault(t *testing.T) {
	arrived, release := make(chan struct{}, 100), make(chan struct{})
	up := newRecorder(t, func(http.ResponseWriter, *http.Request) { arrived <- struct{}{}; <-release })
	defer close(release)
	f := newFront(t, up.URL, up.URL)
	for range 10 {
		c, _ := f.raw(t, get)
		<-arrived
		_ = c.Close()
	}
	for _, target := range f.set.Targets() {
		eventually(t, "the calls end", func() bool { return target.State().InFlight == 0 })
		if target.State().Ejected {
			t.Error("a client had a target left out")
		}
	}
}

func TestServe_SP15Expect(t *testing.T) {
	up := newRecorder(t, nil)
	f := newFront(t, up.URL)
	t.Run("100-continue is granted", func(t *testing.T) {
		c, in := f.raw(t, "POST /a HTTP/1.1\r\nHost: gw\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
		if res, _ := answer(t, in); res.StatusCode != http.StatusContinue {
			t.Fatalf("got %d", res.StatusCode)
		}
		_, _ = io.WriteString(c, "hello")
		if res, _ := answer(t, in); res.StatusCode != http.StatusOK || up.last(t).body != "hello" {
			t.Errorf("then %d", res.StatusCode)
		}
	})
	t.Run("an early final answer does not poison the upstream connection", func(t *testing.T) {
		early := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPost {
				w.WriteHeader(http.StatusForbidden) // the body was not asked for
				return
			}
			_, _ = io.WriteString(w, r.URL.Path)
		}))
		t.Cleanup(early.Close)
		f := newFront(t, early.URL)
		for i := range 5 {
			_, in := f.raw(t, "POST /a HTTP/1.1\r\nHost: gw\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n")
			if res, _ := answer(t, in); res.StatusCode != http.StatusForbidden {
				t.Fatalf("got %d", res.StatusCode)
			}
			path := fmt.Sprintf("/after-%d", i)
			if res, body := f.ask(t, "GET "+path+" HTTP/1.1\r\nHost: gw\r\nConnection: close\r\n\r\n"); res.StatusCode != http.StatusOK || body != path {
				t.Errorf("the next request gets %d %q", res.StatusCode, body)
			}
		}
	})
}

func TestServe_AnEarlyAnswerToALargeBodyArrives(t *testing.T) {
	early := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusConflict) }))
	t.Cleanup(early.Close)
	f := newFront(t, early.URL)
	res, err := f.Client().Post(f.URL+"/a", "text/plain", strings.NewReader(strings.Repeat("x", 1<<20)))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusConflict && res.StatusCode != http.StatusBadGateway {
		t.Errorf("got %d", res.StatusCode)
	}
}

func TestClientBody(t *testing.T) {
	newBody := func(src io.Reader, limit int64) *clientBody {
		b := new(clientBody)
		b.open(src, http.NewResponseController(httptest.NewRecorder()), limit, time.Unix(1000, 0))
		return b
	}
	t.Run("a timeout is told as one", func(t *testing.T) {
		b := newBody(bufio.NewReader(failing{os.ErrDeadlineExceeded}), 0)
		_, err := b.Read(make([]byte, 1))
		if !fault.Is(err, fault.Malformed) || !strings.Contains(err.Error(), "in time") || !errors.Is(b.fault(), os.ErrDeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		if _, again := b.Read(make([]byte, 1)); !errors.Is(again, os.ErrDeadlineExceeded) {
			t.Errorf("then %v", again)
		}
	})
	t.Run("nothing is read after the end", func(t *testing.T) {
		b := newBody(strings.NewReader("hello"), 0)
		b.end(true)
		if _, err := b.Read(make([]byte, 1)); !errors.Is(err, errBodyOver) {
			t.Errorf("read: %v", err)
		}
	})
	t.Run("closing it keeps it readable for another target", func(t *testing.T) {
		b := newBody(strings.NewReader("hello"), 5)
		_ = b.Close()
		if got, err := io.ReadAll(b); err != nil || string(got) != "hello" {
			t.Errorf("read %q %v", got, err)
		}
	})
	t.Run("one that an upstream has enough of before it was read is not waited for", func(t *testing.T) {
		b := newBody(strings.NewReader("hello"), 5)
		b.ends = true
		_ = b.Close()
		if _, err := b.Read(make([]byte, 1)); !errors.Is(err, errBodyOver) {
			t.Errorf("read: %v", err)
		}
		b.again() // another target gets it
		if got, err := io.ReadAll(b); err != nil || string(got) != "hello" {
			t.Errorf("read %q %v", got, err)
		}
		b = newBody(strings.NewReader("hello"), 5)
		b.ends = true
		_, _ = b.Read(make([]byte, 1))
		_ = b.Close()
		b.again() // nobody gets what somebody has read from
		if _, err := b.Read(make([]byte, 1)); !errors.Is(err, errBodyOver) {
			t.Errorf("read after some was: %v", err)
		}
	})
	t.Run("a client may pause, but not trickle", func(t *testing.T) {
		b := newBody(nil, 0)
		now := b.started
		if got := b.deadline(now); !got.Equal(now.Add(bodyPause)) {
			t.Errorf("at first %v", got.Sub(now))
		}
		late := b.started.Add(bodyGrace - time.Second)
		if got := b.deadline(late); got.Sub(late) != time.Second {
			t.Errorf("after much time and nothing read: %v", got.Sub(late))
		}
		b.read = 1 << 20
		if got := b.deadline(late); got.Sub(late) != bodyPause {
			t.Errorf("after much time and much read: %v", got.Sub(late))
		}
	})
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }
