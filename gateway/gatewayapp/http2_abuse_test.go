package gatewayapp

import (
	"bytes"
	"strings"
	"testing"

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
