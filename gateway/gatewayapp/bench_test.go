package gatewayapp

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"syscall"
	"testing"
	"time"

	"gatehouse.internal/gateway/internal/proxy"
)

// BenchmarkPipeline compares a call with a token that was seen before, through
// everything the gateway does, with a call through a bare reverse proxy, and
// with one that goes to the upstream directly. Client and upstream run in the
// same process, so what a proxy itself costs is its figure less the direct one.
func BenchmarkPipeline(b *testing.B) {
	w := newWorld(b, nil)
	upstreamURL := w.cfg.AuthURL[0]
	target, err := url.Parse(upstreamURL)
	if err != nil {
		b.Fatal(err)
	}
	bare := httptest.NewServer(&httputil.ReverseProxy{
		Transport: proxy.NewTransport(proxy.TransportOptions{}), Rewrite: func(pr *httputil.ProxyRequest) { pr.SetURL(target); pr.SetXForwarded() },
	})
	defer bare.Close()
	w.answers(func(rw http.ResponseWriter, _ *http.Request) {
		w.mu.Lock()
		w.seen = w.seen[:0]
		w.mu.Unlock()
		_, _ = io.WriteString(rw, "ok")
	})
	credential := "Bearer " + w.token(nil)
	for _, c := range []struct{ name, url string }{{"direct", upstreamURL}, {"bare", bare.URL}, {"gateway", w.base}} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			began := processorTime(b)
			for b.Loop() {
				req, err := http.NewRequestWithContext(b.Context(), http.MethodGet, c.url+"/api/orders/x?a=1", http.NoBody)
				if err != nil {
					b.Fatal(err)
				}
				req.Header.Set("Authorization", credential)
				req.Header.Set("Accept", "*/*")
				req.Header.Set("Accept-Language", "en")
				res, err := w.client.Do(req)
				if err != nil {
					b.Fatal(err)
				}
				_, _ = io.Copy(io.Discard, res.Body)
				_ = res.Body.Close()
				if res.StatusCode != http.StatusOK {
					b.Fatalf("got %d", res.StatusCode)
				}
			}
			b.ReportMetric(float64((processorTime(b)-began).Microseconds())/float64(b.N), "cpu-us/op")
		})
	}
}

// processorTime is what this process has used so far.
func processorTime(b *testing.B) time.Duration {
	b.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
