package proxy

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"strconv"
	"sync"
	"sync/atomic"
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
	// maxIdlePerHost is half of what a target gets at a time, so that a busy one is
	// not connected to again and again; those that stay idle end soon.
	maxIdlePerHost = upstream.DefaultMaxInFlight / 2
	maxAnswerHead  = 64 << 10
	// pingAfter and pingTimeout find an HTTP/2 connection whose other end is gone.
	pingAfter   = 15 * time.Second
	pingTimeout = 10 * time.Second
	// DefaultTimeout is how long an upstream may take to begin its answer where
	// its routes say nothing.
	DefaultTimeout = 30 * time.Second
)

// dialError says that no connection to a target came about, so that nothing
// can have been sent to it.
type dialError struct{ cause error }

func (e *dialError) Error() string { return e.cause.Error() }
func (e *dialError) Unwrap() error { return e.cause }

// Protocol is what the targets of an upstream speak.
type Protocol string

// The protocols. Upgrades are asked for in HTTP/1.1 whatever the protocol is.
const (
	HTTP1 Protocol = "http1" // HTTP/1.1, over TLS for https targets
	HTTP2 Protocol = "h2"    // HTTP/2 over TLS, agreed on by ALPN (RFC 9113 section 3.2)
	H2C   Protocol = "h2c"   // HTTP/2 in clear, with prior knowledge (RFC 9113 section 3.3)
)

// TransportOptions make a Transport. What is zero has its default.
type TransportOptions struct {
	Protocol Protocol
	Timeout  time.Duration // until an answer begins, once the request was sent
	Connect  time.Duration // until there is a connection, and again for TLS
	TLS      ClientTLS     // what https targets are held to; the system's authorities if nil
	Names    *Names        // of the targets; nil if they are looked up for each new connection
}

// ClientTLS says what a connection to an https target must be. It is asked for
// each new connection, and its answer is not changed.
type ClientTLS interface {
	Config() (*tls.Config, error)
}

// Transport carries requests to the targets of one upstream: plain HTTP/1.1 by
// h1, which has no goroutines for its connections and a fifth of the
// allocations of net/http's transport (BenchmarkTransport), and what h1 does
// not know, TLS, HTTP/2 and upgrades, by that. It is safe for concurrent use.
type Transport struct {
	plain *h1.Transport
	make  func() *others
	now   atomic.Pointer[others]
}

// others are transports of net/http. They cannot tell connections by address,
// so others take their place when addresses have changed.
type others struct {
	http1 *http.Transport
	http2 *http.Transport // nil unless the targets speak it
}

// NewTransport returns the transport for the targets of one upstream.
//
// It follows no environment (a proxy variable must not redirect requests that
// carry identity), leaves encodings as they are, and gives up on heads larger
// than maxAnswerHead. An https target must show a certificate that is good for
// its name; there is no way to go without.
func NewTransport(o TransportOptions) *Transport {
	timeout, connect := cmp.Or(o.Timeout, DefaultTimeout), cmp.Or(o.Connect, dialTimeout)
	dial := dialer{net: net.Dialer{Timeout: min(connect, timeout), KeepAlive: 15 * time.Second}, names: o.Names, tls: o.TLS, handshake: connect}
	t := &Transport{
		plain: h1.New(h1.Options{
			Dial: dial.connect, AnswerTimeout: timeout, WriteTimeout: writePause, ContinueTimeout: continueTimeout,
			IdleTimeout: idleTimeout, MaxIdle: maxIdlePerHost, MaxConns: 2 * upstream.DefaultMaxInFlight, MaxHead: maxAnswerHead,
		}),
		make: func() *others {
			made := &others{http1: newOther(timeout, dial)}
			if o.Protocol == HTTP2 || o.Protocol == H2C {
				made.http2 = newHTTP2(o.Protocol, timeout, dial)
			}
			return made
		},
	}
	t.now.Store(t.make())
	if o.Names != nil {
		o.Names.onChange(t.renew)
	}
	return t
}

// renew has no connection that was made before carry another request. One that
// is in use lasts until what it carries has ended.
func (t *Transport) renew() {
	old := t.now.Swap(t.make())
	t.plain.Renew()
	old.closeIdle()
}

// newHTTP2 makes the transport for targets that speak HTTP/2. A connection on
// which nothing comes for a while is asked whether it lives, so that streams
// may be silent.
func newHTTP2(protocol Protocol, timeout time.Duration, dial dialer) *http.Transport {
	t := newOther(timeout, dial)
	t.Protocols = new(http.Protocols)
	t.Protocols.SetHTTP2(protocol == HTTP2)
	t.Protocols.SetUnencryptedHTTP2(protocol == H2C)
	t.DialContext, t.DialTLSContext = dial.connect, dial.http2
	t.HTTP2 = &http.HTTP2Config{SendPingTimeout: pingAfter, PingTimeout: pingTimeout, WriteByteTimeout: writePause}
	return t
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
	upgrade := len(out.Header["Upgrade"]) > 0
	now := t.now.Load()
	switch {
	case now.http2 != nil && !upgrade:
		return carryOther(now.http2, out)
	case out.URL.Scheme == "http" && !upgrade:
		return t.plain.RoundTrip(out)
	}
	return carryOther(now.http1, out)
}

// carryOther uses net/http's transport, and has it do what h1 does: tell the
// context of interim answers, add no User-Agent, read the head of each answer
// strictly, and give answers without a body none to read.
func carryOther(by *http.Transport, out *http.Request) (*http.Response, error) {
	if _, has := out.Header["User-Agent"]; !has {
		out.Header["User-Agent"] = nil
	}
	ctx, giveUp := context.WithCancel(out.Context())
	var tries atomic.Int32
	trace := &httptrace.ClientTrace{GotConn: func(info httptrace.GotConnInfo) {
		if conn, ours := info.Conn.(*upstreamConn); ours { // those of HTTP/2 are not
			conn.await()
		} else if tries.Add(1) > maxTries {
			giveUp()
		}
	}}
	if informed, ok := out.Context().(h1.Informed); ok {
		told := &interim{to: informed}
		defer told.end()
		trace.Got1xxResponse = told.got
	}
	res, err := by.RoundTrip(out.WithContext(httptrace.WithClientTrace(ctx, trace)))
	if err != nil {
		giveUp()
		if tries.Load() > maxTries {
			return nil, errRefuses
		}
		return nil, err //nolint:wrapcheck // it is the transport's own
	}
	if !oneLength(res) {
		_ = res.Body.Close()
		return nil, errLengths
	}
	if out.Method == http.MethodHead {
		_ = res.Body.Close()
		res.Body = http.NoBody // which that of HTTP/2 is not
	}
	return res, nil
}

// maxTries is how often net/http's transport may send a request to an HTTP/2
// target that refuses to look at it: again at once, which is right where the
// connection was about to end. Left alone it would go on for a minute.
const maxTries = 2

var errRefuses = errors.New("the target refuses requests")

var errLengths = errors.New("the answer's Content-Length is not one number")

// oneLength reports whether an answer says at most once, in a number, how long
// it is: of several net/http takes none in HTTP/2, and passes all of them on.
func oneLength(res *http.Response) bool {
	switch lengths := res.Header["Content-Length"]; len(lengths) {
	case 0:
		return true
	case 1:
		_, err := strconv.ParseUint(lengths[0], 10, 63)
		return err == nil
	}
	return false
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
	t.now.Load().closeIdle()
}

func (o *others) closeIdle() {
	o.http1.CloseIdleConnections()
	if o.http2 != nil {
		o.http2.CloseIdleConnections()
	}
}

// Close lets go of all that is idle and has the rest close when it becomes so.
// It waits for the bodies of requests that are still sent.
func (t *Transport) Close() error {
	t.now.Load().closeIdle()
	return t.plain.Close()
}

type dialer struct {
	net       net.Dialer
	names     *Names
	tls       ClientTLS
	handshake time.Duration
}

// connect makes the connection for h1.
func (d *dialer) connect(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := d.names.dial(ctx, &d.net, network, address)
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
	return newUpstreamConn(conn), nil
}

// secure makes the TLS connection here, so that the scan of heads sees what is
// inside.
func (d *dialer) secure(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := d.encrypted(ctx, network, address, "http/1.1")
	if err != nil {
		return nil, err
	}
	return newUpstreamConn(conn), nil
}

// http2 makes a TLS connection on which both ends have agreed on HTTP/2.
func (d *dialer) http2(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := d.encrypted(ctx, network, address, "h2")
	if err != nil {
		return nil, err
	}
	if conn.ConnectionState().NegotiatedProtocol != "h2" {
		_ = conn.Close()
		return nil, &dialError{errors.New("the target does not speak HTTP/2")}
	}
	return conn, nil
}

// encrypted makes a TLS connection to a target that has proven its name.
func (d *dialer) encrypted(ctx context.Context, network, address, protocol string) (*tls.Conn, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if d.tls != nil {
		given, err := d.tls.Config()
		if err != nil {
			return nil, &dialError{err}
		}
		config = given.Clone()
	}
	config.NextProtos = []string{protocol}
	if config.ServerName == "" {
		config.ServerName, _, _ = net.SplitHostPort(address)
	}
	raw, err := d.names.dial(ctx, &d.net, network, address)
	if err != nil {
		return nil, &dialError{err}
	}
	conn := tls.Client(raw, config)
	ctx, cancel := context.WithTimeout(ctx, d.handshake)
	defer cancel()
	if err := conn.HandshakeContext(ctx); err != nil {
		_ = raw.Close()
		return nil, &dialError{fmt.Errorf("TLS handshake: %w", err)}
	}
	return conn, nil
}
