package acme

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/acme"
	"golang.org/x/crypto/acme/autocert"
)

// Protocol is what the authority speaks when it looks at a proof; nothing is
// said in it once the handshake is over (RFC 8737 section 3).
const Protocol = acme.ALPNProto

// LetsEncrypt is the directory of the authority that is asked by default.
const LetsEncrypt = acme.LetsEncryptURL

// How often an authority is asked after a failure, and how soon a renewed
// certificate, which autocert sees to, is served.
const (
	firstRetry = 90 * time.Second // autocert keeps a failure for a minute
	lastRetry  = time.Hour
	lookAgain  = 10 * time.Minute
	askTimeout = 30 * time.Second // of one request to the authority
)

// Options make Certificates. Hosts, Directory and Cache must be given.
type Options struct {
	Hosts     []string // in lower case, the first one for clients that name none
	Email     string   // where the authority can reach the operator; may be empty
	Directory string   // the authority's URL
	Cache     string   // a folder
	Roots     *x509.CertPool
	Log       *slog.Logger
}

// Certificates are those of the hosts, as far as they have been issued.
type Certificates struct {
	o       Options
	manager *autocert.Manager
	ended   context.Context // requests to the authority end with it
	end     context.CancelFunc

	mu   sync.RWMutex
	held map[string]*tls.Certificate
}

// New returns the certificates that are in the folder already. Run sees to the
// others.
func New(o Options) *Certificates {
	c := &Certificates{o: o, held: map[string]*tls.Certificate{}}
	c.ended, c.end = context.WithCancel(context.Background())
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: o.Roots}, Proxy: http.ProxyFromEnvironment,
		ForceAttemptHTTP2: true, MaxIdleConnsPerHost: 2, IdleConnTimeout: time.Minute, MaxResponseHeaderBytes: 64 << 10,
	}
	c.manager = &autocert.Manager{
		Prompt: autocert.AcceptTOS, Cache: autocert.DirCache(o.Cache), HostPolicy: autocert.HostWhitelist(o.Hosts...), Email: o.Email,
		Client: &acme.Client{DirectoryURL: o.Directory, UserAgent: "gatehouse", HTTPClient: &http.Client{Timeout: askTimeout, Transport: ending{c.ended, transport}}},
	}
	for _, host := range o.Hosts {
		c.recall(host)
	}
	return c
}

// recall takes a certificate that is still good out of the folder.
func (c *Certificates) recall(host string) {
	data, err := c.manager.Cache.Get(c.ended, host)
	if err != nil {
		return // it was never issued, or Run will say what is wrong
	}
	pair, err := tls.X509KeyPair(data, data)
	if err == nil && time.Now().Before(pair.Leaf.NotAfter) && pair.Leaf.VerifyHostname(host) == nil {
		c.held[host] = &pair
	}
}

// Get answers a handshake.
func (c *Certificates) Get(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	host := strings.ToLower(strings.TrimSuffix(hello.ServerName, "."))
	if len(hello.SupportedProtos) == 1 && hello.SupportedProtos[0] == Protocol {
		if err := c.manager.HostPolicy(hello.Context(), host); err != nil {
			return nil, errors.New("a proof of a name that is not ours was asked for")
		}
		return c.manager.GetCertificate(hello) //nolint:wrapcheck // only logged
	}
	if host == "" {
		host = c.o.Hosts[0]
	}
	c.mu.RLock()
	defer c.mu.RUnlock()
	if cert := c.held[host]; cert != nil {
		return cert, nil
	}
	return nil, errors.New("there is no certificate for the name that the client asked for")
}

// Expiry is when the first certificate expires; the zero time if none was
// issued yet.
func (c *Certificates) Expiry() (first time.Time) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	for _, cert := range c.held {
		if first.IsZero() || cert.Leaf.NotAfter.Before(first) {
			first = cert.Leaf.NotAfter
		}
	}
	return first
}

// Run has certificates issued and renewed until ctx ends.
func (c *Certificates) Run(ctx context.Context) error {
	defer context.AfterFunc(ctx, c.end)()
	defer c.end()
	var group sync.WaitGroup
	for _, host := range c.o.Hosts {
		group.Go(func() { c.keep(ctx, host) })
	}
	group.Wait()
	return nil
}

// keep has the certificate of one host issued, and serves the renewed one.
func (c *Certificates) keep(ctx context.Context, host string) {
	// Whoever knows this suite gets a certificate with an ECDSA key.
	hello := &tls.ClientHelloInfo{ServerName: host, CipherSuites: []uint16{tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256}}
	retry := firstRetry
	for {
		pause := lookAgain
		cert, err := c.manager.GetCertificate(hello)
		if err == nil {
			retry = firstRetry
			c.hold(host, cert)
		} else if ctx.Err() == nil {
			pause, retry = retry, min(2*retry, lastRetry)
			c.o.Log.Error("the authority has issued no certificate", "host", host, "error", c.withoutEmail(err), "again_in", pause.String())
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-timer.C:
		}
	}
}

// hold serves a certificate from now on.
func (c *Certificates) hold(host string, cert *tls.Certificate) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if before := c.held[host]; before == nil || !before.Leaf.Equal(cert.Leaf) {
		c.o.Log.Info("new certificate", "host", host, "expires", cert.Leaf.NotAfter)
	}
	c.held[host] = cert
}

// withoutEmail is what went wrong, which the authority may have told with the
// address in it.
func (c *Certificates) withoutEmail(err error) string {
	if c.o.Email == "" {
		return err.Error()
	}
	return strings.ReplaceAll(err.Error(), c.o.Email, "(the e-mail address)")
}

// ending ends requests with a context of its own beside theirs: autocert's
// last up to five minutes, and nobody can end them.
type ending struct {
	with context.Context
	by   http.RoundTripper
}

// RoundTrip makes one request.
func (e ending) RoundTrip(r *http.Request) (*http.Response, error) {
	if err := e.with.Err(); err != nil {
		return nil, fmt.Errorf("ask the authority: %w", err)
	}
	ctx, cancel := context.WithCancel(r.Context())
	stop := context.AfterFunc(e.with, cancel)
	res, err := e.by.RoundTrip(r.WithContext(ctx))
	if err != nil {
		stop()
		cancel()
		return nil, err //nolint:wrapcheck // http.Client says what was asked
	}
	res.Body = &endingBody{res.Body, func() { stop(); cancel() }}
	return res, nil
}

type endingBody struct {
	io.ReadCloser
	over func()
}

// Close ends the request.
func (b *endingBody) Close() error {
	defer b.over()
	return b.ReadCloser.Close()
}
