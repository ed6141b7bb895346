package proxy

import (
	"errors"
	"maps"
	"mime"
	"net/http"
	"strings"
	"sync"

	"gatehouse.internal/gateway/internal/proxy/live"
	"gatehouse.internal/gateway/internal/upstream"
	"gatehouse.internal/shared/contract"
)

var (
	errSpacedName = errors.New("the answer has white space in the name of a field")
	errNoStatus   = errors.New("the answer's status is not one of HTTP")
)

// answered prepares an upstream's answer for the client. What the gateway says
// about its own answers (security headers, caching) is taken back: this one is
// the upstream's. The request id and CORS remain the gateway's to say.
func (p *Proxy) answered(res *http.Response) error {
	x := exchangeOf(res.Request)
	if err := x.prepare(res); err != nil {
		return err
	}
	x.quiet = isEventStream(res.Header)
	if hasBody(res) {
		if err := x.lookAfter(res.Body); err != nil {
			return err
		}
		res.Body = x
		if x.quiet {
			x.register(live.EventStream)
		}
	}
	return nil
}

// prepare makes the head of an answer the one for the client.
func (x *exchange) prepare(res *http.Response) error {
	x.outcome = upstream.Answered
	header := x.client.Header()
	clear(header)
	maps.Copy(header, x.given)
	if res.StatusCode < 100 || res.StatusCode > 999 {
		return errNoStatus
	}
	for name := range res.Header {
		if strings.ContainsAny(name, " \t") {
			return errSpacedName
		}
		if strings.HasPrefix(name, "Access-Control-") {
			delete(res.Header, name)
		}
	}
	if !x.proxy.issuer {
		dropSetCookies(res.Header)
	}
	if x.call.ResponseHeaders != nil {
		x.call.ResponseHeaders.Apply(res.Header)
	}
	res.Header[contract.HeaderRequestID] = []string{x.call.RequestID}
	return nil
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
	content := h.Get("Content-Type")
	if len(content) < len("text/event-stream") {
		return false
	}
	base, _, err := mime.ParseMediaType(content)
	return err == nil && base == "text/event-stream"
}

// hasBody reports whether an answer has a body to wait for.
func hasBody(res *http.Response) bool {
	return res.ContentLength != 0 && res.Body != http.NoBody && res.Request.Method != http.MethodHead
}

// buffers lends the memory through which bodies are copied.
type buffers struct{ pool sync.Pool }

const bufferSize = 32 << 10

// Get lends a buffer.
func (b *buffers) Get() []byte {
	if lent, ok := b.pool.Get().(*[bufferSize]byte); ok {
		return lent[:]
	}
	return make([]byte, bufferSize)
}

// Put takes a buffer back.
func (b *buffers) Put(p []byte) { b.pool.Put((*[bufferSize]byte)(p)) }
