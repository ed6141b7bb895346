package userapp

import (
	"errors"
	"log/slog"
	"strings"

	"gatehouse.internal/shared/bus"
	"gatehouse.internal/shared/config"
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
		config.Addr("USER_ADDR", c.Addr),
		config.Addr("USER_OPS_ADDR", c.OpsAddr),
		config.Required("USER_ISSUER", c.Issuer),
		config.Required("USER_AUDIENCE", c.Audience),
		config.Required("DATABASE_URL", c.DatabaseURL),
		config.Required("NATS_URL", c.NATS.URL),
	}
	if c.DatabaseURL != "" && !hasScheme(c.DatabaseURL, "postgres:", "postgresql:", "sqlite:") {
		problems = append(problems, errors.New("DATABASE_URL: must be postgres://… or sqlite:PATH"))
	}
	if len(c.AuthURL) == 0 {
		problems = append(problems, config.Required("USER_AUTH_URL", ""))
	}
	for _, address := range c.AuthURL {
		problems = append(problems, config.HTTPURL("USER_AUTH_URL", address))
	}
	if c.OTLPEndpoint != "" {
		problems = append(problems, config.HTTPURL("OTEL_EXPORTER_OTLP_ENDPOINT", c.OTLPEndpoint))
	}
	if strings.ContainsAny(c.NATS.Prefix, " *>\t\r\n") {
		problems = append(problems, errors.New("NATS_PREFIX: must be the beginning of a subject, without wildcards and spaces"))
	}
	return errors.Join(problems...)
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

// keySetURLs gives the addresses of the issuer's key set.
func (c *Config) keySetURLs() []string {
	urls := make([]string, 0, len(c.AuthURL))
	for _, address := range c.AuthURL {
		urls = append(urls, strings.TrimRight(strings.TrimSpace(address), "/")+"/.well-known/jwks.json")
	}
	return urls
}
