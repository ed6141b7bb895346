package gatewayapp

import (
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"gatehouse.internal/gateway/internal/acme"
	"gatehouse.internal/shared/config"
	"gatehouse.internal/shared/httpx"
)

// maxACMEHosts bounds the names for which certificates are issued.
const maxACMEHosts = 100

// checkACME refuses settings by which no certificate can be issued.
func (c *Config) checkACME() error {
	if len(c.ACMEHosts) == 0 {
		if c.ACMEEmail != "" || c.ACMECache != "" || c.ACMECA != "" {
			return errors.New("GATEWAY_ACME_HOSTS: missing; the other GATEWAY_ACME settings say nothing without it")
		}
		return nil
	}
	var problems []error
	if c.TLSCert != "" || c.TLSKey != "" {
		problems = append(problems, errors.New("GATEWAY_ACME_HOSTS: certificates come from files (GATEWAY_TLS_CERT) or by ACME, not both"))
	}
	if len(c.ACMEHosts) > maxACMEHosts {
		problems = append(problems, fmt.Errorf("GATEWAY_ACME_HOSTS: names %d hosts, more than %d", len(c.ACMEHosts), maxACMEHosts))
	}
	for i, host := range c.ACMEHosts {
		if !isACMEHost(host) {
			problems = append(problems, fmt.Errorf("GATEWAY_ACME_HOSTS: %q is not a host name in lower case with a dot in it", host))
		}
		if slices.Contains(c.ACMEHosts[:i], host) {
			problems = append(problems, fmt.Errorf("GATEWAY_ACME_HOSTS: %s appears twice", host))
		}
	}
	if !filepath.IsAbs(c.ACMECache) {
		problems = append(problems, errors.New("GATEWAY_ACME_CACHE: must be the absolute path of a folder that outlives the process"))
	}
	if c.ACMEDirectory != "" {
		problems = append(problems, config.HTTPURL("GATEWAY_ACME_DIRECTORY", c.ACMEDirectory))
		if !strings.HasPrefix(c.ACMEDirectory, "https://") {
			problems = append(problems, errors.New("GATEWAY_ACME_DIRECTORY: must begin with https:// (RFC 8555 section 6.1)"))
		}
	}
	_, err := acmeRoots(c.ACMECA)
	return errors.Join(append(problems, err)...)
}

// isACMEHost reports whether a certificate for the name can be had by
// TLS-ALPN-01: it is no address and has no wildcard (RFC 8737, RFC 8738).
func isACMEHost(host string) bool {
	labels := strings.Split(host, ".")
	for _, label := range labels {
		if label == "" || len(label) > 63 || strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
	}
	last := labels[len(labels)-1]
	return len(host) <= 253 && len(labels) > 1 && strings.Trim(last, "0123456789") != ""
}

// acmeRoots reads who may speak for the directory; nil for the system's
// authorities.
func acmeRoots(file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil //nolint:nilnil // which is how crypto/tls says "the system's"
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("GATEWAY_ACME_CA: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("GATEWAY_ACME_CA: %s holds no certificate", file)
	}
	return pool, nil
}

// serveTLS says by which certificates the gateway serves, if by any.
func (a *App) serveTLS() (httpx.ServerOption, error) {
	if len(a.cfg.ACMEHosts) == 0 {
		return httpx.WithTLS(a.cfg.TLSCert, a.cfg.TLSKey), nil
	}
	roots, err := acmeRoots(a.cfg.ACMECA)
	if err != nil {
		return nil, err
	}
	a.certificates = acme.New(acme.Options{
		Hosts: a.cfg.ACMEHosts, Email: a.cfg.ACMEEmail, Directory: a.cfg.ACMEDirectory, Cache: a.cfg.ACMECache, Roots: roots, Log: a.log,
	})
	return httpx.WithCertificates(a.certificates, acme.Protocol), nil
}
