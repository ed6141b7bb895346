package httpx

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"gatehouse.internal/shared/lifecycle"
)

// drainTimeout is how long requests may take to end when a server stops.
const drainTimeout = 10 * time.Second

// Server is a listening HTTP server. Its clients are held to one reading of
// HTTP/1.1 (package framing) and to Limits.
type Server struct {
	name     string
	tcp      *net.TCPListener
	http     *http.Server
	limits   Limits
	open     *connections
	registry prometheus.Registerer // nil for no metrics
	service  string
	metrics  connectionMetrics
	log      *slog.Logger
	drain    time.Duration
	quiet    time.Duration
	draining atomic.Bool

	tls            *tls.Config // nil in clear
	certificate    *certificate
	cleartextHTTP2 bool
}

// ServerOption changes what Listen does by default.
type ServerOption func(*Server) error

// WithLog sends what net/http has to say to the log, at the level debug: most
// of it is about clients that speak bad TLS or HTTP.
func WithLog(log *slog.Logger) ServerOption {
	return func(s *Server) error {
		s.log = log
		s.http.ErrorLog = slog.NewLogLogger(log.Handler(), slog.LevelDebug)
		return nil
	}
}

// WithDrain bounds how long requests may take to end when the server stops, and
// says for how long a connection must be silent before it is closed then.
func WithDrain(limit, quiet time.Duration) ServerOption {
	return func(s *Server) error {
		s.drain, s.quiet = limit, quiet
		return nil
	}
}

// WithConnectionMetrics counts connections, and requests that could not be read.
func WithConnectionMetrics(registry prometheus.Registerer, service string) ServerOption {
	return func(s *Server) error {
		s.registry, s.service = registry, service
		return nil
	}
}

// WithCleartextHTTP2 lets clients speak HTTP/2 without TLS, if they know
// beforehand that they may (RFC 9113 section 3.3).
func WithCleartextHTTP2() ServerOption {
	return func(s *Server) error {
		s.cleartextHTTP2 = true
		return nil
	}
}

// Listen takes the address at once (port 0 picks a free one), so that a taken
// address is an error before anything has started. Part serves on it. The name
// is for errors and the lifecycle.
func Listen(name, addr string, h http.Handler, options ...ServerOption) (*Server, error) {
	s := &Server{name: name, drain: drainTimeout, log: slog.New(slog.DiscardHandler), http: new(http.Server)}
	for _, option := range options {
		if err := option(s); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	s.limits.complete()
	s.open = newConnections(&s.limits)
	if s.certificate != nil {
		s.certificate.log = s.log
	}
	if s.registry != nil {
		s.metrics = newConnectionMetrics(s.registry, s.service, s)
	}
	s.configure(h)
	l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	tcp, ok := l.(*net.TCPListener)
	if !ok { // never: the network is tcp
		return nil, errors.Join(fmt.Errorf("%s: a listener of %s is a %T", name, addr, l), l.Close())
	}
	s.tcp = tcp
	return s, nil
}

// configure sets up net/http.
func (s *Server) configure(h http.Handler) {
	s.http.Handler = s.announcing(h)
	s.http.ReadHeaderTimeout = s.limits.Head
	s.http.IdleTimeout = s.limits.Idle
	s.http.MaxHeaderBytes = s.limits.MaxHead
	s.http.DisableGeneralOptionsHandler = true // "OPTIONS *" is the handler's to answer
	s.http.ConnState = stateChanged
	s.http.BaseContext = func(net.Listener) context.Context {
		return context.WithValue(context.Background(), serverKey{}, s)
	}
	s.http.HTTP2 = &http.HTTP2Config{
		// A connection keeps the memory of the largest frame that has come on it.
		// net/http's own bound is 1 MiB, this is the least one that there can be.
		MaxReadFrameSize: 16 << 10, MaxConcurrentStreams: s.limits.Streams, SendPingTimeout: s.limits.Idle, PingTimeout: s.limits.Head,
	}
	s.http.Protocols = new(http.Protocols)
	s.http.Protocols.SetHTTP1(true)
	s.http.Protocols.SetHTTP2(s.tls != nil)
	s.http.Protocols.SetUnencryptedHTTP2(s.cleartextHTTP2 && s.tls == nil)
}

type serverKey struct{}

// Addr is the address that the server listens on, with its real port.
func (s *Server) Addr() string { return s.tcp.Addr().String() }

// Connections is how many connections are open.
func (s *Server) Connections() int { return s.open.count() }

// Close gives the address back if Part was never run.
func (s *Server) Close() error {
	if err := s.tcp.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("%s: %w", s.name, err)
	}
	return nil
}

// Part serves until it is told to stop; see stop for how it does.
func (s *Server) Part() lifecycle.Part {
	return lifecycle.Part{Name: s.name, Run: s.run, StopTimeout: s.drain + 5*time.Second}
}
