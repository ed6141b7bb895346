package proxy

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"time"
)

// The limits of a connection to a target.
const (
	dialTimeout    = 3 * time.Second
	idleTimeout    = 90 * time.Second
	maxIdlePerHost = 256
	maxAnswerHead  = 64 << 10
	// DefaultTimeout is how long an upstream may take to begin its answer where
	// its routes say nothing.
	DefaultTimeout = 30 * time.Second
)

// dialError says that no connection to a target came about, so that nothing
// can have been sent to it.
type dialError struct{ cause error }

func (e *dialError) Error() string { return e.cause.Error() }
func (e *dialError) Unwrap() error { return e.cause }

// NewTransport returns the transport for the targets of one upstream, which
// gives them timeout to begin an answer once a request has been sent.
//
// It speaks HTTP/1.1 alone, follows no environment (a proxy variable must not
// redirect requests that carry identity), leaves encodings as they are, and
// gives up on heads larger than maxAnswerHead.
func NewTransport(timeout time.Duration, tlsConfig *tls.Config) *http.Transport {
	if timeout <= 0 {
		timeout = DefaultTimeout
	}
	dial := dialer{net: net.Dialer{Timeout: min(dialTimeout, timeout), KeepAlive: 15 * time.Second}, tls: tlsConfig}
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
		ExpectContinueTimeout:  time.Second,
		MaxResponseHeaderBytes: maxAnswerHead,
	}
}

type dialer struct {
	net net.Dialer
	tls *tls.Config
}

func (d *dialer) plain(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := d.net.DialContext(ctx, network, address)
	if err != nil {
		return nil, &dialError{err}
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
