package gatewayapp

import (
	"bytes"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/net/http2"
)

const compressionError = "connection COMPRESSION_ERROR"

// TestHTTP2_HeaderBlocks are header blocks that RFC 7541 has a decoder refuse,
// and sizes that a server need not take (RFC 9113 section 10.5.1).
func TestHTTP2_HeaderBlocks(t *testing.T) {
	bomb := func(c *h2) []byte { // one large field, said again and again by its index
		block := c.fields(c.request("x: " + strings.Repeat("y", 4000))...)
		return append(block, bytes.Repeat([]byte{0x80 | 62}, 8000)...)
	}
	with := func(tail string) func(*h2) []byte {
		return func(c *h2) []byte { return append(c.fields(c.request()...), tail...) }
	}
	large := "431|" + streamError + "|" + connectionError + "|connection ENHANCE_YOUR_CALM|closed"
	cases := []struct {
		name  string
		block func(*h2) []byte
		want  string
	}{
		{"7541 6.1 the index 0", with("\x80"), compressionError},
		{"7541 2.3.3 an index beyond the tables", with("\xff\x80\x01"), compressionError},
		{"7541 5.1 an integer without end", with("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"), compressionError},
		{"7541 5.2 a text longer than the block", with("\x40\x7f\xff\xff\xff\x7f"), compressionError},
		{"7541 5.2 the end of a text said within it", with("\x40\x01x\x84\xff\xff\xff\xff"), compressionError},
		{"7541 5.2 padding of a whole byte", with("\x40\x01x\x82\x1f\xff"), compressionError},
		{"7541 5.2 padding of zeros", with("\x40\x01x\x81\x18"), compressionError},
		{"7541 6.3 a table larger than allowed", func(c *h2) []byte { return append([]byte("\x3f\xe1\xff\xff\x03"), c.fields(c.request()...)...) }, compressionError},
		{"7541 4.2 a change of the table behind a field", with("\x3f\xe1\x1f"), compressionError},
		{"10.5.1 a list of fields beyond every limit", func(c *h2) []byte {
			return c.fields(c.request("x: "+strings.Repeat("y", 100<<10), "-x", "z: "+strings.Repeat("y", 14<<10), "w: "+strings.Repeat("y", 14<<10))...)
		}, large},
		{"10.5.1 a small block of many fields", bomb, large},
	}
	inClearAndTLS(t, func(t *testing.T, w *world) {
		for _, c := range cases {
			t.Run(c.name, func(t *testing.T) {
				before := len(w.requests())
				client := w.h2(t)
				block := c.block(client)
				first := block[:min(len(block), 16<<10)]
				rest := block[len(first):]
				client.ok(client.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: first, EndStream: true, EndHeaders: len(rest) == 0}))
				for len(rest) > 0 {
					n := min(len(rest), 16<<10)
					client.ok(client.WriteContinuation(1, n == len(rest), rest[:n]))
					rest = rest[n:]
				}
				if got := client.outcome(1); !strings.Contains("|"+c.want+"|", "|"+got+"|") {
					t.Errorf("got %s, want %s", got, c.want)
				}
				if all := w.requests(); len(all) != before {
					t.Errorf("the upstream saw %v", all[before].Header)
				}
			})
		}
	})
}

// TestHTTP2_Floods has clients say without end what costs them little, and read
// nothing. Where the gateway would have to keep something for each frame, it
// ends the connection; where it need not, net/http reads on. Others are served.
func TestHTTP2_Floods(t *testing.T) {
	frames := func(write func(*http2.Framer)) []byte { // many of a kind, to be written at once
		var b bytes.Buffer
		f := http2.NewFramer(&b, nil)
		f.AllowIllegalWrites = true
		for range 4096 {
			write(f)
		}
		return b.Bytes()
	}
	floods := []struct {
		name  string
		ends  bool
		begin func(*h2)
		again []byte
	}{
		{"PING", true, nil, frames(func(f *http2.Framer) { _ = f.WritePing(false, [8]byte{}) })},
		{"SETTINGS, which one acknowledgement answers", false, nil, frames(func(f *http2.Framer) { _ = f.WriteSettings() })},
		{"DATA on a stream that was reset", true, func(c *h2) {
			c.ask(1, false, ":method: POST")
			c.ok(c.WriteRSTStream(1, http2.ErrCodeCancel))
		}, frames(func(f *http2.Framer) { _ = f.WriteData(1, false, nil) })},
		{"CONTINUATION", true, func(c *h2) {
			c.ok(c.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: c.fields(c.request()...), EndStream: true}))
		}, frames(func(f *http2.Framer) { _ = f.WriteContinuation(1, false, []byte("\x00\x01x\x01y")) })},
		{"CONTINUATION of nothing", false, func(c *h2) {
			c.ok(c.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: c.fields(c.request()...), EndStream: true}))
		}, frames(func(f *http2.Framer) { _ = f.WriteContinuation(1, false, nil) })},
	}
	inClearAndTLS(t, func(t *testing.T, w *world) {
		for _, c := range floods {
			t.Run(c.name, func(t *testing.T) {
				client := w.h2(t)
				if c.begin != nil {
					c.begin(client)
				}
				_ = client.conn.SetDeadline(time.Now().Add(60 * time.Second))
				most := 4 << 20
				if c.ends {
					most = 256 << 20 // far beyond all buffers on the way
				}
				sent := 0
				var err error
				for sent < most && err == nil {
					var n int
					n, err = client.conn.Write(c.again)
					sent += n
				}
				if ended := err != nil && !isTimeout(err); c.ends && !ended {
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

// TestHTTP2_RapidReset has a client open streams and take them back at once.
// Each one that has reached the upstream is ended there, too, and others are
// served.
func TestHTTP2_RapidReset(t *testing.T) {
	inClearAndTLS(t, func(t *testing.T, w *world) {
		var under atomic.Int64
		w.answers(func(_ http.ResponseWriter, r *http.Request) {
			if r.Header.Get("X-Other") == "" {
				under.Add(1)
				defer under.Add(-1)
				<-r.Context().Done()
			}
		})
		client := w.h2(t)
		done := make(chan string, 1)
		go func() { done <- client.outcome(0) }() // reads until the connection ends
		for stream := uint32(1); stream < 20_000; stream += 2 {
			err := client.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: client.fields(client.request()...), EndStream: true, EndHeaders: true})
			if err == nil {
				err = client.WriteRSTStream(stream, http2.ErrCodeCancel)
			}
			if err != nil {
				break // the gateway has had enough, which it may
			}
		}
		other := w.h2(t)
		other.ask(1, true, "x-other: yes")
		if got := other.outcome(1); got != "200" {
			t.Errorf("another client got %s", got)
		}
		w.until("the upstream has nothing to do", func() bool { return under.Load() == 0 })
		_ = client.conn.Close()
		<-done
	})
}
