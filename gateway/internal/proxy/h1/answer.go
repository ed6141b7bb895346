package h1

import (
	"net/http"
	"strings"
	"time"

	"gatehouse.internal/shared/httpx/framing"
)

// answer makes the answer from its head. The connection is given back at once
// if the whole of it is there already.
func (k *call) answer(head Head) (*http.Response, error) {
	c := k.c
	whole := k.sender == nil && !k.rest || k.sender != nil && k.sender.answer()
	a := &struct {
		http.Response
		body body
	}{}
	a.Response = http.Response{
		StatusCode: head.Status, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: head.Minor,
		Header: head.Header, ContentLength: head.Length, Body: http.NoBody, Request: k.req,
	}
	if head.Minor == 0 {
		a.Proto = "HTTP/1.0"
	}
	b := &a.body
	b.stop, b.c, b.in, b.res = k.stop, c, &c.in, &a.Response
	if whole && persists(head) {
		b.stay = stay(head.Header, k.t.o.IdleTimeout)
	}
	switch {
	case k.req.Method == http.MethodHead || head.Status == http.StatusNoContent || head.Status == http.StatusNotModified || head.Length == 0:
		b.release(true)
		return &a.Response, nil
	case head.Chunked:
		b.kind = chunked
		announce(&a.Response)
	case head.Length > 0:
		b.kind, b.left = counted, head.Length
		if int64(c.in.buffered()) >= head.Length {
			b.detach()
		}
	default:
		b.kind, b.stay = untilClose, 0
	}
	a.Body = b
	if b.c == nil || k.sender != nil { // which has taken the deadline away
		return &a.Response, nil
	}
	if err := c.readUntil(time.Time{}); err != nil {
		return nil, err //nolint:wrapcheck // the connection is closed, and says so
	}
	return &a.Response, nil
}

// persists reports whether a connection may be used after an answer (RFC 9112
// section 9.3).
func persists(head Head) bool {
	lines := head.Header["Connection"]
	if head.Minor == 0 {
		return hasToken(lines, "keep-alive") && !hasToken(lines, "close")
	}
	return !hasToken(lines, "close")
}

// hasToken reports whether a list has a token, in any case (RFC 9110 section
// 5.6.1).
func hasToken(lines []string, token string) bool {
	for _, line := range lines {
		for element := range strings.SplitSeq(line, ",") {
			if strings.EqualFold(trim(element), token) {
				return true
			}
		}
	}
	return false
}

// stay is how long a connection may be idle. What many servers say about that
// in Keep-Alive is believed, less a second in which a request could meet the
// end of the connection.
func stay(h http.Header, most time.Duration) time.Duration {
	for _, line := range h["Keep-Alive"] {
		for element := range strings.SplitSeq(line, ",") {
			name, value, _ := strings.Cut(trim(element), "=")
			seconds, ok := framing.Number(value)
			if !ok || !strings.EqualFold(name, "timeout") || seconds > int64(most/time.Second) {
				continue
			}
			said := time.Duration(seconds) * time.Second
			return min(most, max(said-time.Second, said/2))
		}
	}
	return most
}

// announce moves the names of the trailer fields that an answer announces to
// its Trailer, as net/http has it.
func announce(res *http.Response) {
	lines, has := res.Header["Trailer"]
	if !has {
		return
	}
	delete(res.Header, "Trailer")
	for _, line := range lines {
		for element := range strings.SplitSeq(line, ",") {
			name := framing.Canonical(trim(element))
			switch name {
			case "", "Content-Length", "Transfer-Encoding", "Trailer", "Host", "Connection":
				continue
			}
			if !validName(name) {
				continue
			}
			if res.Trailer == nil {
				res.Trailer = http.Header{}
			}
			res.Trailer[name] = nil
		}
	}
}
