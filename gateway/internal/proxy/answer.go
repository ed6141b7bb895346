package proxy

import (
	"errors"
	"maps"
	"mime"
	"net/http"
	"strings"

	"gatehouse.internal/shared/contract"
)

var errNoStatus = errors.New("the answer's status is not one of HTTP")

// prepare makes the head of an answer the one for the client.
func (x *exchange) prepare(res *http.Response) error {
	x.outcome = x.outcomeOf(res, nil)
	header := x.client.Header()
	clear(header)
	maps.Copy(header, x.given)
	if res.StatusCode < 100 || res.StatusCode > 999 {
		return errNoStatus
	}
	x.clean(res.Header)
	x.locate(res.Header)
	if x.call.ResponseHeaders != nil {
		x.call.ResponseHeaders.Apply(res.Header)
	}
	x.id[0] = x.call.RequestID
	res.Header[contract.HeaderRequestID] = x.id[:]
	return nil
}

// clean removes what is for the upstream's own hop, and what it may not say.
func (x *exchange) clean(fields http.Header) {
	dropListed(fields, fields["Connection"])
	for name := range fields {
		if hop(name) || strings.HasPrefix(name, "Access-Control-") {
			delete(fields, name)
		}
	}
	if !x.proxy.issuer {
		dropSetCookies(fields)
	}
}

// keepGiven keeps what the gateway has to say beside an upstream's answer: an
// interim answer empties the header.
func (x *exchange) keepGiven() {
	for name, values := range x.client.Header() {
		if gatewaySays(name) {
			if x.given == nil {
				x.given = http.Header{}
			}
			x.given[name] = values
		}
	}
}

// gatewaySays reports whether a header stands beside the upstream's own.
func gatewaySays(name string) bool {
	switch name {
	case "Vary", "Connection", "Ratelimit-Limit", "Ratelimit-Remaining", "Ratelimit-Reset", "Ratelimit-Policy", "Ratelimit":
		return true
	}
	return strings.HasPrefix(name, "Access-Control-")
}

// isGRPC reports whether a message belongs to a call that may stream both ways
// and be silent for as long as it lives.
func isGRPC(h http.Header) bool {
	lines := h["Content-Type"]
	if len(lines) != 1 {
		return false
	}
	rest, is := strings.CutPrefix(lines[0], "application/grpc")
	return is && (rest == "" || rest[0] == '+' || rest[0] == ';')
}

func isEventStream(h http.Header) bool {
	const stream = "text/event-stream"
	content := h.Get("Content-Type")
	if len(content) < len(stream) || content[0]|0x20 != 't' {
		return false
	}
	base, _, err := mime.ParseMediaType(content)
	return err == nil && base == "text/event-stream"
}
