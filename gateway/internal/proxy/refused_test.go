package proxy

import (
	"context"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/http2"
)

// refusing is an upstream of HTTP/2 in clear that takes no request.
func refusing(t *testing.T) (url string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var group sync.WaitGroup
	group.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			group.Go(func() {
				defer context.AfterFunc(ctx, func() { _ = c.Close() })()
				defer func() { _ = c.Close() }()
				refuseAll(c)
			})
		}
	})
	t.Cleanup(func() { cancel(); _ = l.Close(); group.Wait() })
	return "http://" + l.Addr().String()
}

func refuseAll(c net.Conn) {
	if _, err := io.CopyN(io.Discard, c, int64(len(http2.ClientPreface))); err != nil {
		return
	}
	framer := http2.NewFramer(c, c)
	_ = framer.WriteSettings()
	for {
		frame, err := framer.ReadFrame()
		if err != nil {
			return
		}
		switch f := frame.(type) {
		case *http2.SettingsFrame:
			if !f.IsAck() {
				_ = framer.WriteSettingsAck()
			}
		case *http2.HeadersFrame:
			_ = framer.WriteRSTStream(f.StreamID, http2.ErrCodeRefusedStream)
		}
	}
}

// An upstream that refuses streams is not asked for a minute, as net/http's
// transport would: how often a call is made again is the gateway's to say.
func TestServe_an_upstream_that_refuses_all_streams(t *testing.T) {
	transport := NewTransport(TransportOptions{Protocol: H2C})
	t.Cleanup(func() { _ = transport.Close() })
	f := tunedFront(t, Options{Transport: transport, HTTP2: true}, refusing(t))
	for _, request := range []string{get, "POST /a HTTP/1.1\r\nHost: gw\r\nContent-Length: 5\r\n\r\nhello"} {
		began := time.Now()
		res, body := f.ask(t, request)
		if took := time.Since(began); res.StatusCode != http.StatusBadGateway || took > 4*time.Second {
			t.Errorf("%.10s: %d %s after %v", request, res.StatusCode, body, took)
		}
	}
}
