package websocket

import "encoding/binary"

// The parts of a frame's header (RFC 6455 section 5.2).
const (
	opcodeBits  = 0x0f
	opcodeClose = 0x8
	maskBit     = 0x80
	lengthBits  = 0x7f
	length16    = 126 // the length is in the next two bytes
	length64    = 127 // the length is in the next eight bytes
)

// Scanner follows the frames of one direction of a WebSocket, in whatever
// pieces they come. Its zero value stands before the first frame.
type Scanner struct {
	head   [10]byte // the header so far, without its masking key
	have   int      // bytes of the header so far
	left   uint64   // bytes of the payload that are still to come
	closed bool
	lost   bool
}

// Next takes in bytes to the end of the frame they belong to, or all of them,
// if that frame goes on behind them. It returns how many it took.
func (s *Scanner) Next(p []byte) int {
	if s.lost {
		return len(p)
	}
	n := 0
	for s.have < s.headSize() {
		if n == len(p) {
			return n
		}
		if s.have < len(s.head) {
			s.head[s.have] = p[n]
		}
		s.have++
		n++
		if s.have == s.headSize() {
			s.left = s.length()
		}
	}
	if s.left>>63 != 0 { // "the most significant bit MUST be 0": these are no frames
		s.lost = true
		return len(p)
	}
	take := min(s.left, uint64(len(p)-n))
	s.left -= take
	n += int(take) //nolint:gosec // no more than len(p)
	if s.left == 0 {
		s.closed = s.closed || s.head[0]&opcodeBits == opcodeClose
		s.have = 0
	}
	return n
}

// Skip takes in all of the bytes.
func (s *Scanner) Skip(p []byte) {
	for len(p) > 0 {
		p = p[s.Next(p):]
	}
}

// Boundary reports whether the scanner stands between two frames, where a
// control frame may be put in (RFC 6455 section 5.4: also between the
// fragments of a message).
func (s *Scanner) Boundary() bool { return s.have == 0 && !s.lost }

// Closed reports whether a whole close frame has passed, after which nothing
// may follow in this direction.
func (s *Scanner) Closed() bool { return s.closed }

// headSize is how many bytes the header has, as far as it can be told.
func (s *Scanner) headSize() int {
	size := 2
	if s.have < 2 {
		return size
	}
	switch s.head[1] & lengthBits {
	case length16:
		size += 2
	case length64:
		size += 8
	}
	if s.head[1]&maskBit != 0 {
		size += 4
	}
	return size
}

// length is that of the payload, by a whole header.
func (s *Scanner) length() uint64 {
	switch short := s.head[1] & lengthBits; short {
	case length16:
		return uint64(binary.BigEndian.Uint16(s.head[2:]))
	case length64:
		return binary.BigEndian.Uint64(s.head[2:])
	default:
		return uint64(short)
	}
}
