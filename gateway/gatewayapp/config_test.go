package gatewayapp

import (
	"bytes"
	"io"
	"strings"
	"testing"
)

// goodEnviron is a configuration that can work.
func goodEnviron(more ...string) []string {
	return append([]string{
		"GATEWAY_AUTH_URL=http://a:8081, http://b:8081/", "GATEWAY_USER_URL=http://u:8082", "GATEWAY_ISSUER=https://gatehouse.test",
		"GATEWAY_AUDIENCE=gatehouse-api", "NATS_URL=nats://n:4222", "REDIS_URL=redis://:hunter2@r:6379/0",
	}, more...)
}

func TestCommand_config(t *testing.T) {
	var out bytes.Buffer
	if err := Command(t.Context(), []string{"config", "check"}, goodEnviron(), &out, io.Discard); err != nil {
		t.Errorf("config check: %v", err)
	}
	out.Reset()
	environ := goodEnviron("GATEWAY_TRUSTED_PROXIES=10.0.0.0/8,fd00::/8", "GATEWAY_ALLOWED_ORIGINS=https://app.example.com", "GATEWAY_CREDENTIAL_LIMIT=0")
	if err := Command(t.Context(), []string{"config", "print"}, environ, &out, io.Discard); err != nil {
		t.Errorf("config print: %v", err)
	}
	for _, want := range []string{
		"GATEWAY_ADDR=:8080\n", "GATEWAY_OPS_ADDR=:9080\n", "GATEWAY_TRUSTED_PROXIES=10.0.0.0/8,fd00::/8\n", "GATEWAY_CREDENTIAL_LIMIT=0\n",
		"NATS_PREFIX=gatehouse\n", "REDIS_PREFIX=gatehouse\n", "***@r:6379",
	} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("config print lacks %q:\n%s", want, out.String())
		}
	}
	if strings.Contains(out.String(), "hunter2") {
		t.Errorf("config print shows the password:\n%s", out.String())
	}
}

func TestCommand_configProblems(t *testing.T) {
	for _, c := range []struct {
		name    string
		environ []string
		want    []string
	}{
		{"nothing set", nil, []string{"GATEWAY_AUTH_URL", "GATEWAY_USER_URL", "GATEWAY_ISSUER", "GATEWAY_AUDIENCE", "NATS_URL", "REDIS_URL"}},
		{
			"everything wrong", goodEnviron("GATEWAY_ADDR=8080", "GATEWAY_OPS_ADDR=x", "GATEWAY_NODE_ID=a.b", "GATEWAY_AUTH_URL=http://a/base", "GATEWAY_USER_URL=u:8082",
				"GATEWAY_JWKS_URL=nowhere", "GATEWAY_TRUSTED_PROXIES=10.0.0.0", "GATEWAY_ALLOWED_ORIGINS=*", "GATEWAY_CREDENTIAL_LIMIT=-1", "GATEWAY_TLS_CERT=c.pem",
				"GATEWAY_MAX_CONNECTIONS=-1",
				"GATEWAY_MAX_CONNECTIONS_PER_CLIENT=-1", "GATEWAY_DRAIN_DELAY=1h", "GATEWAY_DNS_REFRESH=1ms", "NATS_PREFIX=a b", "REDIS_URL=http://:hunter2@x", "LOG_LEVEL=loud", "OTEL_EXPORTER_OTLP_ENDPOINT=nowhere"),
			[]string{
				"GATEWAY_ADDR", "GATEWAY_OPS_ADDR", "GATEWAY_NODE_ID", "GATEWAY_AUTH_URL", "GATEWAY_USER_URL", "GATEWAY_JWKS_URL", "GATEWAY_TRUSTED_PROXIES",
				"GATEWAY_ALLOWED_ORIGINS", "GATEWAY_CREDENTIAL_LIMIT", "GATEWAY_TLS_CERT", "GATEWAY_MAX_CONNECTIONS:", "GATEWAY_MAX_CONNECTIONS_PER_CLIENT:",
				"GATEWAY_DRAIN_DELAY", "GATEWAY_DNS_REFRESH", "NATS_PREFIX", "REDIS_URL", "LOG_LEVEL", "OTEL_EXPORTER_OTLP_ENDPOINT",
			},
		},
		{"a certificate that is not there", goodEnviron("GATEWAY_TLS_CERT=/nowhere/c.pem", "GATEWAY_TLS_KEY=/nowhere/k.pem"), []string{"GATEWAY_TLS_CERT", "/nowhere/c.pem"}},
		{"ACME without hosts", goodEnviron("GATEWAY_ACME_CACHE=/var/lib/acme"), []string{"GATEWAY_ACME_HOSTS: missing"}},
		{
			"ACME that cannot work", goodEnviron("GATEWAY_ACME_HOSTS=*.example.com, localhost,a.example.com,a.example.com,192.0.2.1", "GATEWAY_ACME_CACHE=acme", "GATEWAY_ACME_DIRECTORY=http://ca/",
				"GATEWAY_ACME_CA=/nowhere/ca.pem", "GATEWAY_TLS_CERT=/nowhere/c.pem", "GATEWAY_TLS_KEY=/nowhere/k.pem"),
			[]string{`"*.example.com" is not`, `"localhost" is not`, `"192.0.2.1" is not`, "a.example.com appears twice", "GATEWAY_ACME_CACHE", "GATEWAY_ACME_DIRECTORY", "GATEWAY_ACME_CA", "not both"},
		},
		{"a misspelt variable", goodEnviron("GATEWAY_AUDIENZ=x"), []string{"GATEWAY_AUDIENZ"}},
		{"a file that is not there", goodEnviron("GATEWAY_ISSUER_FILE=/nowhere"), []string{"GATEWAY_ISSUER"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := Command(t.Context(), []string{"config", "check"}, c.environ, io.Discard, io.Discard)
			if err == nil {
				t.Fatal("it was accepted")
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("%q is not named in:\n%v", want, err)
				}
			}
			if strings.Contains(err.Error(), "hunter2") {
				t.Errorf("the password is told:\n%v", err)
			}
		})
	}
}

func TestConfig_complete(t *testing.T) {
	c := Config{AuthURL: []string{"http://a:8081", "http://b:8081/"}}
	c.complete()
	if got := strings.Join(c.JWKSURL, " "); got != "http://a:8081/.well-known/jwks.json http://b:8081/.well-known/jwks.json" {
		t.Errorf("key sets at %s", got)
	}
	var other Config
	other.complete()
	if c.NodeID == "" || c.NodeID == other.NodeID || checkNode(c.NodeID) != nil {
		t.Errorf("node ids %q and %q", c.NodeID, other.NodeID)
	}
}

// Who mistypes a command is told of all that there are.
func TestCommand_unknown(t *testing.T) {
	for _, args := range [][]string{{"--help"}, {"serve", "now"}, {"route", "lint"}} {
		err := Command(t.Context(), args, goodEnviron(), io.Discard, io.Discard)
		if err == nil || !strings.Contains(err.Error(), strings.Join(args, " ")) || !strings.Contains(err.Error(), "config check") || !strings.Contains(err.Error(), "routes") {
			t.Errorf("%q: %v", args, err)
		}
	}
}
