package framing

import (
	"bytes"

	"gatehouse.internal/shared/fault"
)

// Bounds of what is read before somebody has judged it, in bytes.
const (
	// DefaultMaxHead is how large a head may be when New is told nothing.
	DefaultMaxHead = 32 << 10
	// maxTrailers bounds the fields after a chunked body.
	maxTrailers = 2 << 10
	// maxChunkLine bounds the line before a chunk, with its extensions.
	maxChunkLine = 256
	// keptLine is up to how much memory for a line in pieces is kept.
	keptLine = 1 << 10
)

// Preface begins every HTTP/2 connection (RFC 9113 section 3.4).
const Preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

// Poison is put in the place of what is refused. net/http refuses it wherever it
// stands: in a request line, a field or a chunk's line because of the NUL or
// the bare LF, and among trailers, where it forgives both, because of a line
// without a colon. So it is net/http that refuses the request, when its turn
// has come.
const Poison = "\x00\n\x00refused\r\n\r\n"

// part is the part of a connection's bytes that comes next.
type part uint8

const (
	preface   part = iota // the first bytes: HTTP/2 or HTTP/1.1?
	startLine             // of a request
	fields                // of a request, and the empty line
	body                  // of a known length
	chunkLine             // size and extensions
	chunkData
	chunkEnd // the empty line behind it
	trailers // and the empty line
	foreign  // another protocol: passes as it is
	refused
)

// Scanner follows the bytes that one client sends. It keeps nothing of them
// but the beginning of a line that has not ended, and allocates only for that.
// It is for one goroutine.
type Scanner struct {
	part    part
	http2   bool // may come
	maxHead int
	seen    int    // bytes of this head, chunk line or trailer part; of the preface
	line    []byte // the beginning of a line that has not ended
	left    int64  // bytes of the body or the chunk
	head    head
	refusal *fault.Error
}

// New returns a Scanner for a new connection. maxHead bounds a request's start
// line and fields in bytes; 0 means DefaultMaxHead. http2 says whether the
// client may speak HTTP/2 instead, which then passes unread.
func New(maxHead int, http2 bool) Scanner {
	if maxHead <= 0 {
		maxHead = DefaultMaxHead
	}
	s := Scanner{maxHead: maxHead, http2: http2, part: startLine}
	if http2 {
		s.part = preface
	}
	return s
}

// Passes tells that everything is fine from now on: the connection has been
// taken over for another protocol. What was refused stays refused.
func (s *Scanner) Passes() {
	if s.part != refused {
		s.part, s.line, s.http2 = foreign, nil, false
	}
}

// IsHTTP2 reports whether the client has begun to speak HTTP/2.
func (s *Scanner) IsHTTP2() bool { return s.http2 && s.part == foreign }

// Scan reads the next bytes of the connection. It returns how many of them may
// pass; if these are not all, also why the next one may not: with fault.Malformed,
// HeadersTooLarge, URITooLong, UnsupportedTransferCoding or UnsupportedVersion.
// A refusal is for good: nothing passes after it, and the connection must be closed.
func (s *Scanner) Scan(p []byte) (passed int, refusal *fault.Error) {
	for passed < len(p) && s.refusal == nil {
		var n int
		n, refusal = s.step(p[passed:])
		passed += n
		if refusal != nil {
			s.refusal, s.part, s.line = refusal, refused, nil
		}
	}
	return passed, s.refusal
}

// step reads on within one part; it takes one byte at least, or refuses.
func (s *Scanner) step(p []byte) (int, *fault.Error) {
	switch s.part {
	case foreign:
		return len(p), nil
	case body, chunkData:
		return s.skip(p), nil
	case preface:
		return s.takePreface(p)
	}
	end := bytes.IndexByte(p, '\n')
	if end < 0 {
		return s.keep(p)
	}
	line := p[:end]
	if len(s.line) > 0 {
		s.line = append(s.line, line...)
		line = s.line
	}
	s.seen += end + 1
	if s.seen > s.bound() {
		return 0, s.tooLong()
	}
	if len(line) == 0 || line[len(line)-1] != '\r' {
		return 0, errBareLF
	}
	refusal := s.takeLine(line[:len(line)-1])
	if cap(s.line) > keptLine {
		s.line = nil
	}
	s.line = s.line[:0]
	if refusal != nil {
		return 0, refusal
	}
	return end + 1, nil
}

// keep keeps a line that has not ended yet. It passes, as net/http does nothing
// with such a line, and is judged when it ends.
func (s *Scanner) keep(p []byte) (int, *fault.Error) {
	s.seen += len(p)
	if s.seen > s.bound() {
		return 0, s.tooLong()
	}
	s.line = append(s.line, p...)
	return len(p), nil
}

// takeLine takes a line without its CRLF.
func (s *Scanner) takeLine(line []byte) *fault.Error {
	switch s.part {
	case startLine:
		s.head = head{}
		if refusal := s.head.startLine(line); refusal != nil {
			return refusal
		}
		s.part = fields
	case fields:
		if len(line) > 0 {
			return s.head.field(line)
		}
		return s.endHead()
	case chunkLine:
		return s.startChunk(line)
	case chunkEnd:
		if len(line) > 0 {
			return errChunkEnd
		}
		s.begin(chunkLine)
	case trailers:
		if len(line) > 0 {
			_, _, refusal := splitField(line)
			return refusal
		}
		s.begin(startLine)
	}
	return nil
}

// endHead finds out what follows the head.
func (s *Scanner) endHead() *fault.Error {
	if refusal := s.head.check(); refusal != nil {
		return refusal
	}
	switch {
	case s.head.chunked:
		s.begin(chunkLine)
	case s.head.length > 0:
		s.begin(body)
		s.left = s.head.length
	default:
		s.begin(startLine)
	}
	return nil
}

func (s *Scanner) begin(next part) { s.part, s.seen = next, 0 }

// skip passes bytes of a body.
func (s *Scanner) skip(p []byte) int {
	n := int(min(int64(len(p)), s.left))
	s.left -= int64(n)
	if s.left == 0 {
		if s.part == body {
			s.begin(startLine)
		} else {
			s.begin(chunkEnd)
		}
	}
	return n
}

// bound is how many bytes the present part may have.
func (s *Scanner) bound() int {
	switch s.part {
	case chunkLine:
		return maxChunkLine
	case chunkEnd:
		return len("\r\n")
	case trailers:
		return maxTrailers
	}
	return s.maxHead
}

func (s *Scanner) tooLong() *fault.Error {
	switch s.part {
	case startLine:
		return errLongTarget
	case fields:
		return errLongHead
	case chunkEnd:
		return errChunkEnd
	}
	return errLongChunk
}

// takePreface finds out whether the client speaks HTTP/2. If it stops doing so
// within the preface, net/http may have seen a request with the method PRI,
// which no handler answers to.
func (s *Scanner) takePreface(p []byte) (int, *fault.Error) {
	for i, c := range p {
		if c != Preface[s.seen] {
			// It was the beginning of an HTTP/1.1 request, then.
			s.line = append(s.line, Preface[:s.seen]...)
			s.part, s.seen = startLine, len(s.line)
			if bytes.IndexByte(s.line, '\n') >= 0 {
				return i, errVersion
			}
			return i, nil
		}
		s.seen++
		if s.seen == len(Preface) {
			s.part = foreign
			return i + 1, nil
		}
	}
	return len(p), nil
}
