package h1

import (
	"bytes"
	"errors"
	"net/http"
	"strings"

	"gatehouse.internal/shared/httpx/framing"
)

// What can be wrong with the head of an answer.
var (
	errNotHTTP     = errors.New("the answer does not begin like one of HTTP/1")
	errBareLF      = errors.New("a line of the answer's head does not end in CRLF")
	errField       = errors.New("the answer has a malformed header field")
	errFramedTwice = errors.New("the answer has both Content-Length and Transfer-Encoding")
	errLength      = errors.New("the answer's Content-Length is not one number")
	errCoding      = errors.New("the answer's Transfer-Encoding is not chunked alone")
	errHeadSize    = errors.New("the answer's head is too large")
)

// Scan follows the head of an answer as it comes in, so that what cannot be
// one is refused at its first line and not when the peer falls silent. The
// zero value is at the beginning of a head.
type Scan struct {
	from  int // where the line begins that has not come to its end
	seen  int // up to here there is no end of it
	lines int // that have come to their end
}

// End looks for the end of the head in p, which holds the head from its
// beginning and may have grown since the last call. It returns the length of
// the head with the empty line that ends it, or 0 if more is needed.
func (s *Scan) End(p []byte) (int, error) {
	for {
		i := bytes.IndexByte(p[s.seen:], '\n')
		if i < 0 {
			s.seen = len(p)
			if s.lines == 0 && !beginsLikeHTTP(p) {
				return 0, errNotHTTP
			}
			return 0, nil
		}
		line := p[s.from : s.seen+i]
		if len(line) == 0 || line[len(line)-1] != '\r' {
			if s.lines == 0 && !beginsLikeHTTP(p) {
				return 0, errNotHTTP
			}
			return 0, errBareLF
		}
		s.seen += i + 1
		s.from = s.seen
		if s.lines == 0 {
			if _, _, err := statusLine(line[:len(line)-1]); err != nil {
				return 0, err
			}
		} else if len(line) == 1 {
			return s.from, nil
		}
		s.lines++
	}
}

const version = "HTTP/1."

func beginsLikeHTTP(p []byte) bool {
	n := min(len(p), len(version))
	return string(p[:n]) == version[:n]
}

// Head is the head of an answer, read strictly.
type Head struct {
	Status  int
	Minor   int // of the version: 0 or 1
	Header  http.Header
	Chunked bool  // Transfer-Encoding: chunked, which Header does not have
	Length  int64 // Content-Length; -1 if there is none
}

// statusLine reads "HTTP/1.x NNN" and the reason, which is ignored and may be
// left out together with the space before it.
func statusLine(line []byte) (minor, status int, err error) {
	const least = len(version) + len("x NNN")
	if len(line) < least || string(line[:len(version)]) != version || line[len(version)+1] != ' ' {
		return 0, 0, errNotHTTP
	}
	minor = int(line[len(version)]) - '0'
	for _, c := range line[len(version)+2 : least] {
		if c < '0' || c > '9' {
			return 0, 0, errNotHTTP
		}
		status = status*10 + int(c-'0')
	}
	if minor != 0 && minor != 1 || status < 100 || len(line) > least && line[least] != ' ' || !framing.FieldValue(string(line[least:])) {
		return 0, 0, errNotHTTP
	}
	return minor, status, nil
}

// ParseHead reads a head, whose end Scan has found. Its lines end in CRLF;
// names are tokens that stand right before their colon, values have no control
// characters, no field goes over two lines (RFC 9112 section 5.2 lets a proxy
// refuse that), there is at most one Content-Length and it is a number, and
// the only Transfer-Encoding is chunked, in HTTP/1.1, without a Content-Length
// (section 6.3).
//
// It keeps no reference to p.
func ParseHead(p []byte) (Head, error) {
	text := string(p)
	lines := strings.Count(text, "\n") // of which two are no fields
	line, rest, _ := strings.Cut(text, "\r\n")
	h := Head{Length: -1}
	var err error
	if h.Minor, h.Status, err = statusLine(p[:len(line)]); err != nil {
		return Head{}, err
	}
	h.Header = make(http.Header, max(lines-2, 0))
	values := make([]string, 0, max(lines-2, 0))
	for {
		end := strings.IndexByte(rest, '\n')
		if end < 1 || rest[end-1] != '\r' {
			return Head{}, errBareLF
		}
		line, rest = rest[:end-1], rest[end+1:]
		if line == "" {
			return h, nil
		}
		name, value, ok := cutField(line)
		if !ok {
			return Head{}, errField
		}
		name = framing.Canonical(name)
		if err := h.frame(name, value); err != nil {
			return Head{}, err
		}
		if name == "Transfer-Encoding" {
			continue
		}
		if before, has := h.Header[name]; has {
			h.Header[name] = append(before, value)
			continue
		}
		values = append(values, value)
		n := len(values)
		h.Header[name] = values[n-1 : n : n]
	}
}

// frame takes in a field if it is one by which the body is framed.
func (h *Head) frame(name, value string) error {
	switch name {
	case "Content-Length":
		n, ok := framing.Number(value)
		if !ok || h.Length >= 0 {
			return errLength
		}
		h.Length = n
	case "Transfer-Encoding":
		if h.Chunked || h.Minor == 0 || !strings.EqualFold(value, "chunked") {
			return errCoding
		}
		h.Chunked = true
	}
	if h.Chunked && h.Length >= 0 {
		return errFramedTwice
	}
	return nil
}

// cutField splits a line into a name and a value without the white space
// around it.
func cutField(line string) (name, value string, ok bool) {
	colon := strings.IndexByte(line, ':')
	if colon <= 0 {
		return "", "", false
	}
	name, value = line[:colon], trim(line[colon+1:])
	return name, value, validName(name) && framing.FieldValue(value)
}

func trim(text string) string {
	for text != "" && (text[0] == ' ' || text[0] == '\t') {
		text = text[1:]
	}
	for text != "" && (text[len(text)-1] == ' ' || text[len(text)-1] == '\t') {
		text = text[:len(text)-1]
	}
	return text
}

// validName reports whether a name is a token (RFC 9110 section 5.6.2).
func validName(name string) bool {
	for i := range len(name) {
		if !token[name[i]] {
			return false
		}
	}
	return true
}

var token = func() (t [256]bool) {
	for _, c := range "!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz" {
		t[c] = true
	}
	return t
}()
