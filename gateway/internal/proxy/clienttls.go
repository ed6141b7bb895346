package proxy

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"
)

// fileCheck is how often files are looked at for a change.
const fileCheck = 10 * time.Second

// TLSFiles are the authorities that may speak for the targets of an upstream,
// and the certificate by which the gateway proves to them who it is. Files may
// be replaced while the gateway runs: what has changed holds for connections
// made from then on. A replacement that cannot be used is logged, and the last
// good files stay.
type TLSFiles struct {
	CA         string // certificates of authorities, PEM; the system's if empty
	Cert, Key  string // PEM; none if empty
	ServerName string // in place of the target's host
	Log        *slog.Logger
	Now        func() time.Time // time.Now if nil

	mu      sync.Mutex
	config  *tls.Config
	seen    [3]fileVersion
	checked time.Time
	problem string // that was logged last
}

// FileError says which of the files cannot be used.
type FileError struct {
	Field string // ca, cert or key
	cause error
}

// Error says why the file cannot be used, and names it.
func (e *FileError) Error() string { return e.cause.Error() }

// Unwrap gives the cause.
func (e *FileError) Unwrap() error { return e.cause }

type fileVersion struct {
	modified time.Time
	size     int64
}

// Config gives what a connection made now must be. It fails only until the
// files have been good once.
func (f *TLSFiles) Config() (*tls.Config, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := time.Now()
	if f.Now != nil {
		now = f.Now()
	}
	if f.config != nil && now.Sub(f.checked) < fileCheck {
		return f.config, nil
	}
	f.checked = now
	err := f.refresh()
	if err != nil && f.config == nil {
		return nil, fmt.Errorf("TLS to the upstream: %w", err)
	}
	if err != nil && err.Error() != f.problem {
		cmp.Or(f.Log, slog.New(slog.DiscardHandler)).Error("new TLS files of an upstream are not used; the last good ones stay", "error", err)
	}
	f.problem = ""
	if err != nil {
		f.problem = err.Error()
	}
	return f.config, nil
}

// refresh reads the files if one has changed. What they are is found out
// before they are read, so that a change meanwhile is seen the next time.
func (f *TLSFiles) refresh() error {
	var found [3]fileVersion
	for i, file := range []struct{ field, name string }{{"ca", f.CA}, {"cert", f.Cert}, {"key", f.Key}} {
		if file.name == "" {
			continue
		}
		info, err := os.Stat(file.name)
		if err != nil {
			return &FileError{file.field, fmt.Errorf("look at a file: %w", err)}
		}
		found[i] = fileVersion{info.ModTime(), info.Size()}
	}
	if f.config != nil && found == f.seen {
		return nil
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: f.ServerName}
	if f.CA != "" {
		pem, err := os.ReadFile(f.CA)
		if err != nil {
			return &FileError{"ca", fmt.Errorf("read authorities: %w", err)}
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(pem) {
			return &FileError{"ca", errors.New("read authorities: " + f.CA + " holds no certificate")}
		}
	}
	if f.Cert != "" || f.Key != "" {
		pair, err := readPair(f.Cert, f.Key)
		if err != nil {
			return err
		}
		config.Certificates = []tls.Certificate{pair}
	}
	f.config, f.seen = config, found
	return nil
}

// readPair reads a certificate and its key.
func readPair(certFile, keyFile string) (tls.Certificate, error) {
	cert, err := os.ReadFile(certFile)
	if err != nil {
		return tls.Certificate{}, &FileError{"cert", fmt.Errorf("read certificate: %w", err)}
	}
	key, err := os.ReadFile(keyFile)
	if err != nil {
		return tls.Certificate{}, &FileError{"key", fmt.Errorf("read key: %w", err)}
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return tls.Certificate{}, &FileError{"cert", fmt.Errorf("read certificate %s and key %s: %w", certFile, keyFile, err)}
	}
	return pair, nil
}
