package gatewayapp

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	"gatehouse.internal/gateway/internal/access"
	"gatehouse.internal/gateway/internal/limit"
	"gatehouse.internal/gateway/internal/proxy"
	"gatehouse.internal/gateway/internal/route"
	"gatehouse.internal/shared/contract"
	"gatehouse.internal/shared/fault"
	"gatehouse.internal/shared/httpx"
	"gatehouse.internal/shared/token"
)

// pipeline is what happens to every request, in this order. Around it
// shared/httpx has already given the request an id, a trace and a log record,
// and will complete the headers of the answer.
type pipeline struct {
	backends *backends
	gate     *access.Gate
	owner    func(ctx context.Context, token string) (*contract.Claims, error) // whose token it is, if it is genuine
	limiter  *limit.Limiter
	trust    proxy.Trust
	cors     cors
	metrics  *metrics
	sign     func(token string, c *contract.Claims, audience string) (string, error) // what upstreams want proof of
	uses     *uses
	own      map[string]http.HandlerFunc // what the gateway answers itself, by route
}

// middleware puts the pipeline in place of Echo's router, which would decode
// the path: no request gets past it, and none is routed by anything but the
// bytes of its target.
func (p *pipeline) middleware() echo.MiddlewareFunc {
	handler := func(c echo.Context) error {
		w, r := c.Response().Writer, c.Request()
		q := &request{w: w, r: r, route: unrouted}
		if err := p.serve(q); err != nil {
			p.metrics.refused(q.route.Name, fault.KindOf(err))
			refuse(w, r, err)
		}
		return nil
	}
	return func(echo.HandlerFunc) echo.HandlerFunc { return handler } // Echo asks for each request
}

// unrouted stands for the route of a request that has none.
var unrouted = &route.Route{Name: "none"}

// request is what the pipeline finds out about a request.
type request struct {
	w http.ResponseWriter
	r *http.Request

	path       string // as it came, checked
	serving    *serving
	route      *route.Route
	origin     proxy.Origin
	token      string
	fromCookie bool
	claims     *contract.Claims // nil for nobody
	call       proxy.Call       // as it is carried on
}

// serve is the order of checks. Each either lets the request go on or ends it
// with the error that the client gets; nothing reaches an upstream before the
// last of them.
func (p *pipeline) serve(q *request) error {
	steps := [...]func(*pipeline, *request) error{
		(*pipeline).checkHead,    // not too large
		(*pipeline).checkHost,    // one host, of plain characters
		(*pipeline).checkTarget,  // one reading of the path, or 400
		(*pipeline).answerOrigin, // CORS headers, also on refusals
		(*pipeline).findRoute,    // by method, host and path; 404, 405, OPTIONS
		(*pipeline).limitAddress, // before a token costs anything
		(*pipeline).identify,     // token, revocation, cross-origin, roles, verified e-mail, second factor
		(*pipeline).limitUser,
		(*pipeline).forward, // body limit, upstream
	}
	for _, step := range steps {
		if err := step(p, q); err != nil {
			if errors.Is(err, errAnswered) {
				return nil
			}
			return err
		}
	}
	return nil
}

// checkTarget refuses paths that two parsers could read differently (S-P8).
func (p *pipeline) checkTarget(q *request) (err error) {
	q.path, err = route.CheckTarget(q.r.Method, q.r.RequestURI, q.r.Host)
	return err
}

// findRoute finds the one route of the request, which decides all that follows.
func (p *pipeline) findRoute(q *request) error {
	q.serving = p.backends.serving.Load()
	q.origin = p.trust.Origin(q.r)
	found, allow := q.serving.table.Match(q.r.Method, q.r.Host, q.path)
	if found == nil {
		return p.noRoute(q, allow)
	}
	q.route = found
	httpx.LogRoute(q.r.Context(), found.Name)
	return nil
}

// identify finds out who is calling and whether that is enough for the route.
func (p *pipeline) identify(q *request) error {
	var credentialErr error
	q.token, q.fromCookie, credentialErr = token.FromRequest(q.r, true)
	if fault.Is(credentialErr, fault.Malformed) {
		return credentialErr // two credentials, also where none is needed (S-B2)
	}
	h := q.r.Header
	claims, err := p.gate.Decide(q.r.Context(), demands(q.route), &access.Request{
		Token: q.token, FromCookie: q.fromCookie, CredentialErr: credentialErr,
		RefreshCookie: q.route.Upstream == issuerUpstream && hasOwnCookie(h["Cookie"]),
		Upgrade:       len(h["Upgrade"]) > 0,
		Method:        q.r.Method, SecFetchSite: whole(h["Sec-Fetch-Site"]), Origin: whole(h["Origin"]), Host: q.r.Host,
	})
	if err != nil {
		p.nameRefused(q, fault.KindOf(err))
		return err
	}
	q.claims = claims
	switch {
	case claims != nil:
		httpx.LogUser(q.r.Context(), claims.Subject)
		p.uses.note(claims.SessionID)
	case q.route.Upstream != issuerUpstream || !q.fromCookie:
		q.token = "" // nobody judged it, so nobody gets it
	}
	return nil
}

// whole gives all lines of a field as one value, as RFC 9110 section 5.3 reads
// them: of two that differ none is believed.
func whole(lines []string) string {
	if len(lines) == 1 {
		return lines[0]
	}
	return strings.Join(lines, ", ")
}

func demands(r *route.Route) access.Demands {
	d := access.Demands{Roles: r.Roles, Permissions: r.Permissions, VerifiedEmail: r.VerifiedEmail, SecondFactor: r.MFA, MaxStaleness: r.MaxStaleness}
	switch r.Auth {
	case route.AuthNone:
		d.Identity = access.None
	case route.AuthOptional:
		d.Identity = access.Optional
	}
	return d
}

// hasOwnCookie reports whether a cookie of ours is among those of a request,
// in any spelling: the auth-service may act on it.
func hasOwnCookie(lines []string) bool {
	for _, line := range lines {
		for pair := range strings.SplitSeq(line, ";") {
			name, _, _ := strings.Cut(pair, "=")
			name = strings.TrimSpace(name)
			if strings.EqualFold(name, contract.CookieRefresh) || strings.EqualFold(name, contract.CookieAccess) {
				return true
			}
		}
	}
	return false
}

// forward hands the request to the route's upstream, or answers it here.
func (p *pipeline) forward(q *request) error {
	if q.route.Upstream == route.GatewayUpstream {
		answer, known := p.own[q.route.Name]
		if !known {
			return fault.New(fault.RouteNotFound, "There is nothing at this path.")
		}
		answer(q.w, q.r)
		return nil
	}
	ctx := q.r.Context()
	_, query, hasQuery := strings.Cut(q.r.RequestURI, "?")
	q.call = proxy.Call{
		Path: q.route.ForwardPath(q.path), Query: query, HasQuery: hasQuery,
		Origin: q.origin, RequestID: httpx.RequestID(ctx), TraceParent: httpx.TraceParent(ctx),
		Claims: q.claims, Token: q.token, KeepAuthorization: q.route.Auth == route.AuthNone,
		WithholdAuthorization: q.route.WithholdAuthorization,
		RequestHeaders:        &q.route.RequestHeaders, ResponseHeaders: &q.route.ResponseHeaders,
		WebSocket: q.route.WebSocket, MaxBody: q.route.MaxBody, MaxStaleness: q.route.MaxStaleness,
		EndAtExpiry: q.route.EndAtExpiry, Total: q.route.Total, Compress: q.route.Compress,
	}
	q.call.Taken, q.call.Put = q.route.Rewritten(q.path)
	if q.route.Assertion != "" && q.claims != nil {
		var err error
		if q.call.Assertion, err = p.sign(q.token, q.claims, q.route.Assertion); err != nil {
			return fmt.Errorf("sign an assertion: %w", err)
		}
	}
	httpx.PassThrough(ctx)
	return q.serving.proxies[q.route].Serve(q.w, q.r, &q.call)
}
