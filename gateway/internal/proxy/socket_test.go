package proxy

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"testing"
	"time"

	"gatehouse.internal/gateway/internal/proxy/websocket"
	"gatehouse.internal/shared/contract"
)

// wire is a frame as it was read.
type wire struct {
	first   byte
	masked  bool
	payload []byte // unmasked
}

// status is that of a close frame.
func (f wire) status() websocket.Status {
	if f.first != 0x88 || len(f.payload) < 2 {
		return 0
	}
	return websocket.Status(binary.BigEndian.Uint16(f.payload))
}

// frameOf writes a frame, masked as a client does it.
func frameOf(first byte, masked bool, payload []byte) []byte {
	out, bit := []byte{first}, byte(0)
	if masked {
		bit = 0x80
	}
	switch n := len(payload); {
	case n < 126:
		out = append(out, bit|byte(n))
	case n < 1<<16:
		out = binary.BigEndian.AppendUint16(append(out, bit|126), uint16(n))
	default:
		out = binary.BigEndian.AppendUint64(append(out, bit|127), uint64(n))
	}
	if !masked {
		return append(out, payload...)
	}
	key := []byte{7, 11, 13, 17}
	out = append(out, key...)
	for i, b := range payload {
		out = append(out, b^key[i%4])
	}
	return out
}

func readFrame(in *bufio.Reader) (wire, error) {
	var head [2]byte
	if _, err := io.ReadFull(in, head[:]); err != nil {
		return wire{}, err
	}
	f := wire{first: head[0], masked: head[1]&0x80 != 0}
	length := uint64(head[1] & 0x7f)
	if wide := map[uint64]int{126: 2, 127: 8}[length]; wide > 0 {
		var raw [8]byte
		if _, err := io.ReadFull(in, raw[8-wide:]); err != nil {
			return wire{}, err
		}
		length = binary.BigEndian.Uint64(raw[:])
	}
	var key [4]byte
	if f.masked {
		if _, err := io.ReadFull(in, key[:]); err != nil {
			return wire{}, err
		}
	}
	f.payload = make([]byte, length)
	if _, err := io.ReadFull(in, f.payload); err != nil {
		return wire{}, err
	}
	for i := range f.payload {
		f.payload[i] ^= key[i%4]
	}
	return f, nil
}

// socket is a WebSocket through the gateway, with both of its ends in hand.
type socket struct {
	t          *testing.T
	front      *front
	client     net.Conn
	in         *bufio.Reader // what the client gets
	upstream   net.Conn
	upstreamIn *bufio.Reader
}

func newSocket(t *testing.T, edit func(*Call)) *socket {
	t.Helper()
	taken, done := make(chan *socket, 1), make(chan struct{})
	t.Cleanup(func() { close(done) })
	up := newRecorder(t, func(w http.ResponseWriter, r *http.Request) {
		conn, buffered, _ := w.(http.Hijacker).Hijack()
		defer func() { _ = conn.Close() }()
		_, _ = fmt.Fprintf(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: keep-alive, Upgrade\r\nKeep-Alive: timeout=5\r\nUpgrade: websocket\r\n"+
			"Sec-WebSocket-Extensions: permessage-deflate\r\nSec-WebSocket-Accept: %s\r\n\r\n", accept(r.Header.Get("Sec-Websocket-Key")))
		taken <- &socket{upstream: conn, upstreamIn: buffered.Reader}
		<-done
	})
	f := newFront(t, up.URL).calls(func(c *Call) {
		signedIn(c)
		c.WebSocket = true
		if edit != nil {
			edit(c)
		}
	})
	running(t, f.live)
	c, in := f.raw(t, wsHead+"\r\n")
	s := <-taken
	s.t, s.front, s.client, s.in = t, f, c, in
	_ = s.upstream.SetDeadline(time.Now().Add(10 * time.Second))
	res, err := http.ReadResponse(in, nil)
	if err != nil || res.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("got %v %v", res, err)
	}
	if h := res.Header; h.Get("Connection") != "Upgrade" || h.Get("Keep-Alive") != "" || h.Get("Content-Length") != "" || h.Get("Sec-Websocket-Extensions") != "permessage-deflate" {
		t.Errorf("head %v", h)
	}
	eventually(t, "it is registered", func() bool { return f.live.Len() == 1 })
	return s
}

// revoke ends the session.
func (s *socket) revoke() {
	s.front.live.Applied([]contract.Entry{{Kind: contract.RevokeSession}})
}

func (s *socket) send(to net.Conn, data []byte) {
	s.t.Helper()
	if _, err := to.Write(data); err != nil {
		s.t.Fatal(err)
	}
}

// want reads the next frame on one end.
func (s *socket) want(in *bufio.Reader, first byte, payload string) {
	s.t.Helper()
	if f, err := readFrame(in); err != nil || f.first != first || string(f.payload) != payload {
		s.t.Fatalf("got %x %.60q (%v), want %x %.60q", f.first, f.payload, err, first, payload)
	}
}

func (s *socket) wantClose(in *bufio.Reader, status websocket.Status, masked bool) {
	s.t.Helper()
	f, err := readFrame(in)
	if err != nil || f.status() != status || f.masked != masked {
		s.t.Fatalf("got %x %.60q masked %t (%v), want a close frame with %d", f.first, f.payload, f.masked, err, status)
	}
}

// wantEnd sees to it that nothing comes after.
func (s *socket) wantEnd(in *bufio.Reader) {
	s.t.Helper()
	if rest, err := io.ReadAll(in); errors.Is(err, os.ErrDeadlineExceeded) || len(rest) > 0 {
		s.t.Fatalf("got %.60q after the end (%v)", rest, err)
	}
}

func (s *socket) wantForgotten() {
	s.t.Helper()
	target := s.front.set.Targets()[0]
	eventually(s.t, "it is forgotten", func() bool { return s.front.live.Len() == 0 && target.State().InFlight == 0 })
	if target.State().Ejected {
		s.t.Error("the upstream is blamed")
	}
}
