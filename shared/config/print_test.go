package config_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gatehouse.internal/shared/config"
)

func TestPrint_shows_every_setting_and_no_secret(t *testing.T) {
	var cfg service
	err := config.Load(&cfg, []string{
		"AUTH_ENCRYPTION_KEY=hunter2", "AUTH_PIN=1234", "AUTH_PEERS=http://a,http://u:hunter2@b",
		"NATS_URL=nats://user:hunter2@n:4222", "AUTH_ADDR=a b\n",
	}, "AUTH_")
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if err := config.Print(&out, &cfg); err != nil {
		t.Fatal(err)
	}
	want := `AUTH_ADDR="a b\n"
AUTH_ACCESS_TTL=15m0s
AUTH_LIMIT=100
AUTH_DEBUG=false
AUTH_ENCRYPTION_KEY=***
AUTH_PIN=***
AUTH_TRUSTED_PROXIES=127.0.0.0/8,::1/128
AUTH_PEERS=http://a,http://u:***@b
NATS_URL=nats://user:***@n:4222
NATS_CREDS=
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("printed (-want +got):\n%s", diff)
	}
}

func TestPrint_masks_what_hides_in_URLs(t *testing.T) {
	type database struct {
		URL string `env:"DATABASE_URL"`
	}
	for _, c := range []struct{ name, url, want string }{
		{"a password", "postgres://u:hunter2@h/db?sslmode=disable", "postgres://u:***@h/db?sslmode=disable"},
		{"a password without a user", "redis://:hunter2@h:6379", "redis://:***@h:6379"},
		{"a password in the query", "postgres://h/db?password=hunter2&x=1", "postgres://h/db?password=***&x=1"},
		{"a token in the query", "https://h/?access_token=hunter2", "https://h/?access_token=***"},
		{"what cannot be read", "postgres://u:hunter2%zz@h/", "***"},
		{"an address without secrets stays", "smtp://mail:587", "smtp://mail:587"},
		{"a user without password stays", "postgres://u@h/db", "postgres://u@h/db"},
		{"what is no URL stays", "sqlite:./data.db", "sqlite:./data.db"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var out strings.Builder
			if err := config.Print(&out, &database{URL: c.url}); err != nil {
				t.Fatal(err)
			}
			if got := strings.TrimSpace(out.String()); got != "DATABASE_URL="+c.want {
				t.Errorf("got %s, want DATABASE_URL=%s", got, c.want)
			}
		})
	}
}

func TestSecret_is_hidden_from_every_usual_way_of_printing(t *testing.T) {
	secret := config.Secret("hunter2")
	var log strings.Builder
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "key", secret)
	encoded, err := json.Marshal(map[string]any{"key": secret})
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{
		fmt.Sprint(secret), fmt.Sprintf("%v %+v %#v %s %q", secret, secret, secret, secret, secret),
		fmt.Sprintf("%+v", struct{ Key config.Secret }{secret}), log.String(), string(encoded),
	} {
		if strings.Contains(text, "hunter2") {
			t.Errorf("the secret shows in %s", text)
		}
	}
	if got := config.Secret("").String(); got != "" {
		t.Errorf("an empty secret prints as %q; one should see that it is not set", got)
	}
}

func TestCommand(t *testing.T) {
	for _, c := range []struct {
		name, args, environ string
		done                bool
		out, err            string
	}{
		{name: "no arguments load"},
		{name: "check is content", args: "config check", done: true, out: "configuration is good\n"},
		{name: "check prints every problem", args: "config check", environ: "AUTH_LIMIT=x", done: true, err: `AUTH_LIMIT: "x" is not a whole number in range`},
		{name: "print shows the settings", args: "config print", done: true, out: "AUTH_LIMIT=100\n"},
		{name: "unknown arguments are an error", args: "serve now", done: true, err: `unknown arguments "serve now"`},
		{name: "a bad environment stops the program", environ: "AUTH_LIMIT=x", done: true, err: "AUTH_LIMIT"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var out strings.Builder
			done, err := config.Command(new(service), strings.Fields(c.args), []string{c.environ}, &out, "AUTH_")
			if done != c.done || !strings.Contains(out.String(), c.out) || (c.out == "" && out.Len() > 0) {
				t.Errorf("got done %v, output %q; want %v, %q", done, out.String(), c.done, c.out)
			}
			if (c.err == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), c.err) {
				t.Errorf("got error %v, want %q", err, c.err)
			}
		})
	}
}

type brokenPipe struct{}

func (brokenPipe) Write([]byte) (int, error) { return 0, errors.New("broken pipe") }

func TestCommand_output_that_cannot_be_written_is_an_error(t *testing.T) {
	for _, args := range [][]string{{"config", "check"}, {"config", "print"}} {
		if done, err := config.Command(new(service), args, nil, brokenPipe{}, "AUTH_"); err == nil || !done {
			t.Errorf("%v: got done %v, error %v", args, done, err)
		}
	}
}

func ExampleLoad() {
	var cfg struct {
		Addr string        `env:"AUTH_ADDR" envDefault:":8081"`
		Key  config.Secret `env:"AUTH_KEY"`
	}
	err := config.Load(&cfg, []string{"AUTH_KEY=hunter2", "AUTH_ADR=:1"}, "AUTH_")
	fmt.Println(cfg.Addr, cfg.Key)
	fmt.Println(err)
	// Output:
	// :8081 ***
	// AUTH_ADR: there is no such setting; did you mean AUTH_ADDR?
}
