package proxy

import (
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
)

func accept(key string) string {
	sum := sha1.Sum([]byte(key + webSocketGUID))
	return base64.StdEncoding.EncodeToString(sum[:])
}

const wsHead = "GET /ws HTTP/1.1\r\nHost: gw\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: a2V5\r\n"

func echoSocket(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Upgrade") != "websocket" {
		_, _ = io.WriteString(w, "no upgrade came")
		return
	}
	conn, buffered, _ := w.(http.Hijacker).Hijack()
	defer func() { _ = conn.Close() }()
	_, _ = fmt.Fprintf(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: WebSocket\r\nSec-WebSocket-Accept: %s\r\n\r\n", accept(r.Header.Get("Sec-Websocket-Key")))
	_, _ = io.Copy(conn, buffered)
}

func TestServe_SP11Upgrade(t *testing.T) {
	allowed := func(c *Call) { signedIn(c); c.WebSocket = true }
	t.Run("is dropped unless the route has it", func(t *testing.T) {
		up := newRecorder(t, echoSocket)
		f := newFront(t, up.URL)
		for _, protocol := range []string{"websocket", "h2c", "HTTP/2.0", "foo", "websocket, h2c", "\x80"} {
			c, in := f.raw(t, strings.Replace(wsHead, "websocket", protocol, 1)+"\r\n")
			res, body := answer(t, in)
			if res.StatusCode != http.StatusOK || body != "no upgrade came" {
				t.Errorf("%q: %d %q", protocol, res.StatusCode, body)
			}
			// The connection is still HTTP: a request on it is judged.
			_, _ = io.WriteString(c, "GET /second HTTP/1.1\r\nHost: gw\r\nX-User-Id: evil\r\n\r\n")
			if _, _ = answer(t, in); up.last(t).target != "/second" || up.last(t).Header.Get("X-User-Id") != "" {
				t.Errorf("%q: the second request was tunnelled", protocol)
			}
		}
	})
	t.Run("to anything but websocket is dropped also where the route has it", func(t *testing.T) {
		up := newRecorder(t, echoSocket)
		f := newFront(t, up.URL).calls(allowed)
		for _, head := range []string{
			strings.Replace(wsHead, "websocket", "h2c", 1), strings.Replace(wsHead, "websocket", "websocket, h2c", 1),
			strings.Replace(wsHead, "GET", "POST", 1), strings.Replace(wsHead, "Sec-WebSocket-Key: a2V5\r\n", "", 1),
			wsHead + "Upgrade: h2c\r\n", wsHead + "Content-Length: 1\r\n",
			strings.Replace(wsHead, "Connection: Upgrade\r\n", "", 1), strings.Replace(wsHead, "Connection: Upgrade", "Connection: keep-alive", 1),
		} {
			if _, body := f.ask(t, head+"\r\nx"); body != "no upgrade came" {
				t.Errorf("%q: %q", head, body)
			}
		}
	})
	t.Run("granted, both ends talk", func(t *testing.T) {
		up := newRecorder(t, echoSocket)
		f := newFront(t, up.URL).calls(allowed)
		c, in := f.raw(t, wsHead+"\r\n")
		res, err := http.ReadResponse(in, nil)
		if err != nil || res.StatusCode != http.StatusSwitchingProtocols || res.Header.Get("X-Request-Id") != "req-1" || res.Header.Get("Sec-Websocket-Accept") != accept("a2V5") {
			t.Fatalf("got %v %v", res, err)
		}
		for _, text := range []string{"hello", "GET / HTTP/1.1\r\n\r\n"} {
			_, _ = io.WriteString(c, text)
			got := make([]byte, len(text))
			if _, err := io.ReadFull(in, got); err != nil || string(got) != text {
				t.Fatalf("echo is %q, %v", got, err)
			}
		}
		if up.last(t).Header.Get("X-User-Id") != "user-1" {
			t.Error("upstream was not told who is calling")
		}
	})
	t.Run("not granted, the connection stays HTTP", func(t *testing.T) {
		for _, status := range []string{"200 OK", "426 Upgrade Required", "403 Forbidden"} {
			url, _ := rawUpstream(t, "HTTP/1.1 "+status+"\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nContent-Length: 2\r\n\r\nno", nil)
			f := newFront(t, url).calls(allowed)
			c, in := f.raw(t, wsHead+"\r\n")
			if res, body := answer(t, in); !strings.HasPrefix(status, fmt.Sprint(res.StatusCode)) || body != "no" {
				t.Errorf("%s: got %d %q", status, res.StatusCode, body)
			}
			f.calls(func(c *Call) { signedIn(c); c.Path = "/checked" })
			_, _ = io.WriteString(c, "GET /second HTTP/1.1\r\nHost: gw\r\n\r\n")
			if res, _ := answer(t, in); res.Header.Get("X-Request-Id") != "req-1" {
				t.Errorf("%s: the second request went past the gateway", status)
			}
		}
	})
	t.Run("among other options of the connection", func(t *testing.T) {
		up := newRecorder(t, echoSocket)
		f := newFront(t, up.URL).calls(allowed)
		_, in := f.raw(t, strings.Replace(wsHead, "Connection: Upgrade", "Connection: keep-alive\r\nconnection: foo , upGRADE", 1)+"\r\n")
		if res, err := http.ReadResponse(in, nil); err != nil || res.StatusCode != http.StatusSwitchingProtocols {
			t.Errorf("got %v %v", res, err)
		}
	})
	t.Run("granted falsely, it is an upstream error", func(t *testing.T) {
		for name, head := range map[string]string{
			"another protocol":   "Connection: Upgrade\r\nUpgrade: h2c\r\nSec-WebSocket-Accept: " + accept("a2V5"),
			"no protocol":        "Connection: Upgrade\r\nSec-WebSocket-Accept: " + accept("a2V5"),
			"another's key":      "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: " + accept("b3RoZXI="),
			"no Connection line": "Upgrade: websocket\r\nSec-WebSocket-Accept: " + accept("a2V5"),
		} {
			url, _ := rawUpstream(t, "HTTP/1.1 101 Switching Protocols\r\n"+head+"\r\n\r\n", silence)
			f := newFront(t, url).calls(allowed)
			res, body := f.ask(t, wsHead+"\r\n")
			if res.StatusCode != http.StatusBadGateway {
				t.Errorf("%s: %d %q", name, res.StatusCode, body)
			}
		}
	})
}
