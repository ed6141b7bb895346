package gatewayapp

import (
	"cmp"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"strings"
	"time"

	"gatehouse.internal/gateway/internal/access"
	"gatehouse.internal/gateway/internal/acme"
	"gatehouse.internal/gateway/internal/upstream"
	"gatehouse.internal/shared/bus"
	"gatehouse.internal/shared/config"
	"gatehouse.internal/shared/contract"
	"gatehouse.internal/shared/httpx"
	"gatehouse.internal/shared/revocation"
)

// EnvPrefix begins the names of the gateway's own variables.
const EnvPrefix = "GATEWAY_"

// Config is the gateway's settings, from the environment or filled in by a
// program that embeds it.
type Config struct {
	Addr    string `env:"GATEWAY_ADDR" envDefault:":8080"`     // for requests
	OpsAddr string `env:"GATEWAY_OPS_ADDR" envDefault:":9080"` // for health and metrics
	NodeID  string `env:"GATEWAY_NODE_ID"`                     // unique among the nodes; made from the host's name if empty

	Routes  []string `env:"GATEWAY_ROUTES"`   // files and folders of routes beside the built-in ones
	AuthURL []string `env:"GATEWAY_AUTH_URL"` // of the auth-service's replicas
	UserURL []string `env:"GATEWAY_USER_URL"` // of the user-service's replicas
	JWKSURL []string `env:"GATEWAY_JWKS_URL"` // the auth-service's if empty

	Issuer   string `env:"GATEWAY_ISSUER"`   // iss of access tokens
	Audience string `env:"GATEWAY_AUDIENCE"` // aud of access tokens

	TrustedProxies  []netip.Prefix `env:"GATEWAY_TRUSTED_PROXIES"`                   // that may tell for whom they ask
	AllowedOrigins  []string       `env:"GATEWAY_ALLOWED_ORIGINS"`                   // whose pages may call with credentials
	CredentialLimit int            `env:"GATEWAY_CREDENTIAL_LIMIT" envDefault:"100"` // per address and 15 minutes; 0 is none
	AssertionKey    config.Secret  `env:"GATEWAY_ASSERTION_KEY"`                     // PEM, the same on all nodes; generated if empty
	TLSCert         string         `env:"GATEWAY_TLS_CERT"`
	TLSKey          string         `env:"GATEWAY_TLS_KEY"`

	ACMEHosts     []string `env:"GATEWAY_ACME_HOSTS"`                                                                 // for which certificates are issued; none for no ACME
	ACMEEmail     string   `env:"GATEWAY_ACME_EMAIL"`                                                                 // where the authority can reach the operator
	ACMEDirectory string   `env:"GATEWAY_ACME_DIRECTORY" envDefault:"https://acme-v02.api.letsencrypt.org/directory"` // the authority
	ACMECache     string   `env:"GATEWAY_ACME_CACHE"`                                                                 // folder for the account, certificates and proofs
	ACMECA        string   `env:"GATEWAY_ACME_CA"`                                                                    // who may speak for the directory, PEM; the system's authorities if empty

	MaxConnections          int           `env:"GATEWAY_MAX_CONNECTIONS" envDefault:"20000"`           // of all clients; 0 is the default
	MaxConnectionsPerClient int           `env:"GATEWAY_MAX_CONNECTIONS_PER_CLIENT" envDefault:"2000"` // per address or IPv6 network; 0 is the default
	DrainDelay              time.Duration `env:"GATEWAY_DRAIN_DELAY" envDefault:"5s"`                  // from not ready to no new connections

	DNSRefresh time.Duration `env:"GATEWAY_DNS_REFRESH" envDefault:"10s"` // how often the names of targets are looked up; 0 is the default

	Profiling bool `env:"GATEWAY_PROFILING"` // pprof on the ops address

	NATS        bus.Config
	RedisURL    string `env:"REDIS_URL"`
	RedisPrefix string `env:"REDIS_PREFIX" envDefault:"gatehouse"`

	LogLevel     slog.Level `env:"LOG_LEVEL" envDefault:"info"`
	OTLPEndpoint string     `env:"OTEL_EXPORTER_OTLP_ENDPOINT"`
}

// Validate returns every problem of the settings.
func (c *Config) Validate() error {
	for _, list := range [][]string{c.Routes, c.AuthURL, c.UserURL, c.JWKSURL, c.AllowedOrigins, c.ACMEHosts} {
		for i := range list { // a list may be written with spaces
			list[i] = strings.TrimSpace(list[i])
		}
	}
	problems := []error{
		config.Addr("GATEWAY_ADDR", c.Addr),
		config.Addr("GATEWAY_OPS_ADDR", c.OpsAddr),
		checkNode(c.NodeID),
		checkTargets("GATEWAY_AUTH_URL", c.AuthURL),
		checkTargets("GATEWAY_USER_URL", c.UserURL),
		config.Required("GATEWAY_ISSUER", c.Issuer),
		config.Required("GATEWAY_AUDIENCE", c.Audience),
		checkLimit(c.CredentialLimit),
		checkAssertionKey(c.AssertionKey),
		checkTLS(c.TLSCert, c.TLSKey),
		c.checkACME(),
		checkConnections("GATEWAY_MAX_CONNECTIONS", c.MaxConnections),
		checkConnections("GATEWAY_MAX_CONNECTIONS_PER_CLIENT", c.MaxConnectionsPerClient),
		checkDelay(c.DrainDelay),
		checkRefresh(c.DNSRefresh),
		config.Required("NATS_URL", c.NATS.URL),
		checkRedis(c.RedisURL),
	}
	for _, address := range c.JWKSURL {
		problems = append(problems, config.HTTPURL("GATEWAY_JWKS_URL", address))
	}
	if _, err := access.NewOrigins(c.AllowedOrigins...); err != nil {
		problems = append(problems, fmt.Errorf("GATEWAY_ALLOWED_ORIGINS: %w", err))
	}
	if c.OTLPEndpoint != "" {
		problems = append(problems, config.HTTPURL("OTEL_EXPORTER_OTLP_ENDPOINT", c.OTLPEndpoint))
	}
	if strings.ContainsAny(c.NATS.Prefix, " *>\t\r\n") {
		problems = append(problems, errors.New("NATS_PREFIX: must be the beginning of a subject, without wildcards and spaces"))
	}
	return errors.Join(problems...)
}

// complete fills in what may be left open.
func (c *Config) complete() {
	c.RedisPrefix = cmp.Or(c.RedisPrefix, contract.DefaultPrefix)
	c.NATS.Prefix = cmp.Or(c.NATS.Prefix, contract.DefaultPrefix)
	c.ACMEDirectory = cmp.Or(c.ACMEDirectory, acme.LetsEncrypt)
	if c.NodeID == "" {
		c.NodeID = newNodeID()
	}
	if len(c.JWKSURL) == 0 {
		for _, address := range c.AuthURL {
			c.JWKSURL = append(c.JWKSURL, strings.TrimRight(address, "/")+"/.well-known/jwks.json")
		}
	}
	c.NATS.Name = "gateway " + c.NodeID
}

// newNodeID is the host's name and something random, since several nodes can
// run on a host, and a node that starts again is another one.
func newNodeID() string {
	host, err := os.Hostname()
	if err != nil {
		host = "node"
	}
	host, _, _ = strings.Cut(host, ".")
	name := strings.Map(func(r rune) rune {
		if nodeRune(r) {
			return r
		}
		return '-'
	}, host)
	random := make([]byte, 4)
	_, _ = rand.Read(random) // never fails (crypto/rand)
	return name[:min(len(name), 40)] + "-" + hex.EncodeToString(random)
}

func nodeRune(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_'
}

// checkNode refuses an id that cannot be part of a subject or of Via.
func checkNode(id string) error {
	if len(id) > 64 || strings.ContainsFunc(id, func(r rune) bool { return !nodeRune(r) }) {
		return errors.New("GATEWAY_NODE_ID: must have at most 64 letters, digits, dashes and underscores")
	}
	return nil
}

// checkTargets refuses what cannot be proxied to.
func checkTargets(name string, targets []string) error {
	if len(targets) == 0 {
		return config.Required(name, "")
	}
	for _, target := range targets {
		if _, err := upstream.ParseTarget(target); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

func checkLimit(n int) error {
	if n < 0 || n > 1_000_000 {
		return fmt.Errorf("GATEWAY_CREDENTIAL_LIMIT: %d is not within 0 (none) and 1000000", n)
	}
	return nil
}

func checkTLS(cert, key string) error {
	if (cert == "") != (key == "") {
		return errors.New("GATEWAY_TLS_CERT, GATEWAY_TLS_KEY: set both or neither")
	}
	if cert == "" {
		return nil
	}
	if err := httpx.CheckCertificate(cert, key); err != nil {
		return fmt.Errorf("GATEWAY_TLS_CERT, GATEWAY_TLS_KEY: %w", err)
	}
	return nil
}

func checkConnections(name string, n int) error {
	if n < 0 || n > 10_000_000 {
		return fmt.Errorf("%s: %d is not within 1 and 10000000", name, n)
	}
	return nil
}

// maxDrainDelay is more than any load balancer takes to notice.
const maxDrainDelay = 5 * time.Minute

func checkDelay(d time.Duration) error {
	if d < 0 || d > maxDrainDelay {
		return fmt.Errorf("GATEWAY_DRAIN_DELAY: %v is not within 0 and %v", d, maxDrainDelay)
	}
	return nil
}

// The bounds of how often names are looked up: not a burden to name servers,
// and not so late that a service which has moved is missed.
const (
	minRefresh = time.Second
	maxRefresh = time.Hour
)

func checkRefresh(d time.Duration) error {
	if d != 0 && (d < minRefresh || d > maxRefresh) {
		return fmt.Errorf("GATEWAY_DNS_REFRESH: %v is not within %v and %v", d, minRefresh, maxRefresh)
	}
	return nil
}

func checkRedis(address string) error {
	if err := config.Required("REDIS_URL", address); err != nil {
		return err
	}
	if _, err := revocation.RedisOptions(address); err != nil {
		return fmt.Errorf("REDIS_URL: %w", err)
	}
	return nil
}
