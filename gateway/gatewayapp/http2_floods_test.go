package gatewayapp

import (
	"bytes"
	"crypto/tls"
	"io"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
)

// flood is what a client says without end that costs it little.
type flood struct {
	name  string
	ends  bool // the gateway ends the connection, as it would have to keep something for each frame
	reads bool // the client takes what it gets
	once  bool // the frames can be sent only once on a connection
	begin func(*h2)
	again []byte
}

const (
	flooders = 8           // at once
	flooding = time.Second // for so long
)

// frames are many of a kind, to be written at once.
func frames(write func(*http2.Framer)) []byte {
	var b bytes.Buffer
	f := http2.NewFramer(&b, nil)
	f.AllowIllegalWrites = true
	for range 4096 {
		write(f)
	}
	return b.Bytes()
}

// resets opens streams and takes them back at once (CVE-2023-44487).
func resets(c *h2, cancel func(f *http2.Framer, stream uint32)) []byte {
	var b bytes.Buffer
	f := http2.NewFramer(&b, nil)
	f.AllowIllegalWrites = true
	for stream := uint32(1); stream < 20_000; stream += 2 {
		_ = f.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: c.fields(c.request(":path: /api/public/held")...), EndHeaders: true})
		cancel(f, stream)
	}
	return b.Bytes()
}

func floods(w *world, t *testing.T) []flood {
	unfinished := func(c *h2) {
		c.ok(c.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: c.fields(c.request()...), EndStream: true}))
	}
	reset := func(c *h2) {
		c.ask(1, false, ":method: POST")
		c.ok(c.WriteRSTStream(1, http2.ErrCodeCancel))
	}
	return []flood{
		{name: "PING", ends: true, again: frames(func(f *http2.Framer) { _ = f.WritePing(false, [8]byte{}) })},
		{name: "SETTINGS, which one acknowledgement answers", again: frames(func(f *http2.Framer) { _ = f.WriteSettings() })},
		{name: "DATA on a stream that was reset", ends: true, begin: reset, again: frames(func(f *http2.Framer) { _ = f.WriteData(1, false, nil) })},
		{name: "CONTINUATION", ends: true, begin: unfinished, again: frames(func(f *http2.Framer) { _ = f.WriteContinuation(1, false, []byte("\x00\x01x\x01y")) })},
		{name: "CONTINUATION of nothing", begin: unfinished, again: frames(func(f *http2.Framer) { _ = f.WriteContinuation(1, false, nil) })},
		{name: "requests that are taken back", reads: true, once: true, again: resets(w.h2(t), func(f *http2.Framer, stream uint32) {
			_ = f.WriteRSTStream(stream, http2.ErrCodeCancel)
		})},
		{name: "requests that the gateway has to take back", reads: true, once: true, again: resets(w.h2(t), func(f *http2.Framer, stream uint32) {
			_ = f.WriteWindowUpdate(stream, 0) // CVE-2025-8671
		})},
	}
}

// send sends the flood until the gateway ends the connection, the client has
// no time left, or enough was sent.
func (f *flood) send(c *h2) (sent int, err error) {
	defer func() { _ = c.conn.Close() }()
	var reading sync.WaitGroup
	defer reading.Wait()
	if f.reads {
		reading.Go(func() { _, _ = io.Copy(io.Discard, c.conn) })
		defer func() { _ = c.conn.Close() }()
	}
	if f.begin != nil {
		f.begin(c)
	}
	most := 4 << 20
	switch {
	case f.ends:
		most = 256 << 20 // far beyond all buffers on the way
	case f.once:
		most = len(f.again)
	}
	for sent < most && err == nil {
		var n int
		n, err = c.conn.Write(f.again)
		sent += n
	}
	return sent, err
}

// peak watches what the process needs.
type peak struct {
	goroutines int
	memory     uint64
}

func usage() peak {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return peak{goroutines: runtime.NumGoroutine(), memory: m.HeapInuse + m.StackInuse}
}

// watch takes samples until stop is closed, and then gives the highest of each.
func watch(stop <-chan struct{}) (most peak) {
	ticker := time.NewTicker(5 * time.Millisecond)
	defer ticker.Stop()
	for {
		now := usage()
		most = peak{goroutines: max(most.goroutines, now.goroutines), memory: max(most.memory, now.memory)}
		select {
		case <-stop:
			return most
		case <-ticker.C:
		}
	}
}

// TestHTTP2_Floods has a client flood the gateway and, but for requests, read
// nothing. Where the gateway would have to keep something for each frame, it
// ends the connection; where it need not, net/http reads on. Others are served.
func TestHTTP2_Floods(t *testing.T) {
	inClearAndTLS(t, func(t *testing.T, w *world) {
		holdSome(w)
		for _, f := range floods(w, t) {
			t.Run(f.name, func(t *testing.T) {
				c := w.h2(t)
				_ = c.conn.SetDeadline(time.Now().Add(60 * time.Second))
				sent, err := f.send(c)
				if ended := err != nil && !isTimeout(err); f.ends && !ended {
					t.Errorf("the connection lasts after %d bytes, %v", sent, err)
				}
				other := w.h2(t)
				other.ask(1, true)
				if got := other.outcome(1); got != "200" {
					t.Errorf("another client got %s", got)
				}
			})
		}
	})
}

// TestHTTP2_FloodsOfMany has several clients flood the gateway at once. Others
// are served meanwhile, what the gateway needs for it is bounded, and in the
// end nothing is left of it, here and at the upstream.
func TestHTTP2_FloodsOfMany(t *testing.T) {
	inClearAndTLS(t, func(t *testing.T, w *world) {
		held := holdSome(w)
		for _, f := range floods(w, t) {
			t.Run(f.name, func(t *testing.T) {
				before := usage()
				most, served := f.sendMany(t, w)
				more := peak{goroutines: most.goroutines - before.goroutines, memory: most.memory - min(before.memory, most.memory)}
				t.Logf("%d others served, %d goroutines and %d MiB more", served, more.goroutines, more.memory>>20)
				// A request has one or two goroutines here, and as many at the upstream.
				if most := flooders*128*4 + 100; more.goroutines > most || more.memory > 64<<20 {
					t.Errorf("%d goroutines and %d MiB more, want at most %d and 64", more.goroutines, more.memory>>20, most)
				}
				w.until("all is over", func() bool { return held.Load() == 0 && runtime.NumGoroutine() <= before.goroutines+8 })
			})
		}
	})
}

// holdSome has the upstream answer requests to /held never, and others at once.
// It tells how many are held.
func holdSome(w *world) *atomic.Int64 {
	held := new(atomic.Int64)
	w.answers(func(rw http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/held") {
			held.Add(1)
			defer held.Add(-1)
			<-r.Context().Done()
		}
		w.mu.Lock()
		w.seen = w.seen[:0]
		w.mu.Unlock()
		_, _ = io.WriteString(rw, "ok")
	})
	return held
}

// sendMany has clients send a flood all at once, and others ask for something
// meanwhile.
func (f *flood) sendMany(t *testing.T, w *world) (most peak, served int) {
	stop := make(chan struct{})
	var clients, watching sync.WaitGroup
	watching.Go(func() { most = watch(stop) })
	var left atomic.Int64
	for range flooders {
		c := w.h2(t)
		_ = c.conn.SetDeadline(time.Now().Add(flooding))
		left.Add(1)
		clients.Go(func() {
			_, _ = f.send(c) // it may be ended, or out of time
			left.Add(-1)
		})
	}
	plain := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}} // the test's own gateway
	other := w.h2(t)
	for stream := uint32(1); (left.Load() > 0 || served < 10) && !t.Failed(); stream += 2 {
		other.ask(stream, true)
		if got := other.outcome(stream); got != "200" {
			t.Errorf("another client got %s", got)
		}
		res, err := plain.Get(w.base + "/api/public/x")
		if err != nil {
			t.Errorf("a client of HTTP/1.1: %v", err)
			break
		}
		_, _ = io.Copy(io.Discard, res.Body)
		if _ = res.Body.Close(); res.StatusCode != http.StatusOK {
			t.Errorf("a client of HTTP/1.1 got %d", res.StatusCode)
		}
		served++
	}
	plain.CloseIdleConnections()
	_ = other.conn.Close()
	clients.Wait()
	close(stop)
	watching.Wait()
	return most, served
}
