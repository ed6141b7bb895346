package authapp_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gatehouse.internal/auth-service/authapp"
	"gatehouse.internal/shared/config"
)

// environment is the least that must be set.
func environment(more ...string) []string {
	return append([]string{
		"DATABASE_URL=postgres://auth:dbsecret@db.internal/auth?sslmode=verify-full",
		"NATS_URL=nats://nats.internal:4222", "REDIS_URL=redis://:redissecret@redis.internal:6379/0",
		"AUTH_ISSUER=https://gateway.example.com", "AUTH_AUDIENCE=gatehouse", "AUTH_PUBLIC_URL=https://gateway.example.com",
		"AUTH_ENCRYPTION_KEY=BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=",
		"AUTH_SMTP_URL=smtp://user:mailsecret@mail.internal:587", "AUTH_MAIL_FROM=Gatehouse <no-reply@example.com>",
		"PATH=/usr/bin", "GATEWAY_ADDR=:8080", // what is not ours is left alone
	}, more...)
}

func load(environ []string) (authapp.Config, error) {
	var c authapp.Config
	err := config.Load(&c, environ, authapp.Prefix)
	return c, err
}

func TestConfig_defaults_are_those_of_the_contract(t *testing.T) {
	c, err := load(environment())
	if err != nil {
		t.Fatal(err)
	}
	if c.Addr != ":8081" || c.OpsAddr != ":9081" || c.SigningAlg != "EdDSA" || c.AccessTTL != 15*time.Minute ||
		c.RefreshTTL != 7*24*time.Hour || c.SessionTTL != 30*24*time.Hour || c.RefreshGrace != time.Minute || c.PasswordMinLength != 15 {
		t.Errorf("defaults %+v", c)
	}
	if d := authapp.Defaults(); d.Addr != c.Addr || d.RefreshGrace != c.RefreshGrace || len(d.TrustedProxies) != 6 {
		t.Errorf("Defaults gives %+v", d)
	}
}

func TestConfig_reports_every_problem_at_once(t *testing.T) {
	_, err := load(nil)
	if err == nil {
		t.Fatal("nothing is accepted")
	}
	for _, name := range []string{
		"DATABASE_URL", "NATS_URL", "REDIS_URL", "AUTH_ISSUER", "AUTH_AUDIENCE", "AUTH_PUBLIC_URL", "AUTH_ENCRYPTION_KEY", "AUTH_SMTP_URL", "AUTH_MAIL_FROM",
	} {
		if !strings.Contains(err.Error(), name+" is required") {
			t.Errorf("%s is not reported in:\n%v", name, err)
		}
	}
}

func TestConfig_refuses(t *testing.T) {
	hash := strings.Repeat("ab", 32)
	for _, c := range []struct{ name, variable, want string }{
		{"an unknown variable", "AUTH_ACCES_TTL=5m", "did you mean AUTH_ACCESS_TTL"},
		{"another database", "DATABASE_URL=mysql://x", "DATABASE_URL must start with"},
		{"a path in the public URL", "AUTH_PUBLIC_URL=https://x.example/auth", "AUTH_PUBLIC_URL is not of the form"},
		{"a public URL without scheme", "AUTH_PUBLIC_URL=gateway.example.com", "AUTH_PUBLIC_URL is not of the form"},
		{"an origin that is none", "AUTH_ALLOWED_ORIGINS=https://a.example,*", `AUTH_ALLOWED_ORIGINS "*"`},
		{"a proxy that is none", "AUTH_TRUSTED_PROXIES=all", "AUTH_TRUSTED_PROXIES"},
		{"a prefix that no subject may have", "NATS_PREFIX=a b", "NATS_PREFIX"},
		{"an address without a port", "AUTH_ADDR=8081", "AUTH_ADDR is not of the form"},
		{"a collector that is none", "OTEL_EXPORTER_OTLP_ENDPOINT=nowhere", "OTEL_EXPORTER_OTLP_ENDPOINT is not"},
		{"one address for both", "AUTH_OPS_ADDR=:8081", "AUTH_OPS_ADDR is the same"},
		{"a key that is not base64", "AUTH_ENCRYPTION_KEY=hunter2!", "AUTH_ENCRYPTION_KEY: is not base64"},
		{"another key that is none", "AUTH_ENCRYPTION_KEY_OTHERS=BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc,hunter2", "AUTH_ENCRYPTION_KEY_OTHERS: element 2"},
		{"a short key", "AUTH_ENCRYPTION_KEY=aHVudGVyMg==", "AUTH_ENCRYPTION_KEY: has 7 bytes"},
		{"another algorithm", "AUTH_SIGNING_ALG=HS256", "AUTH_SIGNING_ALG is not"},
		{"a signing key that is none", "AUTH_SIGNING_KEY=hunter2", "AUTH_SIGNING_KEY"},
		{"a long access token", "AUTH_ACCESS_TTL=2h", "AUTH_ACCESS_TTL 2h0m0s is not within 1s and 1h0m0s"},
		{"no life", "AUTH_REFRESH_TTL=0s", "AUTH_REFRESH_TTL"},
		{"a session that ends before it may rest", "AUTH_SESSION_TTL=1h", "AUTH_SESSION_TTL is below AUTH_REFRESH_TTL"},
		{"an endless session", "AUTH_SESSION_TTL=20000h", "AUTH_SESSION_TTL"},
		{"S-R3 a long grace", "AUTH_REFRESH_GRACE=1h", "AUTH_REFRESH_GRACE"},
		{"short passwords", "AUTH_PASSWORD_MIN_LENGTH=7", "AUTH_PASSWORD_MIN_LENGTH is not within 8 and 64"},
		{"a limit that is none", "AUTH_LIMIT_ACCOUNT=10", "AUTH_LIMIT_ACCOUNT"},
		{"a limit over a moment", "AUTH_LIMIT_DEVICE=10/1s", "AUTH_LIMIT_DEVICE: the period 1s is not within"},
		{"a limit that bounds nothing", "AUTH_LIMIT_ADDRESS=1000000/15m", "AUTH_LIMIT_ADDRESS: 1000000 tries are not within"},
		{"letters without a bound", "AUTH_LIMIT_LETTERS_TO=none", "AUTH_LIMIT_LETTERS_TO is none"},
		{"no memory of passwords", "AUTH_PASSWORD_HISTORY=0", "AUTH_PASSWORD_HISTORY is not within 1 and 24"},
		{"no hashing at all", "AUTH_HASH_CONCURRENCY=-1", "AUTH_HASH_CONCURRENCY"},
		{"a password over plain SMTP", "AUTH_SMTP_URL=smtp://u:hunter2@h?tls=off", "AUTH_SMTP_URL: tls=off would send the password in clear"},
		{"letters that are not there", "AUTH_MAIL_TEMPLATES=/nowhere/at/all", "AUTH_MAIL_TEMPLATES: read mail templates"},
		{"a sender that is none", "AUTH_MAIL_FROM=nobody", "AUTH_MAIL_FROM"},
		{"a level that is none", "LOG_LEVEL=loud", "LOG_LEVEL"},
		{"half an administrator", "AUTH_ADMIN_EMAIL=root@example.com", "AUTH_ADMIN_PASSWORD and AUTH_ADMIN_EMAIL must be set together"},
		{"a client with its secret", "AUTH_CLIENTS=ops:hunter2", "AUTH_CLIENTS: element 1"},
		{"a client without a name", "AUTH_CLIENTS=:" + hash, "AUTH_CLIENTS: element 1"},
		{"a client twice", "AUTH_CLIENTS=a:" + hash + ",a:" + hash, "AUTH_CLIENTS: element 2"},
		{"a client with a wish that is unknown", "AUTH_CLIENTS=a:" + hash + ":all", "AUTH_CLIENTS: element 1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := load(environment(c.variable))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("got %v, want %q", err, c.want)
			}
			if strings.Contains(err.Error(), "hunter2") {
				t.Errorf("the error repeats a secret: %v", err)
			}
		})
	}
}

func TestConfig_roles_with_a_second_factor_are_those_of_the_file(t *testing.T) {
	write := func(text string) string {
		path := filepath.Join(t.TempDir(), "roles.yaml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return "AUTH_ROLES=" + path
	}
	file := write("roles:\n  finance: { permissions: [bills:pay] }\n  lead: { inherits: [finance] }\n")
	given := write("roles:\n  finance: { permissions: [bills:pay] }\n  lead: { inherits: [finance] }\n  user: { inherits: [lead] }\n")
	for _, c := range []struct{ name, file, roles, want string }{
		{"those that there are", file, "finance,admin", ""},
		{"any name without a file", "AUTH_ROLES=", "finnance", ""},
		{"a name that is none", file, "Finance", `AUTH_MFA_REQUIRED_ROLES "Finance" is not the name of a role`},
		{"an unknown one", file, "lead,finnance", "AUTH_MFA_REQUIRED_ROLES names the role finnance, which AUTH_ROLES does not define"},
		{"the one of everybody", file, "user", "AUTH_MFA_REQUIRED_ROLES names the role user, which everybody has"},
		{"one that everybody inherits from", given, "finance", "AUTH_MFA_REQUIRED_ROLES names the role finance, which everybody has"},
		{"a file that cannot be read", "AUTH_ROLES=/nowhere/at/all", "finance", "AUTH_ROLES: "},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := load(environment(c.file, "AUTH_MFA_REQUIRED_ROLES="+c.roles))
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

func TestConfig_takes(t *testing.T) {
	hash := strings.Repeat("ab", 32)
	for _, variable := range []string{
		"AUTH_CLIENTS=gatehouse:" + hash + ",ops:" + hash + ":any", "AUTH_REFRESH_GRACE=0s", "AUTH_LIMIT_ACCOUNT=none", "AUTH_PUBLIC_URL=http://127.0.0.1:8080/",
		"AUTH_ENCRYPTION_KEY=BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc", "AUTH_ADDR=127.0.0.1:0", "AUTH_ALLOWED_ORIGINS=https://app.example.com",
	} {
		if _, err := load(environment(variable)); err != nil {
			t.Errorf("%s: %v", variable, err)
		}
	}
}

func TestMain_config_commands(t *testing.T) {
	keyFile := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(keyFile, []byte("BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var environ []string
	for _, v := range environment("AUTH_ENCRYPTION_KEY_FILE="+keyFile, "AUTH_ADMIN_EMAIL=root@example.com", "AUTH_ADMIN_PASSWORD=adminsecret") {
		if !strings.HasPrefix(v, "AUTH_ENCRYPTION_KEY=") {
			environ = append(environ, v)
		}
	}
	var stdout, stderr bytes.Buffer
	if err := authapp.Main(t.Context(), []string{"config", "check"}, environ, &stdout, &stderr); err != nil {
		t.Fatal(err)
	}
	stdout.Reset()
	if err := authapp.Main(t.Context(), []string{"config", "print"}, environ, &stdout, &stderr); err != nil {
		t.Fatal(err)
	}
	text := stdout.String()
	for _, want := range []string{"AUTH_ADDR=:8081", "AUTH_ENCRYPTION_KEY=***", "AUTH_ADMIN_PASSWORD=***", "AUTH_ACCESS_TTL=15m0s", "AUTH_SMTP_URL=smtp://user:***@mail.internal:587"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing in\n%s", want, text)
		}
	}
	for _, secret := range []string{"dbsecret", "redissecret", "mailsecret", "adminsecret", "BwcHBwc"} {
		if strings.Contains(text, secret) {
			t.Errorf("config print shows %q", secret)
		}
	}
	if err := authapp.Main(t.Context(), []string{"config", "check"}, environment("AUTH_NOPE=1"), &stdout, &stderr); err == nil {
		t.Error("config check accepts an unknown setting")
	}
	if err := authapp.Main(t.Context(), []string{"serve"}, environ, &stdout, &stderr); err == nil {
		t.Error("unknown arguments are accepted")
	}
}
