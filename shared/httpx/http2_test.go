package httpx_test

import (
	"bytes"
	"crypto/tls"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/labstack/echo/v4"
	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"gatehouse.internal/shared/httpx"
)

// A client of HTTP/2 that gives its streams no room holds no answer for ever,
// although its connection is well.
func TestServer_SP16_an_HTTP2_client_that_gives_no_room_is_cut_off(t *testing.T) {
	over := make(chan string, 4)
	s := newService(httpx.Options{})
	s.GET("/small", func(c echo.Context) error { return c.String(http.StatusOK, "hello") })
	s.GET("/large", func(c echo.Context) error {
		_, err := io.WriteString(c.Response(), strings.Repeat("x", 1<<20))
		over <- "large"
		return err
	})
	certFile, keyFile := httpx.WritePair(t, t.TempDir(), 7, time.Now())
	server, _ := running(t, s, httpx.WithTLS(certFile, keyFile), httpx.WithLimits(httpx.Limits{Stall: 300 * time.Millisecond}))
	conn := tls.Client(dial(t, server.Addr()), &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"h2"}}) // the test's own server
	framer := http2.NewFramer(conn, conn)
	if _, err := io.WriteString(conn, http2.ClientPreface); err != nil {
		t.Fatal(err)
	}
	if err := framer.WriteSettings(http2.Setting{ID: http2.SettingInitialWindowSize, Val: 0}); err != nil {
		t.Fatal(err)
	}
	var block bytes.Buffer
	encoder := hpack.NewEncoder(&block)
	waiting := map[uint32]bool{}
	for i, path := range []string{"/small", "/large", "/nowhere"} {
		block.Reset()
		for _, field := range [][2]string{{":method", "GET"}, {":scheme", "https"}, {":authority", "x"}, {":path", path}} {
			_ = encoder.WriteField(hpack.HeaderField{Name: field[0], Value: field[1]})
		}
		stream := uint32(2*i + 1)
		waiting[stream] = true
		if err := framer.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: block.Bytes(), EndStream: true, EndHeaders: true}); err != nil {
			t.Fatal(err)
		}
	}
	for len(waiting) > 0 {
		frame, err := framer.ReadFrame()
		if err != nil {
			t.Fatalf("%d streams are still open: %v", len(waiting), err)
		}
		if reset, is := frame.(*http2.RSTStreamFrame); is {
			delete(waiting, reset.StreamID)
		}
	}
	<-over
}
