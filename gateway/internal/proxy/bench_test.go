package proxy

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync"
	"testing"
)

// BenchmarkServe compares a call through the proxy with one through a bare
// reverse proxy over the same transport.
func BenchmarkServe(b *testing.B) {
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok") }))
	defer up.Close()
	f := newFront(b, up.URL)
	target, err := url.Parse(up.URL)
	if err != nil {
		b.Fatal(err)
	}
	bare := httptest.NewServer(&httputil.ReverseProxy{
		Transport: f.proxy.transport, Rewrite: func(pr *httputil.ProxyRequest) { pr.SetURL(target); pr.SetXForwarded() },
	})
	defer bare.Close()
	for _, c := range []struct{ name, url string }{{"bare", bare.URL}, {"proxy", f.URL}} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				req, _ := http.NewRequest(http.MethodGet, c.url+"/a/b?x=1", http.NoBody)
				req.Header.Set("Authorization", "Bearer x")
				req.Header.Set("Accept", "*/*")
				req.Header.Set("Accept-Language", "en")
				req.Header.Set("Cookie", "a=1; b=2")
				res, err := bare.Client().Do(req)
				if err != nil {
					b.Fatal(err)
				}
				_, _ = io.Copy(io.Discard, res.Body)
				_ = res.Body.Close()
			}
		})
	}
}

// BenchmarkTransport compares one call by h1 with one by net/http's transport,
// to an upstream that costs next to nothing.
func BenchmarkTransport(b *testing.B) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	go answerPlainly(l)
	transport := NewTransport(TransportOptions{})
	defer func() { _ = transport.Close() }()
	for name, trip := range map[string]http.RoundTripper{"h1": transport.plain, "net/http": transport.now.Load().http1} {
		b.Run(name, func(b *testing.B) {
			ctx, cancel := context.WithCancel(b.Context()) // a request of a server can be cancelled
			defer cancel()
			r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+l.Addr().String()+"/a?b", http.NoBody)
			if err != nil {
				b.Fatal(err)
			}
			r.Header = http.Header{"Accept": {"*/*"}, "Authorization": {"Bearer x"}, "User-Agent": {"bench"}, "X-Request-Id": {"1"}}
			b.ReportAllocs()
			for b.Loop() {
				res, err := trip.RoundTrip(r)
				if err != nil {
					b.Fatal(err)
				}
				_, _ = io.Copy(io.Discard, res.Body)
				_ = res.Body.Close()
			}
		})
	}
}

// answerPlainly answers every piece of bytes that comes on a connection, each
// of which is a request, until the listener is closed and the peers have gone.
func answerPlainly(l net.Listener) {
	var group sync.WaitGroup
	defer group.Wait()
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		group.Go(func() {
			defer func() { _ = c.Close() }()
			request := make([]byte, 4<<10)
			for {
				if _, err := c.Read(request); err != nil {
					return
				}
				if _, err := io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok"); err != nil {
					return
				}
			}
		})
	}
}

// BenchmarkOutHeader makes the header for an upstream out of a browser's.
func BenchmarkOutHeader(b *testing.B) {
	from := http.Header{}
	for _, name := range []string{
		"Accept", "Accept-Encoding", "Accept-Language", "Authorization", "Cache-Control", "Content-Type", "Cookie", "Origin", "Referer",
		"Sec-Fetch-Dest", "Sec-Fetch-Mode", "Sec-Fetch-Site", "User-Agent",
	} {
		from.Set(name, "x")
	}
	call := &Call{RequestID: "r", Origin: Origin{Chain: "c", Host: "h", Proto: "http"}, TraceParent: "t"}
	signedIn(call)
	b.ReportAllocs()
	for b.Loop() {
		h := lendHeader()
		h.take(from)
		h.setIdentity(call)
		h.setPath(call, "v")
		h.giveBack()
	}
}
