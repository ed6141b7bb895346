package proxy

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"testing"
	"time"

	"gatehouse.internal/shared/contract"
)

// BenchmarkTunnel compares the way of a message to the upstream and back with
// that through a bare reverse proxy, which follows no frames.
func BenchmarkTunnel(b *testing.B) {
	up := httptest.NewServer(http.HandlerFunc(echoSocket))
	defer up.Close()
	f := newFront(b, up.URL).calls(func(c *Call) { signedIn(c); c.WebSocket = true })
	bare := httptest.NewServer(&httputil.ReverseProxy{Transport: f.proxy.transport, Rewrite: func(pr *httputil.ProxyRequest) {
		pr.Out.URL.Scheme, pr.Out.URL.Host = "http", up.Listener.Addr().String()
	}})
	defer bare.Close()
	for _, size := range []int{100, 64 << 10} {
		message := frameOf(0x82, true, make([]byte, size))
		for _, c := range []struct{ name, address string }{{"bare", bare.Listener.Addr().String()}, {"gateway", f.Listener.Addr().String()}} {
			b.Run(fmt.Sprintf("%d/%s", size, c.name), func(b *testing.B) {
				conn, in := dialSocket(b, c.address)
				got := make([]byte, len(message))
				b.SetBytes(int64(2 * size))
				b.ReportAllocs()
				for b.Loop() {
					if _, err := conn.Write(message); err != nil {
						b.Fatal(err)
					}
					if _, err := io.ReadFull(in, got); err != nil {
						b.Fatal(err)
					}
				}
				_ = conn.Close()
			})
		}
	}
}

// BenchmarkLive_End is the time from the moment when a revocation is applied to
// the last close frame in its clients' hands.
func BenchmarkLive_End(b *testing.B) {
	up := httptest.NewServer(http.HandlerFunc(echoSocket))
	defer up.Close()
	for _, sockets := range []int{1, 100, 500} {
		b.Run(fmt.Sprintf("%d sockets of the user", sockets), func(b *testing.B) {
			f := newFront(b, up.URL).calls(func(c *Call) { signedIn(c); c.WebSocket = true })
			running(b, f.live)
			var worst time.Duration
			for b.Loop() {
				b.StopTimer()
				ins := make([]*bufio.Reader, sockets)
				conns := make([]net.Conn, sockets)
				for i := range ins {
					conns[i], ins[i] = dialSocket(b, f.Listener.Addr().String())
				}
				eventually(b, "all are open", func() bool { return f.live.Len() == sockets })
				b.StartTimer()
				began := time.Now()
				f.live.Applied([]contract.Entry{{Kind: contract.RevokeUser, MinVersion: 1}})
				for _, in := range ins {
					if c, err := readFrame(in); err != nil || c.status() != 4401 {
						b.Fatalf("%+v %v", c, err)
					}
				}
				took := time.Since(began)
				b.StopTimer()
				worst = max(worst, took)
				for _, c := range conns {
					_ = c.Close()
				}
				eventually(b, "all are gone", func() bool { return f.live.Len() == 0 })
				b.StartTimer()
			}
			b.ReportMetric(float64(worst.Microseconds())/1000, "worst-ms")
		})
	}
}

// dialSocket opens a WebSocket.
func dialSocket(b *testing.B, address string) (net.Conn, *bufio.Reader) {
	b.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = conn.Close() })
	if _, err := io.WriteString(conn, wsHead+"\r\n"); err != nil {
		b.Fatal(err)
	}
	in := bufio.NewReaderSize(conn, 128<<10)
	res, err := http.ReadResponse(in, nil)
	if err != nil || res.StatusCode != http.StatusSwitchingProtocols {
		b.Fatalf("%v %v", res, err)
	}
	return conn, in
}
