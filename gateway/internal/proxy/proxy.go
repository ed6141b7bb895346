package proxy

import (
	"cmp"
	"context"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"gatehouse.internal/gateway/internal/proxy/coding"
	"gatehouse.internal/gateway/internal/proxy/live"
	"gatehouse.internal/gateway/internal/upstream"
	"gatehouse.internal/shared/fault"
)

// Options make a Proxy.
type Options struct {
	Upstream  string // its name, for metrics and logs
	Set       *upstream.Set
	Transport http.RoundTripper
	HTTP2     bool             // the targets speak HTTP/2, so that streams both ways are to be expected
	Retries   int              // how often a call is made again, if it may be
	Failing   []int            // statuses of answers that count as failures
	Idle      time.Duration    // how long an answer that has begun may stand still; a minute if 0
	Pseudonym string           // of this node, in Via
	Issuer    bool             // the upstream is the auth-service: it gets and sets the refresh cookie
	Live      *live.Registry   // of the long answers
	Encoders  *coding.Encoders // for answers that are compressed; may be nil where no call asks for that
	Log       *slog.Logger
	// Observe is told of every attempt; status is 0 if there was no answer. It
	// may be nil.
	Observe func(status int, took time.Duration)
	Retried func(upstream string) // told of every retry; may be nil
}

// Proxy carries requests to the targets of one upstream.
type Proxy struct {
	name      string
	set       *upstream.Set
	transport http.RoundTripper
	http2     bool
	retries   int
	failing   []int
	pseudonym string
	via       map[string]string // by received protocol
	issuer    bool
	live      *live.Registry
	log       *slog.Logger
	observe   func(status int, took time.Duration)
	retried   func(upstream string)
	buffers   buffers
	encoders  *coding.Encoders
	pause     time.Duration // how long an answer may stand still
}

// New returns a proxy for one upstream.
func New(o Options) *Proxy {
	p := &Proxy{
		name: o.Upstream, set: o.Set, transport: o.Transport, pseudonym: o.Pseudonym, issuer: o.Issuer,
		http2: o.HTTP2, retries: o.Retries, failing: o.Failing,
		live: o.Live, log: o.Log, observe: o.Observe, retried: o.Retried, via: map[string]string{}, pause: cmp.Or(o.Idle, progressPause),
		encoders: o.Encoders,
	}
	for _, version := range []string{"1.0", "1.1", "2"} {
		p.via[version] = version + " " + o.Pseudonym
	}
	if p.observe == nil {
		p.observe = func(int, time.Duration) {}
	}
	if p.retried == nil {
		p.retried = func(string) {}
	}
	return p
}

// Serve carries the request on as the call says, and the answer back. It
// returns an error if no answer was begun; the caller then gives one. When an
// answer that was begun cannot be finished, Serve panics with
// http.ErrAbortHandler, as net/http wants it, so that the client sees that it
// was cut short.
func (p *Proxy) Serve(w http.ResponseWriter, r *http.Request, call *Call) error {
	if looped(r.Header, p.pseudonym) {
		return errLoop
	}
	if call.MaxBody > 0 && r.ContentLength > call.MaxBody {
		return errBodyTooLarge
	}
	x := &exchange{Context: r.Context(), proxy: p, client: w, call: call, asked: r.Header, started: time.Now(), http1: r.ProtoMajor == 1, http10: r.ProtoMajor == 1 && r.ProtoMinor == 0}
	out := x.outgoing(r)
	x.keepGiven()
	defer x.finish()
	if x.http1 && x.body.ends { // by HTTP/2 the client still says when it goes away
		defer x.outliveBody()()
	}
	if call.Total > 0 && len(out.Header["Upgrade"]) == 0 {
		defer x.limitTotal(call.Total)()
	}
	res, err := p.roundTrip(x, out) //nolint:bodyclose // tunnel and relay close it
	if err == nil && res.StatusCode == http.StatusSwitchingProtocols {
		return x.tunnel(res)
	}
	if err == nil {
		err = x.relay(res)
	}
	if err != nil {
		x.failed(err)
	}
	return x.err
}

// outgoing makes the request for the upstream. What the gateway says is said
// last, so nothing of it can be removed by naming it in Connection or changed
// by a rule. What comes after the body was checked by nobody, so it is not
// forwarded.
func (x *exchange) outgoing(r *http.Request) *http.Request {
	p, call := x.proxy, x.call
	h := lendHeader()
	x.header = h
	h.take(r.Header)
	if x.http10 {
		delete(h.Header, "Expect") // such a client expects nothing, whatever it says (RFC 9110 section 10.1.1)
	}
	if call.WebSocket && wantsWebSocket(r) {
		h.say("Connection", "Upgrade")
		h.say("Upgrade", "websocket")
		defer h.share()
	}
	if p.http2 && hasToken(r.Header["Te"], "trailers") {
		h.say("Te", "trailers") // which gRPC insists on; it says that trailers are not lost on the way, and here they are not
	}
	dropCookies(h.Header, p.issuer)
	h.apply(call.RequestHeaders)
	x.negotiate(r.Method, h.Header)
	guardReplay(h.Header)
	h.setIdentity(call)
	h.setPath(call, p.via[protocol(r)])

	out := r.WithContext(x)
	// Opaque is written as it is; parsing and encoding again could change it.
	x.url = url.URL{Opaque: call.Path, RawQuery: call.Query, ForceQuery: call.HasQuery}
	out.URL = &x.url
	out.Header = h.Header
	out.Host = "" // the target's own name; the client's is in X-Forwarded-Host
	out.Body, out.Trailer, out.Close = nil, nil, false
	if r.ContentLength != 0 && r.Body != nil {
		x.body.patient, x.body.ends = p.http2 && isGRPC(h.Header), p.http2
		x.body.open(r.Body, http.NewResponseController(x.client), call.MaxBody, x.started)
		out.Body = &x.body
		x.expectBody(r.ContentLength)
	}
	return out
}

// send sends the request to the exchange's target.
func (p *Proxy) send(x *exchange, out *http.Request, started time.Time) (*http.Response, error) {
	x.url.Scheme, x.url.Host = x.target.URL.Scheme, x.target.URL.Host
	if x.url.Scheme != "http" || p.http2 {
		x.header.share() // net/http's transport may still read it after it has returned
		x.body.again()
	}
	res, err := p.transport.RoundTrip(out)
	if err == nil {
		err = checkSwitch(out, res)
	}
	if err != nil {
		p.observe(0, time.Since(started))
		return nil, err
	}
	p.observe(res.StatusCode, time.Since(started))
	return res, nil
}

// failed keeps an error for Serve to return.
func (x *exchange) failed(err error) {
	x.outcome, x.err = x.judge(err)
	if fault.Is(x.err, fault.UpstreamError) || fault.Is(x.err, fault.UpstreamTimeout) || fault.Is(x.err, fault.UpstreamUnavailable) {
		x.proxy.log.LogAttrs(context.WithoutCancel(x), slog.LevelWarn, "upstream call failed",
			slog.String("upstream", x.proxy.name), slog.String("request_id", x.call.RequestID), slog.Any("error", err))
	}
}
