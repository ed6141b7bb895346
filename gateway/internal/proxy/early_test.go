package proxy

import (
	"bufio"
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"gatehouse.internal/shared/httpx"
	"gatehouse.internal/shared/lifecycle"
)

// An HTTP/2 upstream that refuses a request while its body comes is heard out,
// whoever reads the body, though the transport gives that up at once.
func TestServe_SP15_an_early_refusal_over_HTTP2_is_whole(t *testing.T) {
	const size = 3 << 20
	up := speaking(t, H2C, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusConflict)
		for range 3 {
			_, _ = io.WriteString(w, strings.Repeat("x", size/3))
			_ = http.NewResponseController(w).Flush()
		}
	})
	for _, total := range []time.Duration{0, time.Minute} {
		f := frontTo(t, H2C, up).calls(func(c *Call) { c.Total = total })
		for name, address := range map[string]string{"net/http": f.Listener.Addr().String(), "direct": serverOf(t, f.serve)} {
			c, err := new(net.Dialer).DialContext(t.Context(), "tcp", address)
			if err != nil {
				t.Fatal(err)
			}
			_ = c.SetDeadline(time.Now().Add(20 * time.Second))
			_, _ = io.WriteString(c, "POST /a HTTP/1.1\r\nHost: gw\r\nContent-Length: 100000\r\n\r\n"+strings.Repeat("x", 50_000))
			res, body := answer(t, bufio.NewReader(c))
			if res.StatusCode != http.StatusConflict || len(body) != size || !res.Close {
				t.Errorf("by %s, within %v: %d, %d bytes, %v", name, total, res.StatusCode, len(body), res.Header)
			}
			_ = c.Close()
		}
		eventually(t, "all places are given back", func() bool { return f.set.Targets()[0].State().InFlight == 0 })
	}
}

// serverOf serves as the gateway's own server does, until the test ends, and
// gives its address.
func serverOf(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	server, err := httpx.Listen("front", "127.0.0.1:0", h)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- lifecycle.Run(ctx, slog.New(slog.DiscardHandler), server.Part()) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return server.Addr()
}
