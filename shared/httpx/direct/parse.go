package direct

import (
	"bytes"
	"net/http"
	"net/textproto"
	"net/url"
	"strings"

	"gatehouse.internal/shared/httpx/framing"
)

const (
	// maxHead is how large a head may be that is served here.
	maxHead = 8 << 10
	// maxFields is how many fields it may have.
	maxFields = 64
)

// request is what parse finds out.
type request struct {
	method, target, host string
	url                  *url.URL
	header               http.Header
	length               int64 // of the body
	close                bool  // the client wants no further answer on this connection
}

var endOfHead = []byte("\r\n\r\n")

// parse reads the request at the beginning of p, whose head is n bytes. If n is
// 0, more is needed; if ok is false, it is not one for this package. It keeps no
// reference to p.
func parse(p []byte) (q request, n int, ok bool) {
	end := bytes.Index(p, endOfHead)
	if end < 0 {
		return request{}, 0, true
	}
	text := string(p[:end+2]) // all values are parts of this
	line, fields, _ := strings.Cut(text, "\r\n")
	if !q.startLine(line) || !q.fields(fields) {
		return request{}, 0, false
	}
	return q, end + len(endOfHead), true
}

// startLine reads "METHOD target HTTP/1.1".
func (q *request) startLine(line string) bool {
	var version string
	q.method, line, _ = strings.Cut(line, " ")
	q.target, version, _ = strings.Cut(line, " ")
	if version != "HTTP/1.1" || !isMethod(q.method) || q.target == "" || q.target[0] != '/' {
		return false
	}
	path, query, hasQuery := strings.Cut(q.target, "?")
	if plainPath(path) && (!hasQuery || query != "" && visible(query)) {
		q.url = &url.URL{Path: path, RawQuery: query}
		return true
	}
	var err error
	q.url, err = url.ParseRequestURI(q.target)
	return err == nil && visible(q.target)
}

// isMethod reports whether a method is one that is common; CONNECT is another
// matter (RFC 9110 section 9.3.6), and so is PRI (RFC 9113 section 3.4).
func isMethod(method string) bool {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return true
	}
	return false
}

// fields reads the header. What frames a body but for one plain length,
// switches protocols, or could look like a field that does, is not for us.
func (q *request) fields(text string) bool {
	count := strings.Count(text, "\n")
	if count == 0 || count > maxFields {
		return false
	}
	q.header = make(http.Header, count)
	values := make([]string, 0, count)
	for text != "" {
		end := strings.IndexByte(text, '\n') // all of it ends in CRLF
		if end < 1 || text[end-1] != '\r' {
			return false
		}
		line := text[:end-1]
		text = text[end+1:]
		colon := strings.IndexByte(line, ':')
		if colon <= 0 || !isName(line[:colon]) || !framing.FieldValue(line[colon+1:]) {
			return false
		}
		name, value := framing.Canonical(line[:colon]), textproto.TrimString(line[colon+1:])
		keep, ok := q.field(name, value)
		if !ok {
			return false
		}
		if !keep {
			continue
		}
		if before, has := q.header[name]; has {
			q.header[name] = append(before, value)
			continue
		}
		values = append(values, value)
		q.header[name] = values[len(values)-1 : len(values) : len(values)]
	}
	q.likeNetHTTP()
	return q.host != ""
}

// field takes in a field that means something to us, and says whether the
// handler sees it.
func (q *request) field(name, value string) (keep, ok bool) {
	switch name {
	case "Host":
		if q.host != "" || !plainHost(value) {
			return false, false
		}
		q.host = value
		return false, true
	case "Connection":
		q.close = strings.EqualFold(value, "close")
		_, twice := q.header[name]
		return true, !twice && (q.close || strings.EqualFold(value, "keep-alive"))
	case "Content-Length":
		_, twice := q.header[name]
		var plain bool
		q.length, plain = bodyLength(value)
		return true, plain && !twice
	case "Transfer-Encoding", "Expect", "Upgrade", "Trailer", "Http2-Settings":
		return false, false
	}
	return true, true
}

// bodyLength reads a Content-Length in its one spelling, which has no zero before
// other digits.
func bodyLength(value string) (n int64, plain bool) {
	if len(value) > 1 && value[0] == '0' {
		return 0, false
	}
	return framing.Number(value)
}

// likeNetHTTP does what net/http does to a header for old clients (RFC 9111
// section 5.4).
func (q *request) likeNetHTTP() {
	if pragma := q.header["Pragma"]; len(pragma) > 0 && pragma[0] == "no-cache" {
		if _, has := q.header["Cache-Control"]; !has {
			q.header["Cache-Control"] = []string{"no-cache"}
		}
	}
}
