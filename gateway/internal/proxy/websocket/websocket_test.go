package websocket

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"
)

// frame makes one as either end could send it.
func frame(first byte, mask bool, payload int) []byte {
	out := []byte{first}
	var bit byte
	if mask {
		bit = maskBit
	}
	switch {
	case payload < length16:
		out = append(out, bit|byte(payload))
	case payload < 1<<16:
		out = binary.BigEndian.AppendUint16(append(out, bit|length16), uint16(payload))
	default:
		out = binary.BigEndian.AppendUint64(append(out, bit|length64), uint64(payload))
	}
	if mask {
		out = append(out, 1, 2, 3, 4)
	}
	return append(out, bytes.Repeat([]byte{0x88}, payload)...) // a payload that looks like close frames
}

func TestScanner_frames_end_where_they_end_in_whatever_pieces_they_come(t *testing.T) {
	frames := [][]byte{
		frame(0x81, false, 0), frame(0x81, true, 5), frame(0x02, false, 125), frame(0x89, true, 4), frame(0x00, true, 126),
		frame(0x8a, false, 0), frame(0x80, false, 65535), frame(0xc1, true, 65536), frame(0xf2, false, 70000), frame(0x88, true, 2),
	}
	all := bytes.Join(frames, nil)
	for _, piece := range []int{1, 2, 3, 7, 13, 4096, len(all)} {
		t.Run(fmt.Sprint(piece), func(t *testing.T) {
			var s Scanner
			var ends []int
			for at := 0; at < len(all); {
				n := s.Next(all[at:min(at+piece, len(all))])
				at += n
				if s.Boundary() {
					ends = append(ends, at)
				}
				if s.Closed() != (at == len(all)) {
					t.Fatalf("closed is %t at %d of %d", s.Closed(), at, len(all))
				}
			}
			want := 0
			for i, f := range frames {
				if want += len(f); i >= len(ends) || ends[i] != want {
					t.Fatalf("frame %d ends at %v, want %d", i, ends[min(i, len(ends)):], want)
				}
			}
		})
	}
}

func TestScanner_a_length_that_cannot_be_is_no_boundary_ever_after(t *testing.T) {
	var s Scanner
	s.Skip([]byte{0x82, 127, 0x80, 0, 0, 0, 0, 0, 0, 0})
	s.Skip(bytes.Repeat([]byte{0}, 100))
	if s.Boundary() || s.Closed() {
		t.Error("it found its way again")
	}
}

func TestClose_frames_are_as_RFC_6455_has_them(t *testing.T) {
	if got, want := ServerClose(Unauthorized, "token_revoked"), append([]byte{0x88, 15, 0x11, 0x31}, "token_revoked"...); !bytes.Equal(got, want) {
		t.Errorf("got %x, want %x", got, want)
	}
	masked := ClientClose(PolicyViolation, "x", [4]byte{1, 2, 3, 4})
	if want := []byte{0x88, 0x83, 1, 2, 3, 4, 0x03 ^ 1, 0xf0 ^ 2, 'x' ^ 3}; !bytes.Equal(masked, want) {
		t.Errorf("got %x, want %x", masked, want)
	}
	long := ServerClose(GoingAway, strings.Repeat("ü", 100)) // a rune is not cut in two
	if len(long) != 2+2+122 || long[1] != 124 {
		t.Errorf("%d bytes, header %x", len(long), long[:2])
	}
	for _, f := range [][]byte{long, masked, ServerClose(TryAgainLater, "")} {
		var s Scanner
		if n := s.Next(f); n != len(f) || !s.Boundary() || !s.Closed() {
			t.Errorf("%x is not one close frame", f)
		}
	}
}

// FuzzScanner holds the scanner to a reader of whole frames.
func FuzzScanner(f *testing.F) {
	f.Add(frame(0x81, true, 200), uint8(3))
	f.Add(append(frame(0x01, false, 70000), frame(0x88, true, 0)...), uint8(100))
	f.Add([]byte{0x82, 127, 0xff, 0, 0, 0, 0, 0, 0, 0, 1}, uint8(1))
	f.Fuzz(func(t *testing.T, data []byte, piece uint8) {
		ends, closed := wholeFrames(data)
		var s Scanner
		for at := 0; at < len(data); {
			chunk := data[at:min(at+int(piece)+1, len(data))]
			n := s.Next(chunk)
			if n < 1 || n > len(chunk) {
				t.Fatalf("took %d of %d", n, len(chunk))
			}
			if at += n; s.Boundary() != ends[at] {
				t.Fatalf("boundary is %t at %d of %x", s.Boundary(), at, data)
			}
		}
		if s.Closed() != closed {
			t.Errorf("closed is %t", s.Closed())
		}
	})
}

// wholeFrames reads frames the plain way: where they end, and whether one of
// them is a close frame.
func wholeFrames(data []byte) (ends map[int]bool, closed bool) {
	ends = map[int]bool{}
	for at := 0; ; {
		rest := data[at:]
		if len(rest) < 2 {
			return ends, closed
		}
		size, length := 2, uint64(rest[1]&0x7f)
		wide := map[uint64]int{126: 2, 127: 8}[length]
		if len(rest) < size+wide {
			return ends, closed
		}
		if wide > 0 {
			length = 0
			for _, b := range rest[size : size+wide] {
				length = length<<8 | uint64(b)
			}
		}
		size += wide
		if rest[1]&0x80 != 0 {
			size += 4
		}
		if length >= 1<<63 || len(rest) < size || uint64(len(rest)-size) < length {
			return ends, closed
		}
		at += size + int(length)
		ends[at] = true
		closed = closed || rest[0]&0x0f == 8
	}
}

func BenchmarkScanner(b *testing.B) {
	data := bytes.Repeat(frame(0x81, true, 100), 300)
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	var s Scanner
	for b.Loop() {
		s.Skip(data)
	}
}
