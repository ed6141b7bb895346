package gatewayapp

import (
	"bufio"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"gatehouse.internal/shared/contract"
	"gatehouse.internal/shared/token/tokentest"
)

// goesOn answers with an event stream or a WebSocket that never end by
// themselves.
func goesOn(rw http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Upgrade") == "" {
		rw.Header().Set("Content-Type", "text/event-stream")
		_, _ = io.WriteString(rw, "data: x\n\n")
		_ = http.NewResponseController(rw).Flush()
		<-r.Context().Done()
		return
	}
	sum := sha1.Sum([]byte(r.Header.Get("Sec-Websocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	conn, buffered, _ := http.NewResponseController(rw).Hijack()
	defer func() { _ = conn.Close() }()
	_, _ = fmt.Fprintf(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: keep-alive, Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: %s\r\n\r\n",
		base64.StdEncoding.EncodeToString(sum[:]))
	_, _ = io.Copy(io.Discard, buffered)
}

const upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: a2V5\r\n"

// openSocket opens a WebSocket.
func (w *world) openSocket(path, token string) *bufio.Reader {
	w.t.Helper()
	_, in := w.raw("GET " + path + " HTTP/1.1\r\nHost: gw\r\n" + bearer + token + "\r\n" + upgrade + "\r\n")
	res, err := http.ReadResponse(in, nil)
	if err != nil || res.StatusCode != http.StatusSwitchingProtocols {
		w.t.Fatalf("%v %v", res, err)
	}
	return in
}

// closedWith reads a close frame and nothing else.
func closedWith(t *testing.T, in *bufio.Reader) (status int, reason string) {
	t.Helper()
	all, err := io.ReadAll(in)
	if err != nil || len(all) < 4 || all[0] != 0x88 || int(all[1]) != len(all)-2 {
		t.Fatalf("got %x (%v), want one close frame", all, err)
	}
	return int(binary.BigEndian.Uint16(all[2:])), string(all[4:])
}

func TestApp_I13_long_answers_end_with_their_session(t *testing.T) {
	w := newWorld(t, nil)
	w.answers(goesOn)
	_, in := w.raw("GET /api/orders/stream HTTP/1.1\r\nHost: gw\r\n" + bearer + w.token(nil) + "\r\n\r\n")
	res, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	if _, err := res.Body.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	socket := w.openSocket("/ws/x", w.token(nil))
	other := w.openSocket("/ws/x", w.token(func(c *contract.Claims) { c.SessionID = "0191d5a0-0000-7000-8000-00000000abcd" }))
	w.until("all are counted", func() bool {
		text := w.metricsText()
		return strings.Contains(text, `gatehouse_gateway_long_answers{kind="websocket"} 2`) && strings.Contains(text, `gatehouse_gateway_long_answers{kind="event_stream"} 1`)
	})
	w.revoke(contract.Entry{Kind: contract.RevokeSession, Subject: contract.ParseSubjectID(tokentest.Claims(time.Now()).SessionID)})
	began := time.Now()
	if _, err := io.Copy(io.Discard, res.Body); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("the event stream ended with %v, and should look cut short", err)
	}
	if took := time.Since(began); took > time.Second {
		t.Errorf("the event stream ended after %v", took)
	}
	if status, reason := closedWith(t, socket); status != 4401 || reason != "token_revoked" {
		t.Errorf("the WebSocket was closed with %d %s", status, reason)
	}
	w.until("the ends are counted", func() bool {
		text := w.metricsText()
		return strings.Contains(text, `gatehouse_gateway_long_answers_ended_total{cause="token_revoked",kind="websocket"} 1`) &&
			strings.Contains(text, `gatehouse_gateway_long_answers_ended_total{cause="token_revoked",kind="event_stream"} 1`)
	})
	w.until("only that of the other session is left", func() bool { return w.app.live.Len() == 1 })
	w.stop()
	if status, _ := closedWith(t, other); status != 1001 {
		t.Errorf("a stopping gateway closes with %d", status)
	}
}

func TestApp_I2_I13_a_node_that_knows_too_little_closes_what_demands_more(t *testing.T) {
	w := newWorld(t, nil)
	w.answers(goesOn)
	lax, strict := w.openSocket("/ws/x", w.token(nil)), w.openSocket("/ws/strict/x", w.token(nil))
	began := time.Now()
	w.silence(true)
	if status, reason := closedWith(t, strict); status != 1013 || reason != "revocation_state_unknown" {
		t.Errorf("closed with %d %s", status, reason)
	}
	if took := time.Since(began); took > 10*time.Second { // the route allows 2 s; the rest is for a busy machine
		t.Errorf("it took %v", took)
	}
	w.silence(false)
	w.revoke(contract.Entry{Kind: contract.RevokeSession, Subject: contract.ParseSubjectID(tokentest.Claims(time.Now()).SessionID)})
	if status, _ := closedWith(t, lax); status != 4401 {
		t.Errorf("the other is closed with %d", status)
	}
}

func TestApp_a_long_answer_ends_with_its_token_where_the_route_says_so(t *testing.T) {
	w := newWorld(t, nil)
	w.answers(goesOn)
	soon := w.token(func(c *contract.Claims) { c.ExpiresAt = time.Now().Add(1200 * time.Millisecond) })
	ends, goes := w.openSocket("/ws/expiring/x", soon), w.openSocket("/ws/x", soon)
	if status, reason := closedWith(t, ends); status != 4401 || reason != "token_expired" {
		t.Errorf("closed with %d %s", status, reason)
	}
	w.until("the expired one is gone", func() bool { return w.app.live.Len() == 1 })
	w.stop()
	if status, _ := closedWith(t, goes); status != 1001 { // only now, because the gateway stops
		t.Errorf("the other one is closed with %d", status)
	}
}

// metricsText is what a scrape gets.
func (w *world) metricsText() string {
	w.t.Helper()
	res, err := w.client.Get("http://" + w.app.OpsAddr() + "/metrics")
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	text, _ := io.ReadAll(res.Body)
	return string(text)
}
