package gatewayapp

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// h2 is an HTTP/2 client of single frames, on a connection of its own.
type h2 struct {
	t    *testing.T
	conn net.Conn
	base []string // a good request
	*http2.Framer
	encoder *hpack.Encoder
	block   bytes.Buffer
}

// h2 opens a connection and shakes hands.
func (w *world) h2(t *testing.T) *h2 {
	t.Helper()
	c := w.h2Bare(t)
	c.must(c.conn.Write([]byte(http2.ClientPreface)))
	c.ok(c.WriteSettings())
	return c
}

// h2Bare opens a connection and says nothing.
func (w *world) h2Bare(t *testing.T) *h2 {
	scheme, _, _ := strings.Cut(w.base, ":")
	c := &h2{t: t, conn: w.dial(t, "h2"), base: []string{":method: GET", ":scheme: " + scheme, ":authority: gw", ":path: /api/public/x"}}
	c.Framer = http2.NewFramer(c.conn, c.conn)
	c.AllowIllegalWrites = true
	c.ReadMetaHeaders = hpack.NewDecoder(4096, nil)
	c.encoder = hpack.NewEncoder(&c.block)
	return c
}

func (c *h2) must(_ int, err error) { c.ok(err) }

// ok fails only where the gateway could not have closed the connection.
func (c *h2) ok(err error) {
	c.t.Helper()
	if err != nil {
		c.t.Logf("write: %v", err)
	}
}

// fields encodes fields, given as "name: value" or ":name: value".
func (c *h2) fields(lines ...string) []byte {
	c.block.Reset()
	for _, line := range lines {
		name, value, _ := strings.Cut(line[1:], ": ")
		_ = c.encoder.WriteField(hpack.HeaderField{Name: line[:1] + name, Value: value})
	}
	return bytes.Clone(c.block.Bytes())
}

// request is a good one but for what is changed: an edit replaces the field of
// the same name, or is added; one that begins with "-" removes the field, one
// that begins with "+" is added to it.
func (c *h2) request(edits ...string) []string {
	all := slices.Clone(c.base)
	for _, edit := range edits {
		name, _, _ := strings.Cut(strings.TrimLeft(edit, "+-:"), ": ")
		at := -1
		for i, line := range all {
			if strings.HasPrefix(strings.TrimPrefix(line, ":"), name+": ") {
				at = i
			}
		}
		switch {
		case edit[0] == '-':
			all = append(all[:at], all[at+1:]...)
		case edit[0] == '+':
			all = append(all, edit[1:])
		case at >= 0:
			all[at] = edit
		default:
			all = append(all, edit)
		}
	}
	return all
}

// ask sends a request on a stream.
func (c *h2) ask(stream uint32, end bool, edits ...string) {
	c.ok(c.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: c.fields(c.request(edits...)...), EndStream: end, EndHeaders: true}))
}

// outcome reads until the connection, or the stream, has come to something: a
// status, "stream CODE", "connection CODE" or "closed".
func (c *h2) outcome(stream uint32) string {
	for {
		frame, err := c.ReadFrame()
		if err != nil {
			if isTimeout(err) {
				return "nothing"
			}
			return "closed"
		}
		switch f := frame.(type) {
		case *http2.GoAwayFrame:
			return "connection " + f.ErrCode.String()
		case *http2.RSTStreamFrame:
			if f.StreamID == stream {
				return "stream " + f.ErrCode.String()
			}
		case *http2.MetaHeadersFrame:
			if status := f.PseudoValue("status"); f.StreamID == stream && status != "100" {
				return status
			}
		}
	}
}

const (
	streamError     = "stream PROTOCOL_ERROR"
	connectionError = "connection PROTOCOL_ERROR"
	frameSizeError  = "connection FRAME_SIZE_ERROR"
)

// malformed are requests that RFC 9113 section 8 calls malformed: none is
// answered but by an error of its stream or a 400.
var malformedHTTP2 = []struct {
	name  string
	edits []string
}{
	{"8.2 a name in capitals", []string{"X-Upper: y"}},
	{"8.2.1 a space in a name", []string{"x y: z"}},
	{"8.2.1 a colon in a name", []string{"x:y: z"}},
	{"8.2.1 an empty name", []string{"+: y"}},
	{"8.2.1 a CR in a value", []string{"x: a\rb"}},
	{"8.2.1 a LF in a value", []string{"x: a\nX-User-Id: evil"}},
	{"8.2.1 a NUL in a value", []string{"x: a\x00b"}},
	{"8.2.2 connection", []string{"connection: close"}},
	{"8.2.2 proxy-connection", []string{"proxy-connection: keep-alive"}},
	{"8.2.2 keep-alive", []string{"keep-alive: 5"}},
	{"8.2.2 transfer-encoding", []string{"transfer-encoding: chunked"}},
	{"8.2.2 upgrade", []string{"upgrade: websocket"}},
	{"8.2.2 te other than trailers", []string{"te: gzip"}},
	{"8.3 an unknown pseudo-field", []string{":x: y"}},
	{"8.3 a pseudo-field of answers", []string{":status: 200"}},
	{"8.3 a pseudo-field behind others", []string{"-:path", "x: y", ":path: /api/public/x"}},
	{"8.3.1 no method", []string{"-:method"}},
	{"8.3.1 no scheme", []string{"-:scheme"}},
	{"8.3.1 no path", []string{"-:path"}},
	{"8.3.1 an empty path", []string{":path: "}},
	{"8.3.1 two paths", []string{"+:path: /api/orders/x"}},
	{"8.3.1 two methods", []string{"+:method: POST"}},
	{"8.3.1 another scheme", []string{":scheme: ftp"}},
	{"8.3.1 no scheme at all", []string{":scheme: "}},
	{"8.3.1 a Host that is another", []string{"host: evil.example"}},
	{"8.3.1 two Hosts", []string{"host: gw", "+host: gw"}},
	{"8.3.1 a user in the authority", []string{":authority: a@gw"}},
	{"8.3.1 a path in the authority", []string{":authority: gw/x"}},
	{"8.3.1 no authority", []string{"-:authority"}},
	{"8.3.1 an empty authority", []string{":authority: "}},
	{"8.3.1 an empty Host", []string{"-:authority", "host: "}},
	{"8.3.1 a path that is a whole URL", []string{":path: http://gw/api/public/x"}},
	{"8.2.1 a space before a value", []string{"x:  y"}},
	{"8.2.1 a tab behind a value", []string{"x: y\t"}},
	{"a path without a slash", []string{":path: api/public/x"}},
	{"a path with a space", []string{":path: /api/public/x y"}},
	{"a path with a CRLF", []string{":path: /api/public/x HTTP/1.1\r\nHost: gw\r\n\r\nGET /y"}},
	{"a path with dot segments", []string{":path: /api/public/../orders/x"}},
	{"a path with a fragment", []string{":path: /api/public/x#y"}},
	{"a target of another host", []string{":path: http://evil.example/api/public/x"}},
	{"8.5 CONNECT with a path", []string{":method: CONNECT"}},
	{"8.1.1 a length without a body", []string{"content-length: 5"}},
	{"8.1.1 two lengths", []string{"content-length: 0", "+content-length: 5"}},
	{"8.1.1 a length that is none", []string{"content-length: +0"}},
	{"8.1.1 a list of lengths", []string{"content-length: 0, 0"}},
}

func TestHTTP2_MalformedRequests(t *testing.T) {
	inClearAndTLS(t, func(t *testing.T, w *world) {
		for _, c := range malformedHTTP2 {
			t.Run(c.name, func(t *testing.T) {
				before := len(w.requests())
				client := w.h2(t)
				client.ask(1, true, c.edits...)
				switch got := client.outcome(1); got {
				case streamError, connectionError, "400":
				default:
					t.Errorf("got %s", got)
				}
				if all := w.requests(); len(all) != before {
					t.Errorf("the upstream saw %s %s %v", all[before].Method, all[before].RequestURI, all[before].Header)
				}
			})
		}
	})
}

// What the client says of its scheme is not believed.
func TestHTTP2_TheSchemeIsTheConnections(t *testing.T) {
	inClearAndTLS(t, func(t *testing.T, w *world) {
		ours, _, _ := strings.Cut(w.base, ":")
		for _, scheme := range []string{"http", "https"} {
			client := w.h2(t)
			client.ask(1, true, ":scheme: "+scheme)
			if got := client.outcome(1); got != "200" || w.last().Header.Get("X-Forwarded-Proto") != ours {
				t.Errorf("%s: got %s, and the upstream saw %q", scheme, got, w.last().Header.Get("X-Forwarded-Proto"))
			}
		}
	})
}

func TestHTTP2_BodiesAreAsLongAsTheySay(t *testing.T) {
	inClearAndTLS(t, func(t *testing.T, w *world) {
		for _, c := range []struct{ length, body, want string }{
			{"5", "hello", "200"},
			{"", "hello", "200"},
			{"0", "", "200"},
			{"4", "hello", streamError},
			{"6", "hello", streamError},
			{"6", "", streamError},
			{"5, 5", "hello", streamError},
			{"99999999999999999999", "hello", streamError},
		} {
			t.Run(fmt.Sprintf("%q of %q", c.body, c.length), func(t *testing.T) {
				before := len(w.requests())
				client := w.h2(t)
				edits := []string{":method: POST"}
				if c.length != "" {
					edits = append(edits, "content-length: "+c.length)
				}
				client.ask(1, false, edits...)
				client.ok(client.WriteData(1, true, []byte(c.body)))
				if got := client.outcome(1); got != c.want && (c.want != streamError || got != "400") {
					t.Errorf("got %s, want %s", got, c.want)
				}
				if all := w.requests(); c.want == "200" && len(all) != before+1 {
					t.Errorf("%d requests reached the upstream", len(all)-before)
				}
			})
		}
	})
}

// TestHTTP2_Frames are the cases of RFC 9113 that h2spec tests of a server's
// framing, streams and flow control.
func TestHTTP2_Frames(t *testing.T) {
	frame := func(kind http2.FrameType, flags http2.Flags, stream uint32, payload string) func(*h2) {
		return func(c *h2) { c.ok(c.WriteRawFrame(kind, flags, stream, []byte(payload))) }
	}
	asked := func(then func(*h2)) func(*h2) {
		return func(c *h2) { c.ask(1, true); then(c) }
	}
	open := func(then func(*h2)) func(*h2) {
		return func(c *h2) { c.ask(1, false, ":method: POST"); then(c) }
	}
	setting := func(id http2.SettingID, value uint32) func(*h2) {
		return func(c *h2) { c.ok(c.WriteSettings(http2.Setting{ID: id, Val: value})) }
	}
	cases := []struct {
		name string
		send func(*h2)
		want string // several, separated by "|"
	}{
		{"3.4 frames may come at once", func(c *h2) { c.ask(1, true) }, "200"},
		{"4.2 a frame over the maximum size", frame(http2.FrameData, 0, 1, strings.Repeat("x", 16<<10+1)), frameSizeError + "|closed"},
		{"4.3 a header block that cannot be decoded", frame(http2.FrameHeaders, http2.FlagHeadersEndHeaders|http2.FlagHeadersEndStream, 1, "\xff\xff\xff\xff\xff\xff"), "connection COMPRESSION_ERROR"},
		{"4.3 another frame within a header block", func(c *h2) {
			c.ok(c.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: c.fields(c.request()...), EndStream: true}))
			c.ok(c.WritePing(false, [8]byte{}))
		}, connectionError},
		{"5.1 DATA on an idle stream", frame(http2.FrameData, 0, 1, "x"), connectionError},
		{"5.1 RST_STREAM on an idle stream", frame(http2.FrameRSTStream, 0, 1, "\x00\x00\x00\x08"), connectionError},
		{"5.1 WINDOW_UPDATE on an idle stream", frame(http2.FrameWindowUpdate, 0, 1, "\x00\x00\x00\x01"), connectionError},
		{"5.1 CONTINUATION on an idle stream", frame(http2.FrameContinuation, http2.FlagContinuationEndHeaders, 1, ""), connectionError},
		{"5.1 DATA after the end of the stream", asked(frame(http2.FrameData, 0, 1, "x")), "stream STREAM_CLOSED|connection STREAM_CLOSED"},
		{"5.1 HEADERS after the end of the stream", asked(func(c *h2) { c.ask(1, true) }), "stream STREAM_CLOSED|connection STREAM_CLOSED|" + connectionError},
		{"5.1.1 an even stream", func(c *h2) { c.ask(2, true) }, connectionError},
		{"5.1.1 a stream with a smaller number", func(c *h2) { c.ask(5, true); c.ask(3, true) }, connectionError},
		{"5.3.1 a stream that depends on itself", func(c *h2) {
			c.ok(c.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: c.fields(c.request()...), EndStream: true, EndHeaders: true, Priority: http2.PriorityParam{StreamDep: 1, Weight: 1}}))
		}, "200|" + streamError + "|" + connectionError},
		{"5.5 a frame of an unknown type", func(c *h2) { frame(0x42, 0xff, 0, "x")(c); c.ask(1, true) }, "200"},
		{"6.1 DATA on stream 0", frame(http2.FrameData, 0, 0, "x"), connectionError},
		{"6.1 DATA with more padding than payload", open(frame(http2.FrameData, http2.FlagDataPadded, 1, "\x06hello")), connectionError},
		{"6.2 HEADERS on stream 0", frame(http2.FrameHeaders, http2.FlagHeadersEndHeaders, 0, "\x82"), connectionError},
		{"6.2 HEADERS with more padding than payload", frame(http2.FrameHeaders, http2.FlagHeadersPadded|http2.FlagHeadersEndHeaders, 1, "\x06\x82"), connectionError + "|" + streamError},
		{"6.3 PRIORITY on stream 0", frame(http2.FramePriority, 0, 0, "\x00\x00\x00\x03\x01"), connectionError},
		{"6.3 PRIORITY of a wrong size", frame(http2.FramePriority, 0, 1, "\x00"), frameSizeError + "|stream FRAME_SIZE_ERROR"},
		{"6.4 RST_STREAM on stream 0", frame(http2.FrameRSTStream, 0, 0, "\x00\x00\x00\x08"), connectionError},
		{"6.4 RST_STREAM of a wrong size", open(frame(http2.FrameRSTStream, 0, 1, "\x00")), frameSizeError},
		{"6.5 SETTINGS on a stream", frame(http2.FrameSettings, 0, 1, ""), connectionError},
		{"6.5 SETTINGS with an acknowledgement and a payload", frame(http2.FrameSettings, http2.FlagSettingsAck, 0, "\x00\x03\x00\x00\x00\x64"), frameSizeError},
		{"6.5 SETTINGS of a wrong size", frame(http2.FrameSettings, 0, 0, "\x00\x03\x00"), frameSizeError},
		{"6.5.2 ENABLE_PUSH of 2", setting(http2.SettingEnablePush, 2), connectionError},
		{"6.5.2 INITIAL_WINDOW_SIZE beyond the maximum", setting(http2.SettingInitialWindowSize, 1<<31), "connection FLOW_CONTROL_ERROR"},
		{"6.5.2 MAX_FRAME_SIZE too small", setting(http2.SettingMaxFrameSize, 1<<14-1), connectionError},
		{"6.5.2 MAX_FRAME_SIZE too large", setting(http2.SettingMaxFrameSize, 1<<24), connectionError},
		{"6.5.2 an unknown setting", func(c *h2) { setting(0x4242, 1)(c); c.ask(1, true) }, "200"},
		{"6.6 PUSH_PROMISE by a client", open(frame(http2.FramePushPromise, http2.FlagPushPromiseEndHeaders, 1, "\x00\x00\x00\x02\x82")), connectionError},
		{"6.7 PING on a stream", frame(http2.FramePing, 0, 1, "01234567"), connectionError},
		{"6.7 PING of a wrong size", frame(http2.FramePing, 0, 0, "0123"), frameSizeError},
		{"6.8 GOAWAY on a stream", frame(http2.FrameGoAway, 0, 1, "\x00\x00\x00\x00\x00\x00\x00\x00"), connectionError},
		{"6.9 WINDOW_UPDATE of 0", frame(http2.FrameWindowUpdate, 0, 0, "\x00\x00\x00\x00"), connectionError},
		{"6.9 WINDOW_UPDATE of 0 on a stream", open(frame(http2.FrameWindowUpdate, 0, 1, "\x00\x00\x00\x00")), streamError + "|" + connectionError},
		{"6.9 WINDOW_UPDATE of a wrong size", frame(http2.FrameWindowUpdate, 0, 0, "\x00\x00"), frameSizeError},
		{"6.9.1 a window beyond the maximum", func(c *h2) { frame(http2.FrameWindowUpdate, 0, 0, "\x7f\xff\xff\xff")(c) }, "connection FLOW_CONTROL_ERROR"},
		{"6.9.1 a stream's window beyond the maximum", open(frame(http2.FrameWindowUpdate, 0, 1, "\x7f\xff\xff\xff")), "stream FLOW_CONTROL_ERROR"},
		{"6.10 CONTINUATION without HEADERS", open(frame(http2.FrameContinuation, http2.FlagContinuationEndHeaders, 1, "")), connectionError},
		{"8.1 trailers without the end of the stream", open(func(c *h2) {
			c.ok(c.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: c.fields("x: y"), EndHeaders: true}))
		}), streamError + "|" + connectionError},
		{"8.1 trailers with a pseudo-field", open(func(c *h2) {
			c.ok(c.WriteHeaders(http2.HeadersFrameParam{StreamID: 1, BlockFragment: c.fields(":method: GET"), EndHeaders: true, EndStream: true}))
		}), streamError + "|" + connectionError + "|400"},
	}
	inClearAndTLS(t, func(t *testing.T, w *world) {
		for _, c := range cases {
			t.Run(c.name, func(t *testing.T) {
				client := w.h2(t)
				c.send(client)
				var got []string
				for range 3 { // an answer to what came before may come first
					one := client.outcome(1)
					got = append(got, one)
					for want := range strings.SplitSeq(c.want, "|") {
						if one == want {
							return
						}
					}
					if one == "closed" {
						break
					}
				}
				t.Errorf("got %s, want %s", strings.Join(got, ", then "), c.want)
			})
		}
		t.Run("3.4 a preface that is none", func(t *testing.T) {
			prefaces := []string{"PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\r", "PRI * HTTP/2.0\r\nHost: gw\r\n\r\n"}
			if w.cfg.TLSCert != "" { // where HTTP/2 was agreed upon
				prefaces = append(prefaces, "GET /api/public/preface HTTP/1.1\r\nHost: gw\r\n\r\n")
			}
			for _, preface := range prefaces {
				client := w.h2Bare(t)
				client.must(client.conn.Write([]byte(preface)))
				if got, err := io.ReadAll(client.conn); isTimeout(err) || bytes.Contains(got, []byte(" 200 ")) {
					t.Errorf("%q got %q, %v", preface, got, err)
				}
			}
			for _, r := range w.requests() { // those of the cases before come as they like
				if r.Method == "PRI" || r.RequestURI == "/api/public/preface" {
					t.Errorf("%s %s reached the upstream", r.Method, r.RequestURI)
				}
			}
		})
	})
}

// One connection may not have more requests under way than its share.
func TestHTTP2_SP16StreamsAreBounded(t *testing.T) {
	w := newWorld(t, nil)
	release := make(chan struct{})
	w.answers(func(http.ResponseWriter, *http.Request) { <-release })
	defer close(release)
	client := w.h2(t)
	allowed := uint32(0)
	for allowed == 0 {
		frame, err := client.ReadFrame()
		if err != nil {
			t.Fatal(err)
		}
		if settings, is := frame.(*http2.SettingsFrame); is {
			allowed, _ = settings.Value(http2.SettingMaxConcurrentStreams)
		}
	}
	client.ok(client.WriteSettingsAck())
	for i := range allowed + 1 {
		client.ask(2*i+1, true)
	}
	if got := client.outcome(2*allowed + 1); got != "stream REFUSED_STREAM" && got != streamError && got != connectionError {
		t.Errorf("request %d of %s got %s", allowed+1, strconv.Itoa(int(allowed)), got)
	}
}

// inClearAndTLS runs a test against a gateway without, and one with TLS.
func inClearAndTLS(t *testing.T, test func(*testing.T, *world)) {
	t.Helper()
	t.Run("in clear", func(t *testing.T) { test(t, newWorld(t, nil)) })
	t.Run("TLS", func(t *testing.T) {
		test(t, newWorld(t, func(c *Config) { c.TLSCert, c.TLSKey = certificateFiles(t) }))
	})
}
