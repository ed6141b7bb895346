package example

import (
	"bufio"
	"crypto/sha1" //nolint:gosec // RFC 6455 wants it; it protects nothing here
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// The ends of paths that answer for as long as the caller stays.
const (
	streamPath = "/stream" // server-sent events, one every tick
	socketPath = "/socket" // a WebSocket that echoes
)

// tick is the time between two events of a stream.
const tick = 50 * time.Millisecond

// stream sends events until the caller has gone.
func stream(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	control := http.NewResponseController(w)
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for n := 1; ; n++ {
		if _, err := fmt.Fprintf(w, "id: %d\ndata: tick\n\n", n); err != nil || control.Flush() != nil {
			return
		}
		select {
		case <-r.Context().Done():
			return
		case <-ticker.C:
		}
	}
}

// webSocketGUID is what both ends of a WebSocket handshake add to the key.
const webSocketGUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

// socket echoes the frames of a WebSocket (RFC 6455) until either end closes
// it. It knows no extensions and offers none.
func socket(w http.ResponseWriter, r *http.Request) {
	key := r.Header.Get("Sec-Websocket-Key")
	if r.Method != http.MethodGet || !strings.EqualFold(r.Header.Get("Upgrade"), "websocket") || key == "" {
		w.Header().Set("Upgrade", "websocket")
		http.Error(w, "This path speaks WebSocket.", http.StatusUpgradeRequired)
		return
	}
	conn, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		http.Error(w, "The connection cannot be switched.", http.StatusInternalServerError)
		return
	}
	defer conn.Close()                           //nolint:errcheck // whatever was to be said was said
	sum := sha1.Sum([]byte(key + webSocketGUID)) //nolint:gosec // see above
	if conn.SetDeadline(time.Time{}) != nil {
		return
	}
	_, _ = fmt.Fprintf(buffered, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: %s\r\n\r\n",
		base64.StdEncoding.EncodeToString(sum[:]))
	for goesOn := true; goesOn; {
		if err := buffered.Flush(); err != nil {
			return
		}
		if goesOn, err = echoFrame(buffered); err != nil {
			return
		}
	}
	_ = buffered.Flush() // the answer to a close frame
}

// The opcodes that are not simply echoed.
const (
	opcodeClose = 0x8
	opcodePing  = 0x9
	opcodePong  = 0xa
)

var errFrame = errors.New("not a frame of a client, or one that is too large")

// echoFrame reads a client's frame and answers it with the same, a ping with a
// pong. It reports whether the WebSocket goes on.
func echoFrame(both *bufio.ReadWriter) (goesOn bool, err error) {
	var head [2]byte
	if _, err := io.ReadFull(both, head[:]); err != nil {
		return false, fmt.Errorf("read frame: %w", err)
	}
	length := uint64(head[1] & 0x7f)
	if wide := map[uint64]int{126: 2, 127: 8}[length]; wide > 0 {
		var raw [8]byte
		if _, err := io.ReadFull(both, raw[8-wide:]); err != nil {
			return false, fmt.Errorf("read frame: %w", err)
		}
		length = binary.BigEndian.Uint64(raw[:])
	}
	if head[1]&0x80 == 0 || length > MaxBody {
		return false, errFrame
	}
	masked := make([]byte, 4+length)
	if _, err := io.ReadFull(both, masked); err != nil {
		return false, fmt.Errorf("read frame: %w", err)
	}
	key, payload := masked[:4], masked[4:]
	for i := range payload {
		payload[i] ^= key[i%4]
	}
	opcode := head[0] & 0x0f
	switch opcode {
	case opcodePong:
		return true, nil // nobody asked
	case opcodePing:
		head[0] = head[0]&0xf0 | opcodePong
	}
	_, _ = both.Write(frameHead(head[0], len(payload))) // errors come back from Flush
	_, _ = both.Write(payload)
	return opcode != opcodeClose, nil
}

// frameHead is the header of a server's frame.
func frameHead(first byte, length int) []byte {
	switch {
	case length < 126:
		return []byte{first, byte(length)}
	case length < 1<<16:
		return binary.BigEndian.AppendUint16([]byte{first, 126}, uint16(length))
	default:
		return binary.BigEndian.AppendUint64([]byte{first, 127}, uint64(length)) //nolint:gosec // a length is not negative
	}
}
