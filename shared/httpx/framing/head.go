package framing

import (
	"bytes"

	"gatehouse.internal/shared/fault"
)

const (
	// maxMethod bounds methods; the longest registered one has 17 letters.
	maxMethod = 32
	// maxFields bounds the number of fields of a head.
	maxFields = 256
	// maxLengthDigits keeps a Content-Length within 63 bits.
	maxLengthDigits = 18
)

// head is what is known of the head of a request so far.
type head struct {
	old       bool   // HTTP/1.0
	authority []byte // of a target in absolute form
	count     int    // of fields
	hosts     int
	hasLength bool
	length    int64
	codings   int // Transfer-Encoding fields
	chunked   bool
}

// startLine reads a request line (RFC 9112 section 3), which has single spaces.
func (h *head) startLine(line []byte) *fault.Error {
	first, last := bytes.IndexByte(line, ' '), bytes.LastIndexByte(line, ' ')
	if first <= 0 || last <= first+1 {
		return errRequestLine
	}
	if method := line[:first]; len(method) > maxMethod || !isToken(method) {
		return errMethod
	}
	for _, c := range line[first+1 : last] {
		if c <= ' ' || c == 0x7f {
			return errRequestLine
		}
	}
	h.authority = authority(line[first+1 : last])
	switch version := line[last+1:]; {
	case string(version) == "HTTP/1.1":
	case string(version) == "HTTP/1.0":
		h.old = true
	case len(version) == len("HTTP/1.1") && string(version[:5]) == "HTTP/" && isDigit(version[5]) && version[6] == '.' && isDigit(version[7]):
		return errVersion
	default:
		return errRequestLine
	}
	return nil
}

// authority gives that of a target in absolute form, or nil. A client has to
// say the same in Host (RFC 9112 section 3.2); net/http forgets what it said
// there, and others go by it.
func authority(target []byte) []byte {
	if target[0] == '/' {
		return nil
	}
	_, rest, absolute := bytes.Cut(target, []byte("://"))
	if !absolute {
		return nil
	}
	if end := bytes.IndexAny(rest, "/?#"); end >= 0 {
		rest = rest[:end]
	}
	return append([]byte{}, rest...) // the line is not kept
}

// field reads a field line (RFC 9112 section 5).
func (h *head) field(line []byte) *fault.Error {
	name, value, refusal := splitField(line)
	if refusal != nil {
		return refusal
	}
	if h.count++; h.count > maxFields {
		return errManyFields
	}
	switch len(name) {
	case len("host"):
		if !bytes.EqualFold(name, []byte("host")) {
			break
		}
		if h.hosts++; h.authority != nil && !bytes.EqualFold(trim(value), h.authority) {
			return errTwoHosts
		}
	case len("content-length"):
		switch {
		case bytes.EqualFold(name, []byte("content-length")):
			return h.contentLength(trim(value))
		case looksLike(name, "content-length"):
			return errLookalike
		}
	case len("transfer-encoding"):
		switch {
		case bytes.EqualFold(name, []byte("transfer-encoding")):
			return h.transferEncoding(trim(value))
		case looksLike(name, "transfer-encoding"):
			return errLookalike
		}
	}
	return nil
}

// splitField reads a field line. Nothing may stand between the name and the
// colon, and a line must not begin with a space, which would continue the one
// before it.
func splitField(line []byte) (name, value []byte, refusal *fault.Error) {
	if line[0] == ' ' || line[0] == '\t' {
		return nil, nil, errFold
	}
	colon := bytes.IndexByte(line, ':')
	if colon <= 0 || !isToken(line[:colon]) {
		return nil, nil, errFieldName
	}
	value = line[colon+1:]
	if !isFieldValue(value) {
		return nil, nil, errFieldValue
	}
	return line[:colon], value, nil
}

// contentLength reads a Content-Length: one number, once. Lists of the same
// number, which RFC 9110 section 8.6 lets a server read as one, are refused.
func (h *head) contentLength(value []byte) *fault.Error {
	if h.hasLength || len(value) == 0 || len(value) > maxLengthDigits {
		return errLength
	}
	h.hasLength = true
	for _, c := range value {
		if !isDigit(c) {
			return errLength
		}
		h.length = h.length*10 + int64(c-'0')
	}
	return nil
}

// transferEncoding reads a Transfer-Encoding, of which only chunked is known.
func (h *head) transferEncoding(value []byte) *fault.Error {
	if h.codings++; h.codings > 1 {
		return errCodings
	}
	last := value
	if comma := bytes.LastIndexByte(value, ','); comma >= 0 {
		last = trim(value[comma+1:])
	}
	switch {
	case !bytes.EqualFold(last, []byte("chunked")):
		return errLastCoding // nobody knows where the body ends (RFC 9112 section 6.3)
	case len(last) < len(value):
		return errUnknownCoding // RFC 9112 section 6.1
	}
	h.chunked = true
	return nil
}

// check judges the whole head (RFC 9112 sections 3.2, 6.1 and 6.3).
func (h *head) check() *fault.Error {
	switch {
	case h.hosts > 1 || h.hosts == 0 && !h.old:
		return errHost
	case h.chunked && h.hasLength:
		return errBothFramings
	case h.chunked && h.old:
		return errOldCoding
	}
	return nil
}
