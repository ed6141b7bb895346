package proxy

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
)

// Probe asks targets over HTTP whether they are well.
type Probe struct {
	path      string
	statuses  []int
	transport *http.Transport
}

// NewProbe returns a probe that asks for the given path, in HTTP/1.1 or HTTP/2
// as the options say. An answer with one of the statuses says that a target is
// well; if there are none, every answer below 500 does: whether it has
// something at that path is not the question then.
func NewProbe(path string, statuses []int, o TransportOptions) *Probe {
	dial := dialer{net: net.Dialer{Timeout: cmp.Or(o.Connect, dialTimeout)}, names: o.Names, tls: o.TLS, handshake: cmp.Or(o.Connect, dialTimeout)}
	transport := newOther(DefaultTimeout, dial)
	if o.Protocol == HTTP2 || o.Protocol == H2C {
		transport = newHTTP2(o.Protocol, DefaultTimeout, dial)
	}
	transport.DisableKeepAlives = true // a new connection each time is part of the question
	return &Probe{path: path, statuses: statuses, transport: transport}
}

// maxProbeAnswer is how much of an answer is read, so that the target can
// finish it in order.
const maxProbeAnswer = 64 << 10

// Ask asks once; nil says that the target is well.
func (p *Probe) Ask(ctx context.Context, target *url.URL) error {
	at := *target
	at.Opaque = p.path
	req := (&http.Request{Method: http.MethodGet, URL: &at, Header: http.Header{"User-Agent": {"gatehouse-probe"}}}).WithContext(ctx)
	res, err := p.transport.RoundTrip(req)
	if err != nil {
		return fmt.Errorf("probe: %w", err)
	}
	defer func() { _ = res.Body.Close() }()
	_, _ = io.CopyN(io.Discard, res.Body, maxProbeAnswer) // its status was what counts
	well := res.StatusCode < http.StatusInternalServerError
	if len(p.statuses) > 0 {
		well = slices.Contains(p.statuses, res.StatusCode)
	}
	if !well {
		return fmt.Errorf("probe: status %d", res.StatusCode)
	}
	return nil
}

// Close lets go of what the probe holds.
func (p *Probe) Close() { p.transport.CloseIdleConnections() }
