package main

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// liveBound is how soon after its session a long answer must have ended.
const liveBound = time.Second

// openSocket opens a WebSocket through a node.
func (d *deployment) openSocket(t testing.TB, node int, token string) (net.Conn, *bufio.Reader) {
	t.Helper()
	at, err := url.Parse(d.urls[node%len(d.urls)])
	if err != nil {
		t.Fatal(err)
	}
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", at.Host)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(15 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Fprintf(conn, "GET /api/echo/socket HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\nConnection: keep-alive, Upgrade\r\n"+
		"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", at.Host, token); err != nil {
		t.Fatal(err)
	}
	in := bufio.NewReader(conn)
	res, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatal(err)
	}
	if res.StatusCode != http.StatusSwitchingProtocols || res.Header.Get("Sec-Websocket-Accept") != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" {
		t.Fatalf("the WebSocket is answered with %s", res.Status)
	}
	return conn, in
}

// echoes sends a text over a WebSocket and wants it back.
func echoes(t testing.TB, conn net.Conn, in *bufio.Reader, text string) {
	t.Helper()
	if _, err := conn.Write(append([]byte{0x81, 0x80 | byte(len(text)), 0, 0, 0, 0}, text...)); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, 2+len(text))
	if _, err := io.ReadFull(in, got); err != nil || string(got[2:]) != text {
		t.Fatalf("the echo of %q is %q (%v)", text, got, err)
	}
}

// closeStatus reads what must be a server's close frame and nothing after it.
func closeStatus(in *bufio.Reader) (int, error) {
	var head [4]byte
	if _, err := io.ReadFull(in, head[:]); err != nil {
		return 0, err
	}
	if head[0] != 0x88 || head[1] < 2 || head[1] > 125 {
		return 0, fmt.Errorf("%x is not a close frame", head)
	}
	if _, err := io.ReadFull(in, make([]byte, head[1]-2)); err != nil {
		return 0, err
	}
	return int(binary.BigEndian.Uint16(head[2:])), nil
}

// openStream opens an event stream through a node and waits for its first
// event.
func (d *deployment) openStream(t testing.TB, node int, token string) *bufio.Reader {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, d.urls[node%len(d.urls)]+"/api/echo/stream", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+token)
	res, err := d.client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = res.Body.Close() })
	in := bufio.NewReader(res.Body)
	if line, err := in.ReadString('\n'); err != nil || !strings.HasPrefix(line, "id: ") {
		t.Fatalf("the stream begins with %q (%v), status %s", line, err, res.Status)
	}
	return in
}

// ending is how something that went on for long has ended.
type ending struct {
	after  time.Duration
	status int // of a close frame
	err    error
}

// socketEnding and streamEnding watch until it has ended.
func socketEnding(began time.Time, in *bufio.Reader) <-chan ending {
	out := make(chan ending, 1)
	go func() {
		status, err := closeStatus(in)
		out <- ending{time.Since(began), status, err}
	}()
	return out
}

func streamEnding(began time.Time, in *bufio.Reader) <-chan ending {
	out := make(chan ending, 1)
	go func() {
		_, err := io.Copy(io.Discard, in)
		out <- ending{time.Since(began), 0, err}
	}()
	return out
}

func TestE2E_I13_F37_a_logout_ends_what_is_open_on_other_nodes(t *testing.T) {
	d := e2e(t)
	u := d.register(t, true)
	for _, c := range []struct {
		name string
		kill func(s session)
	}{
		{"logout", func(s session) {
			d.want(t, call{method: "POST", path: "/auth/logout", token: s.access}, http.StatusNoContent, "")
		}},
		{"logout everywhere", func(s session) {
			d.want(t, call{method: "POST", path: "/auth/logout/all", token: s.access}, http.StatusNoContent, "")
		}},
		{"logout by the refresh token", func(s session) {
			d.want(t, call{method: "POST", path: "/auth/logout", body: map[string]any{"refresh_token": s.refresh}}, http.StatusNoContent, "")
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := d.login(t, u)
			conn, socket := d.openSocket(t, 1, s.access)
			echoes(t, conn, socket, "hello")
			stream := d.openStream(t, 2, s.access)
			// A refresh is no end: the session lives.
			s = sessionOf(t, d.want(t, refreshCall(s.refresh, 0), http.StatusOK, ""))
			echoes(t, conn, socket, "still here")
			began := time.Now()
			socketEnds, streamEnds := socketEnding(began, socket), streamEnding(began, stream)
			c.kill(s)
			answered := time.Since(began)
			closed, cut := <-socketEnds, <-streamEnds
			if closed.err != nil || closed.status != 4401 || closed.after > liveBound {
				t.Errorf("the WebSocket ended with %d after %v (%v), want 4401 within %v", closed.status, closed.after, closed.err, liveBound)
			}
			if !errors.Is(cut.err, io.ErrUnexpectedEOF) || cut.after > liveBound {
				t.Errorf("the event stream ended with %v after %v, want it cut off within %v", cut.err, cut.after, liveBound)
			}
			t.Logf("answered after %v, WebSocket closed after %v, event stream cut after %v", answered, closed.after, cut.after)
		})
	}
}

func TestE2E_I13_another_session_of_the_user_goes_on(t *testing.T) {
	d := e2e(t)
	u := d.register(t, true)
	one, two := d.login(t, u), d.login(t, u)
	conn, socket := d.openSocket(t, 1, two.access)
	d.want(t, call{method: "POST", path: "/auth/logout", token: one.access}, http.StatusNoContent, "")
	echoes(t, conn, socket, "one")
	time.AfterFunc(300*time.Millisecond, func() { _, _ = conn.Write([]byte{0x89, 0x80, 0, 0, 0, 0}) })
	if pong, err := socket.Peek(2); err != nil || pong[0] != 0x8a {
		t.Errorf("after another session's logout comes %x (%v)", pong, err)
	}
}

func TestE2E_a_websocket_is_switched_only_where_a_route_allows_it(t *testing.T) {
	d := e2e(t)
	s := d.login(t, d.register(t, true))
	upgrade := http.Header{"Connection": {"Upgrade"}, "Upgrade": {"websocket"}, "Sec-Websocket-Version": {"13"}, "Sec-Websocket-Key": {"dGhlIHNhbXBsZSBub25jZQ=="}}
	d.want(t, call{method: "GET", path: "/api/echo/x", token: s.access, header: upgrade}, http.StatusOK, "")
	d.want(t, call{method: "GET", path: "/api/echo/socket", header: upgrade}, http.StatusUnauthorized, "token_missing")
}
