package proxy

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse.internal/gateway/internal/upstream"
)

// retryingFront is a gateway that makes up to two retries, and takes 503 for a
// failure.
func retryingFront(t *testing.T, percent int, targets ...string) *front {
	t.Helper()
	set, err := upstream.New(upstream.Settings{Targets: targets, RetryPercent: percent})
	if err != nil {
		t.Fatal(err)
	}
	return tunedFront(t, Options{Set: set, Retries: 2, Failing: []int{503}})
}

// flaky is an upstream that breaks off, or answers 503, until it has been asked
// often enough.
type flaky struct {
	bad    int64 // so many calls fail
	status bool  // with 503; else by breaking off
	hint   bool  // an interim answer comes first
	calls  atomic.Int64
}

func (f *flaky) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	n := f.calls.Add(1)
	if f.hint {
		w.WriteHeader(http.StatusEarlyHints)
	}
	switch {
	case n > f.bad:
		_, _ = fmt.Fprintf(w, "answer %d %s", n, body)
	case f.status:
		w.WriteHeader(http.StatusServiceUnavailable)
	default:
		panic(http.ErrAbortHandler)
	}
}

func plainly(method, rest string) string {
	return method + " /a HTTP/1.1\r\nHost: g\r\nConnection: close\r\n" + rest + "\r\n"
}

// S-P13: what may be sent again is sent again, and nothing else.
func TestServe_Retries(t *testing.T) {
	for _, c := range []struct {
		name    string
		flaky   *flaky
		request string
		status  int
		calls   int64
	}{
		{"a GET that broke off", &flaky{bad: 2}, plainly("GET", ""), 200, 3},
		{"a GET that was answered with a failing status", &flaky{bad: 2, status: true}, plainly("GET", ""), 200, 3},
		{"a DELETE", &flaky{bad: 1}, plainly("DELETE", ""), 200, 2},
		{"a PUT without a body", &flaky{bad: 1}, plainly("PUT", "Content-Length: 0\r\n"), 200, 2},
		{"no more often than allowed", &flaky{bad: 9, status: true}, plainly("GET", ""), 503, 3},
		{"no PUT with a body", &flaky{bad: 1, status: true}, plainly("PUT", "Content-Length: 2\r\n") + "ab", 503, 1},
		{"no POST", &flaky{bad: 1, status: true}, plainly("POST", "Content-Length: 0\r\n"), 503, 1},
		{"no POST that broke off, whatever key it carries", &flaky{bad: 1}, plainly("POST", "Content-Length: 0\r\nIdempotency-Key: k\r\nX-Idempotency-Key: k\r\n"), 502, 1},
		{"no PATCH", &flaky{bad: 1}, plainly("PATCH", "Content-Length: 0\r\n"), 502, 1},
		{"nothing whose answer the client has seen begin", &flaky{bad: 1, hint: true, status: true}, plainly("GET", ""), 503, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			up := newRecorder(t, nil)
			up.Config.Handler = c.flaky
			up.Config.ErrorLog = nil
			f := retryingFront(t, 100, up.URL)
			_, in := f.raw(t, c.request)
			res, _ := answer(t, in)
			for res.StatusCode < 200 {
				res, _ = answer(t, in)
			}
			if got := c.flaky.calls.Load(); res.StatusCode != c.status || got != c.calls {
				t.Errorf("status %d after %d calls, want %d after %d", res.StatusCode, got, c.status, c.calls)
			}
			eventually(t, "all places are given back", func() bool { return f.set.Targets()[0].State().InFlight == 0 })
		})
	}
}

func TestServe_RetriesElsewhere(t *testing.T) {
	bad, badCalls := rawUpstream(t, "HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n", nil)
	good := newRecorder(t, nil)
	f := retryingFront(t, 100, bad, good.URL)
	for range 4 {
		if res, body := f.ask(t, plainly("GET", "")); res.StatusCode != 200 || body != "ok" {
			t.Errorf("%d %q", res.StatusCode, body)
		}
	}
	if badCalls() == 0 {
		t.Error("the bad target was never asked")
	}
}

func TestServe_RetryBudget(t *testing.T) {
	up := &flaky{bad: 1 << 30, status: true}
	server := newRecorder(t, nil)
	server.Config.Handler = up
	f := retryingFront(t, 20, server.URL)
	const calls = 50
	started := time.Now()
	for range calls {
		f.ask(t, plainly("GET", ""))
	}
	// A fifth of the calls, the few that every upstream has, and those that
	// every second brings.
	most := int64(calls + calls/5 + 4 + 3*(1+int(time.Since(started)/time.Second)))
	if got := up.calls.Load(); got <= calls || got > most {
		t.Errorf("%d calls reached the upstream for %d of clients, want at most %d", got, calls, most)
	}
}

func TestServe_NoRetryUnlessAsked(t *testing.T) {
	up := &flaky{bad: 1}
	server := newRecorder(t, nil)
	server.Config.Handler = up
	if res, _ := newFront(t, server.URL).ask(t, plainly("GET", "")); res.StatusCode != 502 || up.calls.Load() != 1 {
		t.Errorf("%d after %d calls", res.StatusCode, up.calls.Load())
	}
}

func TestServe_Breaker(t *testing.T) {
	up, calls := rawUpstream(t, "HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n", nil)
	set, err := upstream.New(upstream.Settings{Targets: []string{up}, Breaker: &upstream.Breaker{FailurePercent: 50, MinCalls: 5, OpenFor: time.Hour}})
	if err != nil {
		t.Fatal(err)
	}
	f := tunedFront(t, Options{Set: set, Failing: []int{503}})
	for range 5 {
		f.ask(t, plainly("GET", ""))
	}
	eventually(t, "the breaker is open", f.set.Open)
	res, body := f.ask(t, plainly("GET", ""))
	if res.StatusCode != 503 || !strings.Contains(body, `"upstream_unavailable"`) || res.Header.Get("Retry-After") == "" || calls() != 5 {
		t.Errorf("%d %s, Retry-After %q, %d calls", res.StatusCode, body, res.Header.Get("Retry-After"), calls())
	}
}

func TestServe_Total(t *testing.T) {
	const total = 150 * time.Millisecond
	limited := func(c *Call) { c.Total = total }
	t.Run("an upstream that says nothing is a time-out", func(t *testing.T) {
		gone := make(chan struct{})
		up, _ := rawUpstream(t, "", func(c net.Conn) { _, _ = io.Copy(io.Discard, c); close(gone) })
		f := newFront(t, up).calls(limited)
		if res, body := f.ask(t, plainly("GET", "")); res.StatusCode != 504 || !strings.Contains(body, `"upstream_timeout"`) {
			t.Errorf("%d %s", res.StatusCode, body)
		}
		<-gone // the call was ended, too
	})
	t.Run("an answer that goes on is cut off", func(t *testing.T) {
		up, _ := rawUpstream(t, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", func(c net.Conn) { _, _ = io.Copy(io.Discard, c) })
		f := newFront(t, up).calls(limited)
		_, in := f.raw(t, plainly("GET", ""))
		if res, err := http.ReadResponse(in, nil); err == nil { // else even the head was still held back
			if body, err := io.ReadAll(res.Body); err == nil {
				t.Errorf("it looks whole: %q", body)
			}
			_ = res.Body.Close()
		}
		if up, _ := f.set.Acquire(nil); up.State().Ejected {
			t.Error("the target is left out")
		}
	})
	t.Run("a client that is slow with its body is not the upstream's fault", func(t *testing.T) {
		set, err := upstream.New(upstream.Settings{
			Targets: []string{newRecorder(t, nil).URL, newRecorder(t, nil).URL}, Ejection: upstream.Ejection{Failures: 1},
		})
		if err != nil {
			t.Fatal(err)
		}
		f := tunedFront(t, Options{Set: set}).calls(limited)
		if res, _ := f.ask(t, "POST /a HTTP/1.1\r\nHost: g\r\nContent-Length: 100000\r\n\r\nabc"); res.StatusCode != 504 {
			t.Errorf("%d", res.StatusCode)
		}
		for _, target := range set.Targets() {
			if target.State().Ejected {
				t.Errorf("%s is left out", target.URL)
			}
		}
	})
	t.Run("one that ends in time is left alone", func(t *testing.T) {
		f := newFront(t, newRecorder(t, nil).URL).calls(func(c *Call) { c.Total = time.Hour })
		if res, body := f.ask(t, plainly("GET", "")); res.StatusCode != 200 || body != "ok" {
			t.Errorf("%d %q", res.StatusCode, body)
		}
	})
}
