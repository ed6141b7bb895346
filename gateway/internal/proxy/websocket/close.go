package websocket

import (
	"encoding/binary"
	"unicode/utf8"
)

// Status is why a WebSocket is closed (RFC 6455 section 7.4).
type Status uint16

// The status codes that the gateway sends. Those from 4000 on are for private
// use; ours end in the HTTP status that the same cause gives a request.
const (
	GoingAway       Status = 1001
	PolicyViolation Status = 1008
	TryAgainLater   Status = 1013
	Unauthorized    Status = 4401
)

// longestReason is what fits into a control frame beside the status.
const longestReason = 123

// ServerClose is a close frame as a server sends it. A reason that is too long
// is cut.
func ServerClose(status Status, reason string) []byte {
	payload := closing(status, reason)
	return append([]byte{maskBit | opcodeClose, byte(len(payload))}, payload...) // its first bit says that this is the final fragment
}

// ClientClose is a close frame as a client sends it: masked with the key, which
// nobody may be able to foresee (RFC 6455 section 5.3).
func ClientClose(status Status, reason string, key [4]byte) []byte {
	payload := closing(status, reason)
	frame := append([]byte{maskBit | opcodeClose, maskBit | byte(len(payload))}, key[:]...)
	for i, b := range payload {
		frame = append(frame, b^key[i%len(key)])
	}
	return frame
}

func closing(status Status, reason string) []byte {
	for len(reason) > longestReason || !utf8.ValidString(reason) {
		reason = reason[:min(len(reason)-1, longestReason)]
	}
	return append(binary.BigEndian.AppendUint16(nil, uint16(status)), reason...)
}
