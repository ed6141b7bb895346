package userapp

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// goodEnviron is a configuration that can work.
func goodEnviron(more ...string) []string {
	return append([]string{
		"USER_AUTH_URL=http://a:8081, http://b:8081/", "USER_ISSUER=https://gatehouse.test", "USER_AUDIENCE=gatehouse-api",
		"DATABASE_URL=postgres://users:hunter2@db/users?sslmode=disable", "NATS_URL=nats://n:4222",
	}, more...)
}

func TestCommand_config(t *testing.T) {
	var out bytes.Buffer
	if err := Command(t.Context(), []string{"config", "check"}, goodEnviron(), &out, io.Discard); err != nil {
		t.Errorf("config check: %v", err)
	}
	out.Reset()
	if err := Command(t.Context(), []string{"config", "print"}, goodEnviron("LOG_LEVEL=debug"), &out, io.Discard); err != nil {
		t.Errorf("config print: %v", err)
	}
	for _, want := range []string{"USER_ADDR=:8082\n", "USER_OPS_ADDR=:9082\n", "LOG_LEVEL=DEBUG\n", "NATS_PREFIX=gatehouse\n", "users:***@db"} {
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
		{"nothing set", nil, []string{"USER_AUTH_URL", "USER_ISSUER", "USER_AUDIENCE", "DATABASE_URL", "NATS_URL"}},
		{"everything wrong", goodEnviron("USER_ADDR=8082", "USER_OPS_ADDR=x", "USER_AUTH_URL=auth:8081", "DATABASE_URL=mysql://x:hunter2@y",
			"NATS_PREFIX=a b", "LOG_LEVEL=loud", "OTEL_EXPORTER_OTLP_ENDPOINT=nowhere"),
			[]string{"USER_ADDR", "USER_OPS_ADDR", "USER_AUTH_URL", "DATABASE_URL", "NATS_PREFIX", "LOG_LEVEL", "OTEL_EXPORTER_OTLP_ENDPOINT"}},
		{"a misspelt variable", goodEnviron("USER_AUDIENZ=x"), []string{"USER_AUDIENZ"}},
		{"a file that is not there", goodEnviron("USER_ISSUER_FILE=/nowhere"), []string{"USER_ISSUER"}},
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
	t.Run("an unknown command", func(t *testing.T) {
		if err := Command(t.Context(), []string{"serve"}, goodEnviron(), io.Discard, io.Discard); err == nil {
			t.Error("it was accepted")
		}
	})
	t.Run("a value from a file", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "issuer")
		if err := os.WriteFile(path, []byte("https://from-a-file.test\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		environ := slices.DeleteFunc(goodEnviron("USER_ISSUER_FILE="+path), func(entry string) bool { return strings.HasPrefix(entry, "USER_ISSUER=") })
		if err := Command(t.Context(), []string{"config", "print"}, environ, &out, io.Discard); err != nil || !strings.Contains(out.String(), "USER_ISSUER=https://from-a-file.test\n") {
			t.Errorf("%v\n%s", err, out.String())
		}
	})
}

func TestConfig_keySetURLs(t *testing.T) {
	c := Config{AuthURL: []string{"http://a:8081", " http://b:8081/"}}
	if got := strings.Join(c.keySetURLs(), " "); got != "http://a:8081/.well-known/jwks.json http://b:8081/.well-known/jwks.json" {
		t.Errorf("%s", got)
	}
}
