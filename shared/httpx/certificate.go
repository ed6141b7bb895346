package httpx

import (
	"cmp"
	"crypto/tls"
	"fmt"
	"log/slog"
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
	log               *slog.Logger // nil for none
	elsewhere         Certificates // in place of files

	mu      sync.Mutex
	current *tls.Certificate
	version version // of the files that current is from
	checked time.Time
	problem string // that was logged last
}

// version tells whether files were replaced.
type version struct{ cert, key fileVersion }

type fileVersion struct {
	modified time.Time
	size     int64
}

// loadCertificate reads the files for the first time.
func loadCertificate(certFile, keyFile string, now func() time.Time) (*certificate, error) {
	c := &certificate{certFile: certFile, keyFile: keyFile, now: now}
	found, err := c.look()
	if err == nil {
		err = c.load(found)
	}
	if err != nil {
		return nil, fmt.Errorf("load certificate: %w", err)
	}
	return c, nil
}

// CheckCertificate says why a server could not begin with the files, if so.
func CheckCertificate(certFile, keyFile string) error {
	_, err := loadCertificate(certFile, keyFile, time.Now)
	return err
}

func (c *certificate) load(found version) error {
	pair, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	if err != nil {
		return err
	}
	c.current, c.version, c.checked = &pair, found, c.now()
	return nil
}

// look finds out what the files are now.
func (c *certificate) look() (found version, err error) {
	if found.cert, err = lookAt(c.certFile); err == nil {
		found.key, err = lookAt(c.keyFile)
	}
	return found, err
}

func lookAt(name string) (fileVersion, error) {
	info, err := os.Stat(name)
	if err != nil {
		return fileVersion{}, err
	}
	return fileVersion{info.ModTime(), info.Size()}, nil
}

// get answers a handshake.
func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := c.now(); now.Sub(c.checked) >= certificateCheck {
		c.checked = now
		c.refresh()
	}
	return c.current, nil
}

// refresh reads files that have changed. On failure the old pair serves on,
// the problem is logged once, and the next check tries again.
func (c *certificate) refresh() {
	found, err := c.look()
	if err == nil {
		if found == c.version {
			return
		}
		err = c.load(found)
	}
	log := cmp.Or(c.log, slog.New(slog.DiscardHandler))
	if err != nil {
		if c.problem != err.Error() {
			log.Error("new certificate is not used; the last good one stays", "error", err, "expires", c.current.Leaf.NotAfter)
		}
		c.problem = err.Error()
		return
	}
	c.problem = ""
	log.Info("new certificate", "expires", c.current.Leaf.NotAfter)
}

// expiry is when the certificate expires, in seconds since 1970; 0 if there is
// none yet.
func (c *certificate) expiry() float64 {
	if c.elsewhere != nil {
		if at := c.elsewhere.Expiry(); !at.IsZero() {
			return float64(at.Unix())
		}
		return 0
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return float64(c.current.Leaf.NotAfter.Unix())
}
