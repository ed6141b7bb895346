package authapp

import (
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"gatehouse.internal/auth-service/internal/auth"
	"gatehouse.internal/auth-service/internal/auth/role"
	"gatehouse.internal/auth-service/internal/keys"
	"gatehouse.internal/auth-service/internal/mail"
	"gatehouse.internal/auth-service/internal/rolefile"
	"gatehouse.internal/shared/config"
	"gatehouse.internal/shared/token"
)

// Prefix begins the names of the settings that are this service's own.
const Prefix = "AUTH_"

// Config holds the settings of the auth-service. Defaults gives what has a
// default; the rest must be set.
type Config struct {
	DatabaseURL string `env:"DATABASE_URL"` // postgres://… or sqlite:PATH where that is linked
	NATSURL     string `env:"NATS_URL"`
	NATSCreds   string `env:"NATS_CREDS"`
	NATSPrefix  string `env:"NATS_PREFIX" envDefault:"gatehouse"`
	// NATSReplicas is how many servers of a NATS cluster keep each stream.
	NATSReplicas int    `env:"NATS_REPLICAS" envDefault:"1"`
	RedisURL     string `env:"REDIS_URL"`
	RedisPrefix  string `env:"REDIS_PREFIX" envDefault:"gatehouse"`
	LogLevel     string `env:"LOG_LEVEL" envDefault:"info"`
	// OTLPEndpoint is where traces go. This version passes trace ids on and
	// writes them into its log, and exports none; it says so when this is set.
	OTLPEndpoint string `env:"OTEL_EXPORTER_OTLP_ENDPOINT"`

	Addr    string `env:"AUTH_ADDR" envDefault:":8081"`
	OpsAddr string `env:"AUTH_OPS_ADDR" envDefault:":9081"`
	Pprof   bool   `env:"AUTH_PPROF"` // serve /debug/pprof on OpsAddr

	Issuer         string   `env:"AUTH_ISSUER"`
	Audience       []string `env:"AUTH_AUDIENCE"`
	PublicURL      string   `env:"AUTH_PUBLIC_URL"`      // the gateway's, for links
	AllowedOrigins []string `env:"AUTH_ALLOWED_ORIGINS"` // which may use cookies beside PublicURL
	// TrustedProxies tell for whom they speak (X-Forwarded-For): the gateways.
	TrustedProxies []netip.Prefix `env:"AUTH_TRUSTED_PROXIES" envDefault:"127.0.0.0/8,::1/128,10.0.0.0/8,172.16.0.0/12,192.168.0.0/16,fc00::/7"`

	EncryptionKey config.Secret `env:"AUTH_ENCRYPTION_KEY"` // 32 bytes, base64; keep it: keys and sessions hang on it
	// EncryptionKeyOthers are known besides, separated by commas: the one that was
	// EncryptionKey before, or the one that is to be next.
	EncryptionKeyOthers config.Secret `env:"AUTH_ENCRYPTION_KEY_OTHERS"`
	SigningAlg          string        `env:"AUTH_SIGNING_ALG" envDefault:"EdDSA"`
	SigningKey          config.Secret `env:"AUTH_SIGNING_KEY"` // PEM or JWK, instead of a generated one; its type gives the algorithm

	AccessTTL  time.Duration `env:"AUTH_ACCESS_TTL" envDefault:"15m"`
	RefreshTTL time.Duration `env:"AUTH_REFRESH_TTL" envDefault:"168h"`
	SessionTTL time.Duration `env:"AUTH_SESSION_TTL" envDefault:"720h"`
	// MaxSessions bounds the sessions of one user; 0 is no bound.
	MaxSessions  int           `env:"AUTH_MAX_SESSIONS"`
	RefreshGrace time.Duration `env:"AUTH_REFRESH_GRACE" envDefault:"60s"` // 0 for none

	PasswordMinLength int `env:"AUTH_PASSWORD_MIN_LENGTH" envDefault:"15"`
	PasswordHistory   int `env:"AUTH_PASSWORD_HISTORY" envDefault:"5"` // earlier ones that cannot be chosen again
	HashConcurrency   int `env:"AUTH_HASH_CONCURRENCY"`                // password hashes worked out at once, 19 MiB each; 0: one a core

	// MFARequiredRoles count with a second factor only: who has one of them and
	// has not shown a second factor gets a token without it.
	MFARequiredRoles []string `env:"AUTH_MFA_REQUIRED_ROLES"`
	// Roles is the file that says which roles there are and what they permit;
	// without one any role may be given, and none permits anything by name.
	Roles string `env:"AUTH_ROLES"`

	// AuditRetention is how long audit events are kept; 0 for ever.
	AuditRetention time.Duration `env:"AUTH_AUDIT_RETENTION" envDefault:"8760h"`

	Limits LimitSettings // what can be tried; see auth.Limits

	SMTPURL  string `env:"AUTH_SMTP_URL"`
	MailFrom string `env:"AUTH_MAIL_FROM"`
	// MailTemplates is a folder with letters of the operator's own.
	MailTemplates string `env:"AUTH_MAIL_TEMPLATES"`

	AdminEmail    string        `env:"AUTH_ADMIN_EMAIL"` // used while there is no administrator
	AdminPassword config.Secret `env:"AUTH_ADMIN_PASSWORD"`

	// Clients may introspect and revoke tokens: id:HASH separated by commas,
	// where HASH is the SHA-256 of a random secret in hexadecimal. One written
	// id:HASH:any may revoke tokens that were issued to others, too.
	Clients []string `env:"AUTH_CLIENTS"`
}

// Defaults gives the settings that nobody needs to set.
func Defaults() Config {
	var c Config
	// What is missing is reported by Validate, once the caller has set it.
	_ = config.Load(&c, nil)
	return c
}

// Validate reports every problem of the settings at once, by their variables.
func (c *Config) Validate() error {
	var p problems
	c.checkPlaces(&p)
	c.checkTokens(&p)
	c.checkMail(&p)
	c.Limits.check(&p)
	if _, err := c.clients(); err != nil {
		p.add("AUTH_CLIENTS", err)
	}
	roles, err := c.roles()
	p.add("AUTH_ROLES", err)
	c.checkFactors(&p, roles)
	p.refuse("LOG_LEVEL", !slices.Contains([]string{"debug", "info", "warn", "error"}, c.LogLevel), "is not debug, info, warn or error")
	p.refuse("AUTH_PASSWORD_MIN_LENGTH", c.PasswordMinLength < 8 || c.PasswordMinLength > 64, "is not within 8 and 64")
	p.refuse("AUTH_PASSWORD_HISTORY", c.PasswordHistory < 1 || c.PasswordHistory > auth.MaxPasswordHistory, "is not within 1 and 24")
	p.refuse("AUTH_HASH_CONCURRENCY", c.HashConcurrency < 0 || c.HashConcurrency > 1024, "is not within 0 and 1024")
	p.refuse("AUTH_ADMIN_PASSWORD", (c.AdminEmail == "") != (c.AdminPassword == ""), "and AUTH_ADMIN_EMAIL must be set together")
	p.refuse("AUTH_AUDIT_RETENTION", c.AuditRetention != 0 && c.AuditRetention < leastRetention, "is below 720h and not 0, which is for ever")
	return errors.Join(p...)
}

func (c *Config) checkPlaces(p *problems) {
	p.need("DATABASE_URL", c.DatabaseURL)
	scheme, _, _ := strings.Cut(c.DatabaseURL, ":")
	p.refuse("DATABASE_URL", c.DatabaseURL != "" && !slices.Contains([]string{"postgres", "postgresql", "sqlite"}, scheme),
		"must start with postgres:// or sqlite:")
	p.need("NATS_URL", c.NATSURL)
	p.need("REDIS_URL", c.RedisURL)
	p.refuse("NATS_PREFIX", !isPrefix(c.NATSPrefix), "must be words of letters, digits, - and _, with dots between them")
	p.refuse("NATS_REPLICAS", c.NATSReplicas < 0 || c.NATSReplicas > 5, "is not within 1 and 5")
	p.refuse("REDIS_PREFIX", c.RedisPrefix == "", "is empty")
	p.refuse("AUTH_ADDR", !isListenAddr(c.Addr), "is not of the form host:port or :port")
	p.refuse("AUTH_OPS_ADDR", !isListenAddr(c.OpsAddr), "is not of the form host:port or :port")
	p.refuse("OTEL_EXPORTER_OTLP_ENDPOINT", c.OTLPEndpoint != "" && !isHTTP(c.OTLPEndpoint), "is not an http or https URL")
	p.refuse("AUTH_OPS_ADDR", c.Addr == c.OpsAddr && !strings.HasSuffix(c.Addr, ":0"), "is the same as AUTH_ADDR")
	if p.need("AUTH_PUBLIC_URL", c.PublicURL) {
		p.refuse("AUTH_PUBLIC_URL", !isOrigin(strings.TrimSuffix(c.PublicURL, "/")), "is not of the form https://gateway.example.com")
	}
	for _, origin := range c.AllowedOrigins {
		p.refuse("AUTH_ALLOWED_ORIGINS", !isOrigin(origin), fmt.Sprintf("%q is not of the form https://app.example.com", origin))
	}
}

func (c *Config) checkTokens(p *problems) {
	p.need("AUTH_ISSUER", c.Issuer)
	p.need("AUTH_AUDIENCE", strings.Join(c.Audience, ""))
	p.refuse("AUTH_AUDIENCE", slices.Contains(c.Audience, "") && len(c.Audience) > 1, "has an empty element")
	if p.need("AUTH_ENCRYPTION_KEY", string(c.EncryptionKey)) {
		if _, err := c.encryptionKey(); err != nil {
			p.add("AUTH_ENCRYPTION_KEY", err)
		}
		if _, err := c.otherKeys(); err != nil {
			p.add("AUTH_ENCRYPTION_KEY_OTHERS", err)
		}
	}
	p.refuse("AUTH_SIGNING_ALG", !slices.Contains([]string{token.AlgEdDSA, token.AlgES256, token.AlgRS256}, c.SigningAlg),
		"is not EdDSA, ES256 or RS256")
	if _, err := c.importedKey(); err != nil {
		p.add("AUTH_SIGNING_KEY", err)
	}
	p.within("AUTH_ACCESS_TTL", c.AccessTTL, time.Second, token.DefaultMaxLifetime)
	p.within("AUTH_REFRESH_TTL", c.RefreshTTL, time.Second, maxSession)
	p.within("AUTH_SESSION_TTL", c.SessionTTL, time.Second, maxSession)
	p.refuse("AUTH_SESSION_TTL", c.SessionTTL < c.RefreshTTL, "is below AUTH_REFRESH_TTL")
	p.within("AUTH_REFRESH_GRACE", c.RefreshGrace, 0, auth.MaxRefreshGrace)
}

// maxSession is the longest that a session may live: browsers keep no cookie
// for longer (RFC 6265bis).
const maxSession = 400 * 24 * time.Hour

// leastRetention keeps audit events for longer than anybody needs to notice
// what they tell of.
const leastRetention = 30 * 24 * time.Hour

func (c *Config) checkMail(p *problems) {

	if p.need("AUTH_SMTP_URL", c.SMTPURL) {
		p.add("AUTH_SMTP_URL", mail.CheckURL(c.SMTPURL))
	}
	p.add("AUTH_MAIL_TEMPLATES", mail.CheckTemplates(c.MailTemplates))
	if p.need("AUTH_MAIL_FROM", c.MailFrom) {
		p.add("AUTH_MAIL_FROM", mail.CheckSender(c.MailFrom))
	}
}

// encryptionKey decodes the key, in any of the usual spellings of base64.
func (c *Config) encryptionKey() ([]byte, error) { return decodeKey(string(c.EncryptionKey)) }

// otherKeys decodes the keys that are known besides. Its errors repeat none.
func (c *Config) otherKeys() ([][]byte, error) {
	if c.EncryptionKeyOthers == "" {
		return nil, nil
	}
	var out [][]byte
	for i, text := range strings.Split(string(c.EncryptionKeyOthers), ",") {
		key, err := decodeKey(strings.TrimSpace(text))
		if err != nil {
			return nil, fmt.Errorf("element %d %w", i+1, err)
		}
		out = append(out, key)
	}
	return out, nil
}

func decodeKey(text string) ([]byte, error) {
	text = strings.TrimRight(strings.NewReplacer("-", "+", "_", "/").Replace(text), "=")
	key, err := base64.RawStdEncoding.DecodeString(text)
	if err != nil {
		return nil, errors.New("is not base64")
	}
	if len(key) != keys.EncryptionKeySize {
		return nil, fmt.Errorf("has %d bytes and not %d", len(key), keys.EncryptionKeySize)
	}
	return key, nil
}

// importedKey reads the key to sign with, or gives nil.
func (c *Config) importedKey() (*keys.Private, error) {
	if c.SigningKey == "" {
		return nil, nil //nolint:nilnil // no key is no failure
	}
	return keys.ParsePrivate([]byte(c.SigningKey))
}

// roles reads the file AUTH_ROLES.
func (c *Config) roles() (*role.Table, error) {
	if c.Roles == "" {
		return role.Open(), nil
	}
	return rolefile.Load(c.Roles)
}

// clients reads AUTH_CLIENTS. Its errors repeat no secret, even if somebody
// wrote one in the place of its hash.
func (c *Config) clients() ([]auth.Client, error) {
	var out []auth.Client
	for i, text := range c.Clients {
		parts := strings.Split(text, ":")
		anyClient := len(parts) == 3 && parts[2] == "any"
		if len(parts) != 2 && !anyClient || parts[0] == "" {
			return nil, fmt.Errorf("element %d is not of the form id:sha256 or id:sha256:any", i+1)
		}
		hash, err := hex.DecodeString(parts[1])
		if err != nil || len(hash) != 32 {
			return nil, fmt.Errorf("element %d: the hash is not a SHA-256 in hexadecimal", i+1)
		}
		if slices.ContainsFunc(out, func(o auth.Client) bool { return o.ID == parts[0] }) {
			return nil, fmt.Errorf("element %d names a client again", i+1)
		}
		out = append(out, auth.Client{ID: parts[0], SecretHash: hash, AnyClient: anyClient})
	}
	return out, nil
}
