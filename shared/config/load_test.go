package config_test

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"gatehouse.internal/shared/config"
)

// broker is a group of settings, as shared packages define them.
type broker struct {
	URL   string        `env:"NATS_URL" envDefault:"nats://127.0.0.1:4222"`
	Creds config.Secret `env:"NATS_CREDS"`
}

type service struct {
	Addr    string         `env:"AUTH_ADDR" envDefault:":8081"`
	TTL     time.Duration  `env:"AUTH_ACCESS_TTL" envDefault:"15m"`
	Limit   int            `env:"AUTH_LIMIT" envDefault:"100"`
	Debug   bool           `env:"AUTH_DEBUG"`
	Key     config.Secret  `env:"AUTH_ENCRYPTION_KEY"`
	PIN     int            `env:"AUTH_PIN" secret:"true"`
	Proxies []netip.Prefix `env:"AUTH_TRUSTED_PROXIES" envDefault:"127.0.0.0/8,::1/128"`
	Peers   []string       `env:"AUTH_PEERS"`
	Broker  broker

	unexported string //nolint:unused // shows that such fields are left alone
}

// Validate is the service's own rule.
func (s *service) Validate() error {
	if s.TTL > time.Hour {
		return errors.New("AUTH_ACCESS_TTL: 2h is not within 1s and 1h")
	}
	return nil
}

func defaults() service {
	return service{
		Addr: ":8081", TTL: 15 * time.Minute, Limit: 100,
		Proxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8"), netip.MustParsePrefix("::1/128")},
		Broker:  broker{URL: "nats://127.0.0.1:4222"},
	}
}

func compare(t *testing.T, got, want service) {
	t.Helper()
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(netip.Prefix{}, service{}), cmpopts.EquateComparable(netip.Prefix{})); diff != "" {
		t.Errorf("settings (-want +got):\n%s", diff)
	}
}

func TestLoad_values(t *testing.T) {
	file := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(file, []byte("from a file\r\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name    string
		environ []string
		change  func(*service)
	}{
		{"an empty environment gives the defaults", nil, func(*service) {}},
		{"an empty variable counts as unset", []string{"AUTH_ADDR=", "AUTH_LIMIT=", "AUTH_ENCRYPTION_KEY_FILE="}, func(*service) {}},
		{"a variable wins over the default", []string{"AUTH_ACCESS_TTL=10m", "AUTH_LIMIT=0"},
			func(s *service) { s.TTL, s.Limit = 10*time.Minute, 0 }},
		{"a value may hold an equals sign", []string{"AUTH_ENCRYPTION_KEY=a=b=="},
			func(s *service) { s.Key = "a=b==" }},
		{"a list is split at commas", []string{"AUTH_TRUSTED_PROXIES=10.0.0.0/8", "AUTH_PEERS=a,b"},
			func(s *service) {
				s.Proxies, s.Peers = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, []string{"a", "b"}
			}},
		{"a group of settings is read too", []string{"NATS_URL=nats://n:1", "NATS_CREDS=c"},
			func(s *service) { s.Broker = broker{URL: "nats://n:1", Creds: "c"} }},
		{"a file gives a value without its line end", []string{"AUTH_ENCRYPTION_KEY_FILE=" + file},
			func(s *service) { s.Key = "from a file" }},
		{"variables of others are left alone", []string{"HOME=/root", "AUTHOR=me", "USER_ADDR=:1", "nonsense"}, func(*service) {}},
		{"of two entries the last one counts, as in a shell", []string{"AUTH_LIMIT=1", "AUTH_LIMIT=2"},
			func(s *service) { s.Limit = 2 }},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got service
			if err := config.Load(&got, c.environ, "AUTH_"); err != nil {
				t.Fatalf("Load: %v", err)
			}
			want := defaults()
			c.change(&want)
			compare(t, got, want)
		})
	}
}

func TestLoad_problems(t *testing.T) {
	dir := t.TempDir()
	large := filepath.Join(dir, "large")
	if err := os.WriteFile(large, make([]byte, 1<<20+1), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name    string
		environ []string
		want    []string // one line each
	}{
		{"a misspelled name is an error and the right one is suggested", []string{"AUTH_ACESS_TTL=1m"},
			[]string{"AUTH_ACESS_TTL: there is no such setting; did you mean AUTH_ACCESS_TTL?"}},
		{"a misspelled name of a file is an error too", []string{"AUTH_ADR_FILE=/x"},
			[]string{"AUTH_ADR_FILE: there is no such setting; did you mean AUTH_ADDR?"}},
		{"a name that is like no other gets no suggestion", []string{"AUTH_SOMETHING_ELSE=1"},
			[]string{"AUTH_SOMETHING_ELSE: there is no such setting"}},
		{"a value of the wrong type names its variable", []string{"AUTH_ACCESS_TTL=15"},
			[]string{`AUTH_ACCESS_TTL: "15" is not a duration such as 15m or 1h30m`}},
		{"a list names what its elements are", []string{"AUTH_TRUSTED_PROXIES=10.0.0.1"},
			[]string{`AUTH_TRUSTED_PROXIES: "10.0.0.1" is not a list of which each element is a valid netip.Prefix`}},
		{"a number too large is refused", []string{"AUTH_LIMIT=99999999999"},
			[]string{`AUTH_LIMIT: "99999999999" is not a whole number in range`}},
		{"a secret of the wrong type is not shown", []string{"AUTH_PIN=hunter2"},
			[]string{"AUTH_PIN: the value is not a whole number in range"}},
		{"both spellings at once are refused", []string{"AUTH_ADDR=:1", "AUTH_ADDR_FILE=/x"},
			[]string{"AUTH_ADDR: both it and AUTH_ADDR_FILE are set"}},
		{"a file that is not there names its variable", []string{"AUTH_ENCRYPTION_KEY_FILE=" + dir + "/none"},
			[]string{"AUTH_ENCRYPTION_KEY_FILE: open " + dir + "/none: no such file or directory"}},
		{"a file that is too large is refused", []string{"AUTH_ENCRYPTION_KEY_FILE=" + large},
			[]string{"AUTH_ENCRYPTION_KEY_FILE: " + large + " is larger than 1048576 bytes"}},
		{"a directory is no file", []string{"AUTH_ENCRYPTION_KEY_FILE=" + dir},
			[]string{"AUTH_ENCRYPTION_KEY_FILE: read " + dir + ": is a directory"}},
		{"what Validate finds is reported", []string{"AUTH_ACCESS_TTL=2h"},
			[]string{"AUTH_ACCESS_TTL: 2h is not within 1s and 1h"}},
		{"all problems come at once", []string{"AUTH_ACCESS_TTL=2h", "AUTH_DEBUG=maybe", "AUTH_LIMIT=x", "AUTH_X=1"},
			[]string{
				"AUTH_X: there is no such setting",
				`AUTH_LIMIT: "x" is not a whole number in range`,
				`AUTH_DEBUG: "maybe" is not true or false`,
				"AUTH_ACCESS_TTL: 2h is not within 1s and 1h",
			}},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := config.Load(new(service), c.environ, "AUTH_")
			if err == nil {
				t.Fatal("Load accepted it")
			}
			if diff := cmp.Diff(strings.Join(c.want, "\n"), err.Error()); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
		})
	}
}

func TestLoad_a_value_that_cannot_be_read_leaves_the_default(t *testing.T) {
	var got service
	if err := config.Load(&got, []string{"AUTH_LIMIT=x", "AUTH_ADDR=:1"}, "AUTH_"); err == nil {
		t.Fatal("Load accepted it")
	}
	want := defaults()
	want.Addr = ":1"
	compare(t, got, want)
}

func TestLoad_kinds_are_described_in_words(t *testing.T) {
	type kinds struct {
		Float float64 `env:"T_FLOAT"`
		Uint  uint16  `env:"T_UINT"`
	}
	err := config.Load(new(kinds), []string{"T_FLOAT=x", "T_UINT=-1"}, "T_")
	want := "T_FLOAT: \"x\" is not a number\nT_UINT: \"-1\" is not a whole number in range, 0 or more"
	if err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestLoad_a_URL_with_a_password_is_masked_in_an_error(t *testing.T) {
	type urls struct {
		Ports []int `env:"T_PORTS"`
	}
	err := config.Load(new(urls), []string{"T_PORTS=redis://:hunter2@host:1"}, "T_")
	if err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("got %v, want an error without the password", err)
	}
}

func TestLoad_mistakes_of_the_programmer_are_errors(t *testing.T) {
	type badDefault struct {
		N int `env:"T_N" envDefault:"x"`
	}
	for name, cfg := range map[string]any{
		"not a pointer":         service{},
		"nil":                   (*service)(nil),
		"not a struct":          new(int),
		"an impossible default": &badDefault{},
	} {
		if err := config.Load(cfg, nil); err == nil {
			t.Errorf("%s: Load accepted it", name)
		}
	}
}
