package h1

import (
	"bytes"
	"errors"
	"net/http"
	"strconv"
)

var (
	errRequest = errors.New("the request has a malformed method, target, host or field")
	errUpgrade = errors.New("the request asks to switch protocols")
)

// appendHead appends the head of a request. Fields of framing and of the
// connection are ours to say: what the header says of them is left out.
//
// The one thing that must never happen here is a line end that somebody else
// has written, so they are counted at last: there are as many CR and as many LF
// as lines, which are ours then, and no NUL. Everything else about names and
// values has been checked where they came from.
func appendHead(b []byte, r *http.Request) ([]byte, error) {
	from := len(b)
	target := len(b) + len(r.Method) + 1
	b = append(append(b, r.Method...), ' ')
	b = appendTarget(b, r)
	targetEnd := len(b)
	b = append(b, " HTTP/1.1\r\nHost: "...)
	if r.Host != "" {
		b = append(b, r.Host...)
	} else {
		b = append(b, r.URL.Host...)
	}
	b = append(b, "\r\n"...)
	lines := 2
	switch {
	case r.Body != nil && r.ContentLength < 0:
		b, lines = append(b, "Transfer-Encoding: chunked\r\n"...), lines+1
	case r.ContentLength > 0 || impliesBody(r.Method):
		b = append(b, "Content-Length: "...)
		b = strconv.AppendInt(b, max(r.ContentLength, 0), 10)
		b, lines = append(b, "\r\n"...), lines+1
	}
	for name, values := range r.Header {
		switch name {
		case "Host", "Content-Length", "Transfer-Encoding", "Trailer", "Connection", "Keep-Alive", "Proxy-Connection":
			continue
		case "Upgrade":
			return nil, errUpgrade
		}
		if name == "" || !validName(name) {
			return nil, errRequest
		}
		for _, value := range values {
			b = appendField(b, name, value)
			lines++
		}
	}
	if telling, ok := r.Context().(Telling); ok {
		for _, f := range telling.Told() {
			b = appendField(b, f.Name, f.Value)
			lines++
		}
	}
	b = append(b, "\r\n"...)
	head := b[from:]
	if !validName(r.Method) || r.Method == "" || !visible(b[target:targetEnd]) ||
		bytes.Count(head, lf) != lines+1 || bytes.Count(head, cr) != lines+1 || bytes.IndexByte(head, 0) >= 0 {
		return nil, errRequest
	}
	return b, nil
}

var cr, lf = []byte("\r"), []byte("\n")

func appendField(b []byte, name, value string) []byte {
	b = append(append(b, name...), ": "...)
	return append(append(b, value...), "\r\n"...)
}

// appendTarget appends the path and the query (RFC 9112 section 3.2.1), the
// path in the very bytes of Opaque if there are any.
func appendTarget(b []byte, r *http.Request) []byte {
	u := r.URL
	if u.Opaque != "" {
		b = append(b, u.Opaque...)
	} else if path := u.EscapedPath(); path != "" {
		b = append(b, path...)
	} else {
		b = append(b, '/')
	}
	if u.ForceQuery || u.RawQuery != "" {
		b = append(append(b, '?'), u.RawQuery...)
	}
	return b
}

// visible reports whether a target has nothing in it at which a request line
// could be split.
func visible(target []byte) bool {
	for _, c := range target {
		if c <= ' ' || c == 0x7f {
			return false
		}
	}
	return len(target) > 0
}

// impliesBody reports whether a method's request says so when it has no body
// (RFC 9110 section 8.6).
func impliesBody(method string) bool {
	return method == http.MethodPost || method == http.MethodPut || method == http.MethodPatch
}

// safe reports whether a request may be sent twice: it has no body and its
// method changes nothing (RFC 9110 section 9.2.1).
func safe(r *http.Request) bool {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions:
		return !hasBody(r)
	}
	return false
}

func hasBody(r *http.Request) bool {
	return r.Body != nil && r.Body != http.NoBody && r.ContentLength != 0
}
