package httpx

import (
	"crypto/tls"
	"fmt"
	"os"
	"sync"
	"time"
)

// certificateCheck is how often files are looked at for a change.
const certificateCheck = 10 * time.Second

// certificate is a certificate and key in files that may be replaced while
// the server runs. A bad replacement never takes the place of a good one.
type certificate struct {
	certFile, keyFile string
	now               func() time.Time

	mu      sync.Mutex
	current *tls.Certificate
	changed time.Time // newest modification of the files that current is from
	checked time.Time
}

// loadCertificate reads the files for the first time.
func loadCertificate(certFile, keyFile string, now func() time.Time) (*certificate, error) {
	c := &certificate{certFile: certFile, keyFile: keyFile, now: now}
	changed, err := c.modified()
	if err != nil {
		return nil, fmt.Errorf("load certificate: %w", err)
	}
	if err := c.load(changed); err != nil {
		return nil, fmt.Errorf("load certificate: %w", err)
	}
	return c, nil
}

func (c *certificate) load(changed time.Time) error {
	pair, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	if err != nil {
		return err
	}
	c.current, c.changed, c.checked = &pair, changed, c.now()
	return nil
}

// modified gives the newest modification time of the two files.
func (c *certificate) modified() (time.Time, error) {
	cert, err := os.Stat(c.certFile)
	if err != nil {
		return time.Time{}, err
	}
	key, err := os.Stat(c.keyFile)
	if err != nil {
		return time.Time{}, err
	}
	if key.ModTime().After(cert.ModTime()) {
		return key.ModTime(), nil
	}
	return cert.ModTime(), nil
}

// get answers a handshake.
func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := c.now(); now.Sub(c.checked) >= certificateCheck {
		c.checked = now
		if changed, err := c.modified(); err == nil && !changed.Equal(c.changed) {
			_ = c.load(changed) // on failure the old one serves on, and the next check tries again
		}
	}
	return c.current, nil
}
