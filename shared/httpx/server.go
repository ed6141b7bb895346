package httpx

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"gatehouse.internal/shared/lifecycle"
)

// Bounds of every server.
const (
	readHeaderTimeout = 5 * time.Second
	idleTimeout       = 120 * time.Second
	maxHeaderBytes    = 32 << 10
	drainTimeout      = 10 * time.Second
)

// Server is a listening HTTP server.
type Server struct {
	name     string
	listener net.Listener
	http     *http.Server
	drain    time.Duration
	tls      bool
}

// ServerOption changes what Listen does by default.
type ServerOption func(*Server) error

// WithTLS serves HTTPS with a certificate and key from files, which are read
// again when they change. Two empty names mean plain HTTP.
func WithTLS(certFile, keyFile string) ServerOption {
	return func(s *Server) error {
		if certFile == "" && keyFile == "" {
			return nil
		}
		files, err := loadCertificate(certFile, keyFile, time.Now)
		if err != nil {
			return err
		}
		s.http.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: files.get}
		s.tls = true
		return nil
	}
}

// WithLog sends what net/http has to say to the log, at the level debug: most
// of it is about clients that speak bad TLS or HTTP.
func WithLog(log *slog.Logger) ServerOption {
	return func(s *Server) error {
		s.http.ErrorLog = slog.NewLogLogger(log.Handler(), slog.LevelDebug)
		return nil
	}
}

// WithDrain bounds how long requests may take to end when the server stops.
func WithDrain(limit time.Duration) ServerOption {
	return func(s *Server) error {
		s.drain = limit
		return nil
	}
}

// WithConnState tells of the states of connections, as http.Server does.
func WithConnState(tell func(net.Conn, http.ConnState)) ServerOption {
	return func(s *Server) error {
		s.http.ConnState = tell
		return nil
	}
}

// Listen takes the address at once (port 0 picks a free one), so that a taken
// address is an error before anything has started. Part serves on it. The name
// is for errors and the lifecycle.
func Listen(name, addr string, h http.Handler, options ...ServerOption) (*Server, error) {
	s := &Server{
		name:  name,
		drain: drainTimeout,
		http: &http.Server{
			Handler:                      h,
			ReadHeaderTimeout:            readHeaderTimeout,
			IdleTimeout:                  idleTimeout,
			MaxHeaderBytes:               maxHeaderBytes,
			DisableGeneralOptionsHandler: true, // "OPTIONS *" is the handler's to answer
		},
	}
	for _, option := range options {
		if err := option(s); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	listener, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	s.listener = listener
	return s, nil
}

// Addr is the address that the server listens on, with its real port.
func (s *Server) Addr() string { return s.listener.Addr().String() }

// Close gives the address back if Part was never run.
func (s *Server) Close() error {
	if err := s.listener.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("%s: %w", s.name, err)
	}
	return nil
}

// Part serves until it is told to stop; it then takes no new connection, lets
// the requests that are under way end, and cuts them off after a bound.
func (s *Server) Part() lifecycle.Part {
	return lifecycle.Part{Name: s.name, Run: s.run, StopTimeout: s.drain + 5*time.Second}
}

func (s *Server) run(ctx context.Context) error {
	served := make(chan error, 1)
	go func() {
		if s.tls {
			served <- s.http.ServeTLS(s.listener, "", "")
		} else {
			served <- s.http.Serve(refusalListener{s.listener})
		}
	}()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	limit, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.drain)
	defer cancel()
	err := s.http.Shutdown(limit)
	if err != nil {
		err = errors.Join(fmt.Errorf("requests were cut off after %v: %w", s.drain, err), s.http.Close())
	}
	if serveErr := <-served; !errors.Is(serveErr, http.ErrServerClosed) {
		err = errors.Join(err, serveErr)
	}
	return err
}
