package userapp

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"strings"

	"gatehouse.internal/shared/bus"
)

// EnvPrefix begins the names of the service's own variables.
const EnvPrefix = "USER_"

// Config is the service's settings, from the environment.
type Config struct {
	Addr     string   `env:"USER_ADDR" envDefault:":8082"`     // for requests
	OpsAddr  string   `env:"USER_OPS_ADDR" envDefault:":9082"` // for health and metrics
	AuthURL  []string `env:"USER_AUTH_URL"`                    // of the auth-service's replicas
	Issuer   string   `env:"USER_ISSUER"`                      // iss of access tokens
	Audience string   `env:"USER_AUDIENCE"`                    // aud of access tokens

	DatabaseURL string `env:"DATABASE_URL"`
	NATS        bus.Config

	LogLevel     slog.Level `env:"LOG_LEVEL" envDefault:"info"`
	OTLPEndpoint string     `env:"OTEL_EXPORTER_OTLP_ENDPOINT"`
}

// Validate returns every problem of the settings.
func (c *Config) Validate() error {
	problems := []error{
		checkAddr("USER_ADDR", c.Addr),
		checkAddr("USER_OPS_ADDR", c.OpsAddr),
		required("USER_ISSUER", c.Issuer),
		required("USER_AUDIENCE", c.Audience),
		required("DATABASE_URL", c.DatabaseURL),
		required("NATS_URL", c.NATS.URL),
	}
	if c.DatabaseURL != "" && !hasScheme(c.DatabaseURL, "postgres:", "postgresql:", "sqlite:") {
		problems = append(problems, errors.New("DATABASE_URL: must be postgres://… or sqlite:PATH"))
	}
	if len(c.AuthURL) == 0 {
		problems = append(problems, required("USER_AUTH_URL", ""))
	}
	for _, address := range c.AuthURL {
		problems = append(problems, checkURL("USER_AUTH_URL", address))
	}
	if c.OTLPEndpoint != "" {
		problems = append(problems, checkURL("OTEL_EXPORTER_OTLP_ENDPOINT", c.OTLPEndpoint))
	}
	if strings.ContainsAny(c.NATS.Prefix, " *>\t\r\n") {
		problems = append(problems, errors.New("NATS_PREFIX: must be the beginning of a subject, without wildcards and spaces"))
	}
	return errors.Join(problems...)
}

// required refuses an empty value.
func required(name, value string) error {
	if strings.TrimSpace(value) == "" {
		return fmt.Errorf("%s: is needed and not set", name)
	}
	return nil
}

// hasScheme reports whether a URL begins with one of the schemes.
func hasScheme(address string, schemes ...string) bool {
	for _, s := range schemes {
		if strings.HasPrefix(address, s) {
			return true
		}
	}
	return false
}

// checkAddr refuses what cannot be listened on.
func checkAddr(name, addr string) error {
	if _, _, err := net.SplitHostPort(addr); err != nil {
		return fmt.Errorf("%s: %q is not an address such as :8082 or 127.0.0.1:8082", name, addr)
	}
	return nil
}

// checkURL refuses what is not the URL of an HTTP server.
func checkURL(name, address string) error {
	u, err := url.Parse(strings.TrimSpace(address))
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return fmt.Errorf("%s: every element must be a URL such as http://auth-service:8081", name)
	}
	return nil
}

// keySetURLs gives the addresses of the issuer's key set.
func (c *Config) keySetURLs() []string {
	urls := make([]string, 0, len(c.AuthURL))
	for _, address := range c.AuthURL {
		urls = append(urls, strings.TrimRight(strings.TrimSpace(address), "/")+"/.well-known/jwks.json")
	}
	return urls
}
