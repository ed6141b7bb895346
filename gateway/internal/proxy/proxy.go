package proxy

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httputil"
	"time"

	"gatehouse.internal/gateway/internal/proxy/live"
	"gatehouse.internal/gateway/internal/upstream"
	"gatehouse.internal/shared/fault"
)

// Options make a Proxy.
type Options struct {
	Upstream  string // its name, for metrics and logs
	Set       *upstream.Set
	Transport http.RoundTripper
	Pseudonym string         // of this node, in Via
	Issuer    bool           // the upstream is the auth-service: it gets and sets the refresh cookie
	Live      *live.Registry // of the long answers
	Log       *slog.Logger
	// Observe is told of every attempt; status is 0 if there was no answer. It
	// may be nil.
	Observe func(upstream string, status int, took time.Duration)
}

// Proxy carries requests to the targets of one upstream.
type Proxy struct {
	name      string
	set       *upstream.Set
	transport http.RoundTripper
	pseudonym string
	via       map[string]string // by received protocol
	issuer    bool
	live      *live.Registry
	log       *slog.Logger
	observe   func(upstream string, status int, took time.Duration)
	reverse   *httputil.ReverseProxy
	pause     time.Duration // how long an answer may stand still
}

// New returns a proxy for one upstream.
func New(o Options) *Proxy {
	p := &Proxy{
		name: o.Upstream, set: o.Set, transport: o.Transport, pseudonym: o.Pseudonym, issuer: o.Issuer,
		live: o.Live, log: o.Log, observe: o.Observe, via: map[string]string{}, pause: progressPause,
	}
	for _, version := range []string{"1.0", "1.1", "2"} {
		p.via[version] = version + " " + o.Pseudonym
	}
	if p.observe == nil {
		p.observe = func(string, int, time.Duration) {}
	}
	p.reverse = &httputil.ReverseProxy{
		Rewrite:        p.rewrite,
		Transport:      roundTripper{p},
		ModifyResponse: p.answered,
		ErrorHandler:   noteError,
		BufferPool:     new(buffers),
		ErrorLog:       slog.NewLogLogger(o.Log.Handler(), slog.LevelDebug),
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
	x := &exchange{Context: r.Context(), proxy: p, client: w, call: call, started: time.Now()}
	out := r.WithContext(x)
	if r.ContentLength != 0 && r.Body != nil {
		x.body = clientBody{src: r.Body, client: http.NewResponseController(w), limit: call.MaxBody, started: x.started}
		out.Body = &x.body
		x.expectBody(r.ContentLength)
	}
	if len(r.Header["Upgrade"]) > 0 && (!call.WebSocket || !wantsWebSocket(r)) {
		delete(r.Header, "Upgrade") // the reverse proxy then forwards none
	}
	x.keepGiven()
	defer x.finish()
	p.reverse.ServeHTTP(x, out)
	if x.granted != nil {
		return x.tunnel()
	}
	if x.committed {
		return nil
	}
	return x.err
}

// rewrite makes the request for the upstream. The reverse proxy has already
// removed what belongs to the client's own hop, so nothing that is set here
// can be removed by naming it in Connection.
func (p *Proxy) rewrite(pr *httputil.ProxyRequest) {
	x := exchangeOf(pr.In)
	call, h := x.call, pr.Out.Header
	if pr.Out.Body != nil {
		pr.Out.Body = &x.body
	}
	// Opaque is written as it is; parsing and encoding again could change it.
	pr.Out.URL.Opaque, pr.Out.URL.RawQuery, pr.Out.URL.ForceQuery = call.Path, call.Query, call.HasQuery
	pr.Out.Host = ""        // the target's own name; the client's is in X-Forwarded-Host
	pr.Out.Trailer = nil    // a field that comes after the body was checked by nobody
	pr.Out.Header.Del("Te") // and we forward none
	dropForged(h)
	dropCookies(h, p.issuer)
	if call.RequestHeaders != nil {
		call.RequestHeaders.Apply(h)
	}
	guardReplay(h)
	p.setIdentity(h, call)
	p.setPath(h, pr.In, call)
}

// roundTripper is the reverse proxy's way to the targets.
type roundTripper struct{ *Proxy }

// RoundTrip sends the request to a target, and if no connection to it came
// about, once to another one.
func (p roundTripper) RoundTrip(out *http.Request) (*http.Response, error) {
	x := exchangeOf(out)
	first, err := p.set.Acquire(nil)
	if err != nil {
		return nil, err
	}
	x.target = first
	res, err := p.send(out, first)
	if !unreachable(err) || out.Context().Err() != nil {
		return res, err
	}
	second, refused := p.set.Acquire(x.target)
	if refused != nil {
		return res, err
	}
	x.target.Report(upstream.Unreachable)
	x.target.Release()
	x.target = second
	return p.send(out, second)
}

func (p roundTripper) send(out *http.Request, target *upstream.Target) (*http.Response, error) {
	out.URL.Scheme, out.URL.Host = target.URL.Scheme, target.URL.Host
	started := time.Now()
	res, err := p.transport.RoundTrip(out)
	if err == nil {
		err = checkSwitch(out, res)
	}
	if err != nil {
		p.observe(p.name, 0, time.Since(started))
		return nil, err
	}
	p.observe(p.name, res.StatusCode, time.Since(started))
	if res.StatusCode == http.StatusSwitchingProtocols {
		x := exchangeOf(out)
		x.granted, x.ending = res, make(chan live.Cause, 1)
		return nil, errGranted // it goes on where the reverse proxy has ended
	}
	return res, nil
}

// noteError keeps an error for Serve to return. If an answer was begun, it can
// only be cut off, which the reverse proxy does.
func noteError(_ http.ResponseWriter, r *http.Request, err error) {
	x := exchangeOf(r)
	if x.granted != nil {
		return
	}
	x.outcome, x.err = x.judge(err)
	if fault.Is(x.err, fault.UpstreamError) || fault.Is(x.err, fault.UpstreamTimeout) || fault.Is(x.err, fault.UpstreamUnavailable) {
		x.proxy.log.LogAttrs(context.WithoutCancel(r.Context()), slog.LevelWarn, "upstream call failed",
			slog.String("upstream", x.proxy.name), slog.String("request_id", x.call.RequestID), slog.Any("error", err))
	}
}
