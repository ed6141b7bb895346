package httpx

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"gatehouse.internal/shared/fault"
)

// WithTLS serves HTTPS, HTTP/2 among it, with a certificate and key from files,
// which are read again when they change. Two empty names mean plain HTTP.
func WithTLS(certFile, keyFile string) ServerOption {
	return func(s *Server) error {
		if certFile == "" && keyFile == "" {
			return nil
		}
		files, err := loadCertificate(certFile, keyFile, time.Now)
		if err != nil {
			return err
		}
		s.certificate = files
		s.tls = &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"h2", "http/1.1"}, GetCertificate: files.get}
		return nil
	}
}

// Certificates give each handshake a certificate. Expiry is when the first of
// them expires, and the zero time while there is none.
type Certificates interface {
	Get(hello *tls.ClientHelloInfo) (*tls.Certificate, error)
	Expiry() time.Time
}

// WithCertificates serves HTTPS, HTTP/2 among it, with certificates that may
// change at any time. Connections that agree on one of the silent protocols are
// closed when they have shaken hands: the certificate was all they wanted.
func WithCertificates(from Certificates, silent ...string) ServerOption {
	return func(s *Server) error {
		s.certificate = &certificate{elsewhere: from}
		s.tls = &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: append([]string{"h2", "http/1.1"}, silent...), GetCertificate: from.Get}
		return nil
	}
}

// errSilent ends a connection on which nothing more is to be said.
var errSilent = errors.New("the client wanted to see the certificate alone")

// secureListener gives out connections whose handshake is done, because
// net/http must get HTTP/2 and HTTP/1.1 as connections of different kinds.
// Each handshake has a goroutine, bounded by Limits.Head and by the number of
// connections; run waits for them.
type secureListener struct {
	*listener
	config *tls.Config
	log    *slog.Logger
	ready  chan accepted // closed when there will be no more
}

// accepted is what Accept returns.
type accepted struct {
	conn net.Conn
	err  error
}

func newSecureListener(l *listener, config *tls.Config, log *slog.Logger) *secureListener {
	return &secureListener{listener: l, config: config, log: log, ready: make(chan accepted)}
}

// Accept waits for the next connection that has shaken hands.
func (l *secureListener) Accept() (net.Conn, error) {
	if next, more := <-l.ready; more {
		return next.conn, next.err
	}
	return nil, net.ErrClosed
}

// run takes connections until the listener is stopped or closed. When ctx ends,
// nobody is left to give a connection to.
func (l *secureListener) run(ctx context.Context) {
	var handshakes sync.WaitGroup
	defer close(l.ready)
	defer handshakes.Wait()
	for {
		base, err := l.admit()
		if err != nil {
			// net/http waits a moment if the error will pass.
			if !l.give(ctx, accepted{err: err}) || errors.Is(err, net.ErrClosed) {
				return
			}
			continue
		}
		handshakes.Go(func() {
			conn, err := l.shakeHands(ctx, base)
			if err != nil {
				l.log.Debug("TLS handshake failed", "client", base.RemoteAddr().String(), "error", err)
				_ = base.Close()
				return
			}
			if !l.give(ctx, accepted{conn: conn}) {
				_ = base.Close()
			}
		})
	}
}

func (l *secureListener) give(ctx context.Context, next accepted) bool {
	if errors.Is(next.err, net.ErrClosed) {
		return true // Accept says so when all handshakes are over
	}
	select {
	case l.ready <- next:
		return true
	case <-ctx.Done():
		return false
	}
}

// shakeHands gives the connection as net/http wants it: HTTP/2 as TLS itself,
// HTTP/1.1 with the one reading in front.
func (l *secureListener) shakeHands(ctx context.Context, base *connection) (net.Conn, error) {
	conn := tls.Server(base, l.config)
	if err := base.SetDeadline(time.Now().Add(l.server.limits.Head)); err != nil {
		return nil, fmt.Errorf("bound handshake: %w", err)
	}
	if err := conn.HandshakeContext(ctx); err != nil {
		l.tellPlain(base, err)
		return nil, err
	}
	if err := base.SetDeadline(time.Time{}); err != nil {
		return nil, fmt.Errorf("end handshake: %w", err)
	}
	switch conn.ConnectionState().NegotiatedProtocol {
	case "", "h2", "http/1.1":
	default:
		return nil, errors.Join(errSilent, conn.Close())
	}
	if conn.ConnectionState().NegotiatedProtocol == "h2" {
		base.protocol.Store(int32(http2))
		return conn, nil
	}
	base.rest()
	return secureConn{l.server.http1(conn, base, true), conn}, nil
}

// tellPlain answers a client that speaks HTTP in clear.
func (l *secureListener) tellPlain(base *connection, err error) {
	head, is := errors.AsType[tls.RecordHeaderError](err)
	if !is || !isMethod(head.RecordHeader[:]) {
		return
	}
	refusal := fault.New(fault.Malformed, "This address speaks HTTPS, and the request came in clear.")
	if _, err := base.Write(refusalAnswer(refusal, false)); err == nil && base.CloseWrite() == nil {
		linger(base)
	}
}

// isMethod reports whether the first bytes of a connection look like those of
// an HTTP request.
func isMethod(start []byte) bool {
	for _, c := range start {
		if (c < 'A' || c > 'Z') && c != ' ' && c != '/' {
			return false
		}
	}
	return true
}
