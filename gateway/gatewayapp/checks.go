package gatewayapp

import (
	"errors"
	"net/http"

	"gatehouse.internal/gateway/internal/limit"
	"gatehouse.internal/gateway/internal/route"
	"gatehouse.internal/shared/fault"
)

// maxHead bounds the fields of a request, so that a head that is too large but
// was read gets a problem document. A little more, and net/http answers 431
// itself.
const maxHead = 24 << 10

// maxFields bounds their number, in HTTP/2 as well, of which nobody has seen
// the head before.
const maxFields = 256

// errAnswered says that the request has been answered and goes no further.
var errAnswered = errors.New("answered")

// checkHead refuses heads that are too large.
func (p *pipeline) checkHead(q *request) error {
	size, count := 0, 0
	for name, values := range q.r.Header {
		count += len(values)
		for _, value := range values {
			size += len(name) + len(value) + 4
		}
	}
	if size > maxHead {
		return fault.New(fault.HeadersTooLarge, "The header fields of the request are too large.")
	}
	if count > maxFields {
		return fault.New(fault.HeadersTooLarge, "The request has too many header fields.")
	}
	return nil
}

// answerOrigin tells a browser whether a page of another origin may read the
// answer, whatever it will be.
func (p *pipeline) answerOrigin(q *request) error {
	p.cors.answer(q.w.Header(), q.r.Header)
	return nil
}

// noRoute answers a request that no route is for. A path with parameters that
// no route takes is refused as doubtful, whether or not there is a route for it
// without them (S-P8). OPTIONS is the gateway's to answer (S-P10) wherever
// there is a path.
func (p *pipeline) noRoute(q *request, allow string) error {
	if allow == "" && route.HasParameters(q.path) {
		return fault.New(fault.Malformed, "The path has a parameter, which is not allowed here.")
	}
	if allow == "" {
		return fault.New(fault.RouteNotFound, "There is no route for this path.")
	}
	q.w.Header().Set("Allow", allow)
	if q.r.Method != http.MethodOptions {
		return fault.New(fault.MethodNotAllowed, "This path does not answer to this method.")
	}
	if q.path != route.AnyTarget {
		p.cors.preflight(q.w.Header(), q.r.Header, allow)
	}
	q.w.WriteHeader(http.StatusNoContent)
	return errAnswered
}

// limitAddress counts the request against a limit by address. A limit by user
// counts by address, too, where nobody needs to be signed in.
func (p *pipeline) limitAddress(q *request) error {
	l := q.route.RateLimit
	if l == nil || l.By != route.LimitByIP {
		return nil
	}
	return p.count(q, limit.AddressKey(q.route.Name, q.origin.Client))
}

// limitUser counts the request against a limit by user.
func (p *pipeline) limitUser(q *request) error {
	l := q.route.RateLimit
	switch {
	case l == nil || l.By != route.LimitByUser:
		return nil
	case q.claims == nil:
		return p.count(q, limit.AddressKey(q.route.Name, q.origin.Client))
	}
	return p.count(q, limit.UserKey(q.route.Name, q.claims.Subject))
}

func (p *pipeline) count(q *request, key string) error {
	l := q.route.RateLimit
	result := p.limiter.Allow(q.r.Context(), key, limit.Rule{Requests: l.Requests, Per: l.Per})
	result.WriteHeader(q.w.Header())
	if result.Allowed {
		return nil
	}
	p.metrics.limited.WithLabelValues(q.route.Name, string(l.By)).Inc()
	err := fault.New(fault.RateLimited, "There were too many requests; try again later.")
	err.RetryAfter = result.RetryAfter
	return err
}
