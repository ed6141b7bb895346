package proxy

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
)

// Probe asks targets over HTTP whether they are well.
type Probe struct {
	path      string
	transport *http.Transport
}

// NewProbe returns a probe that asks for the given path.
func NewProbe(path string) *Probe {
	transport := newOther(DefaultTimeout, dialer{net: net.Dialer{Timeout: dialTimeout}})
	transport.DisableKeepAlives = true // a new connection each time is part of the question
	return &Probe{path: path, transport: transport}
}

// maxProbeAnswer is how much of an answer is read, so that the target can
// finish it in order.
const maxProbeAnswer = 64 << 10

// Ask asks once. Every answer below 500 says that the target is well: whether
// it has something at that path is not the question.
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
	if res.StatusCode >= http.StatusInternalServerError {
		return fmt.Errorf("probe: status %d", res.StatusCode)
	}
	return nil
}

// Close lets go of what the probe holds.
func (p *Probe) Close() { p.transport.CloseIdleConnections() }
