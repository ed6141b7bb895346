package proxy

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"sync"
	"time"

	"gatehouse.internal/gateway/internal/proxy/h1"
	"gatehouse.internal/gateway/internal/upstream"
)

// The limits of a connection to a target.
const (
	dialTimeout = 3 * time.Second
	idleTimeout = 90 * time.Second
	// continueTimeout is how long a body waits for an upstream's consent where
	// the client has asked for that.
	continueTimeout = time.Second
	maxIdlePerHost  = 256
	maxAnswerHead   = 64 << 10
	// DefaultTimeout is how long an upstream may take to begin its answer where
	// its routes say nothing.
	DefaultTimeout = 30 * time.Second
)

// dialError says that no connection to a target came about, so that nothing
// can have been sent to it.
type dialError struct{ cause error }

func (e *dialError) Error() string { return e.cause.Error() }
func (e *dialError) Unwrap() error { return e.cause }

// Transport carries requests to the targets of one upstream: plain HTTP/1.1 by
// h1, which costs a third of net/http's transport, and what h1 does not know,
// TLS and upgrades, by that. It is safe for concurrent use.
type Transport struct {
	plain *h1.Transport
	other *http.Transport
}

// NewTransport returns the transport for the targets of one upstream, which
// gives them timeout to begin an answer once a request has been sent.
//
// It speaks HTTP/1.1 alone, follows no environment (a proxy variable must not
// redirect requests that carry identity), leaves encodings as they are, and
// gives up on heads larger than maxAnswerHead.
func NewTransport(timeout time.Duration, tlsConfig *tls.Config) *Transport {
	if timeout <= 0 {
		timeout = DefaultTimeout
	}
	dial := dialer{net: net.Dialer{Timeout: min(dialTimeout, timeout), KeepAlive: 15 * time.Second}, tls: tlsConfig}
	return &Transport{
		plain: h1.New(h1.Options{
			Dial: dial.connect, AnswerTimeout: timeout, WriteTimeout: writePause, ContinueTimeout: continueTimeout,
			IdleTimeout: idleTimeout, MaxIdle: maxIdlePerHost, MaxConns: 2 * upstream.DefaultMaxInFlight, MaxHead: maxAnswerHead,
		}),
		other: newOther(timeout, dial),
	}
}

// newOther makes the transport for what h1 does not know.
func newOther(timeout time.Duration, dial dialer) *http.Transport {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	return &http.Transport{
		DialContext:            dial.plain,
		DialTLSContext:         dial.secure,
		Protocols:              protocols,
		DisableCompression:     true,
		MaxIdleConns:           0, // per host is enough: hosts are configured, not chosen by clients
		MaxIdleConnsPerHost:    maxIdlePerHost,
		IdleConnTimeout:        idleTimeout,
		ResponseHeaderTimeout:  timeout,
		ExpectContinueTimeout:  continueTimeout,
		MaxResponseHeaderBytes: maxAnswerHead,
	}
}

// RoundTrip sends a request and returns the answer. Here it is decided which
// transport carries it.
func (t *Transport) RoundTrip(out *http.Request) (*http.Response, error) {
	if out.URL.Scheme == "http" && len(out.Header["Upgrade"]) == 0 {
		return t.plain.RoundTrip(out)
	}
	return t.carryOther(out)
}

// carryOther uses net/http's transport, and has it do what h1 does: tell the
// context of interim answers, and add no User-Agent.
func (t *Transport) carryOther(out *http.Request) (*http.Response, error) {
	if _, has := out.Header["User-Agent"]; !has {
		out.Header["User-Agent"] = nil
	}
	if informed, ok := out.Context().(h1.Informed); ok {
		told := &interim{to: informed}
		defer told.end()
		out = out.WithContext(httptrace.WithClientTrace(out.Context(), &httptrace.ClientTrace{Got1xxResponse: told.got}))
	}
	return t.other.RoundTrip(out)
}

// interim passes on interim answers until the call has returned.
type interim struct {
	to h1.Informed

	mu   sync.Mutex
	over bool
}

func (i *interim) got(status int, header textproto.MIMEHeader) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.over {
		return nil
	}
	return i.to.Interim(status, http.Header(header))
}

func (i *interim) end() {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.over = true
}

// CloseIdleConnections closes the connections that carry nothing now.
func (t *Transport) CloseIdleConnections() {
	t.plain.CloseIdleConnections()
	t.other.CloseIdleConnections()
}

// Close lets go of all that is idle and has the rest close when it becomes so.
// It waits for the bodies of requests that are still sent.
func (t *Transport) Close() error {
	t.other.CloseIdleConnections()
	return t.plain.Close()
}

type dialer struct {
	net net.Dialer
	tls *tls.Config
}

// connect makes the connection for h1.
func (d *dialer) connect(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := d.net.DialContext(ctx, network, address)
	if err != nil {
		return nil, &dialError{err}
	}
	return conn, nil
}

// plain makes the connection for net/http's transport.
func (d *dialer) plain(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := d.connect(ctx, network, address)
	if err != nil {
		return nil, err
	}
	return &upstreamConn{Conn: conn}, nil
}

// secure makes the TLS connection here, so that the scan of heads sees what is
// inside.
func (d *dialer) secure(ctx context.Context, network, address string) (net.Conn, error) {
	raw, err := d.net.DialContext(ctx, network, address)
	if err != nil {
		return nil, &dialError{err}
	}
	config := d.tls.Clone()
	if config == nil {
		config = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	if config.ServerName == "" {
		config.ServerName, _, _ = net.SplitHostPort(address)
	}
	conn := tls.Client(raw, config)
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	if err := conn.HandshakeContext(ctx); err != nil {
		_ = raw.Close()
		return nil, &dialError{fmt.Errorf("TLS handshake: %w", err)}
	}
	return &upstreamConn{Conn: conn}, nil
}
