package proxy

import (
	"errors"
	"maps"
	"mime"
	"net/http"
	"strings"

	"gatehouse.internal/gateway/internal/upstream"
	"gatehouse.internal/shared/contract"
)

var errNoStatus = errors.New("the answer's status is not one of HTTP")

// prepare makes the head of an answer the one for the client.
func (x *exchange) prepare(res *http.Response) error {
	x.outcome = upstream.Answered
	header := x.client.Header()
	clear(header)
	maps.Copy(header, x.given)
	if res.StatusCode < 100 || res.StatusCode > 999 {
		return errNoStatus
	}
	x.clean(res.Header)
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

func isEventStream(h http.Header) bool {
	const stream = "text/event-stream"
	content := h.Get("Content-Type")
	if len(content) < len(stream) || content[0]|0x20 != 't' {
		return false
	}
	base, _, err := mime.ParseMediaType(content)
	return err == nil && base == "text/event-stream"
}
