package proxy

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
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
