package example

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

func TestHandler_a_stream_ticks(t *testing.T) {
	server := httptest.NewServer(Handler())
	defer server.Close()
	res, err := http.Get(server.URL + "/api/echo/stream")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	got := make([]byte, len("id: 1\ndata: tick\n\nid: 2\ndata: tick\n\n"))
	if _, err := io.ReadFull(res.Body, got); err != nil || !strings.HasPrefix(string(got[18:]), "id: 2\n") || res.Header.Get("Content-Type") != "text/event-stream" {
		t.Errorf("%q %v %v", got, err, res.Header)
	}
}

func TestHandler_a_socket_echoes(t *testing.T) {
	server := httptest.NewServer(Handler())
	defer server.Close()
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	_, _ = fmt.Fprint(conn, "GET /api/echo/socket HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n")
	in := bufio.NewReader(conn)
	res, err := http.ReadResponse(in, nil)
	if err != nil || res.StatusCode != http.StatusSwitchingProtocols || res.Header.Get("Sec-Websocket-Accept") != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" {
		t.Fatalf("%v %v", res, err) // the example of RFC 6455 section 1.3
	}
	big := strings.Repeat("x", 300)
	for _, c := range []struct{ sent, want string }{
		{"\x81\x82\x00\x00\x00\x00hi", "\x81\x02hi"},
		{"\x81\x82\x01\x02\x03\x04" + string([]byte{'h' ^ 1, 'i' ^ 2}), "\x81\x02hi"},
		{"\x8a\x80\x00\x00\x00\x00\x89\x81\x00\x00\x00\x00p", "\x8a\x01p"}, // a pong gets nothing, a ping a pong
		{"\x02\xfe\x01\x2c\x00\x00\x00\x00" + big, "\x02\x7e\x01\x2c" + big},
		{"\x88\x82\x00\x00\x00\x00\x03\xe8", "\x88\x02\x03\xe8"},
	} {
		_, _ = io.WriteString(conn, c.sent)
		got := make([]byte, len(c.want))
		if _, err := io.ReadFull(in, got); err != nil || string(got) != c.want {
			t.Fatalf("%q is answered with %q, want %q (%v)", c.sent, got, c.want, err)
		}
	}
	if rest, err := io.ReadAll(in); err != nil || len(rest) > 0 {
		t.Errorf("after the close frame comes %q %v", rest, err)
	}
	plain, err := http.Get(server.URL + "/api/echo/socket")
	if err != nil {
		t.Fatal(err)
	}
	_ = plain.Body.Close()
	if plain.StatusCode != http.StatusUpgradeRequired {
		t.Errorf("a plain request gets %d", plain.StatusCode)
	}
}
