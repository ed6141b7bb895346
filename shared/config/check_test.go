package config_test

import (
	"strings"
	"testing"

	"gatehouse.internal/shared/config"
)

func TestChecks(t *testing.T) {
	for _, c := range []struct {
		name, value string
		check       func(name, value string) error
		good        bool
	}{
		{"a value", "x", config.Required, true},
		{"no value", "", config.Required, false},
		{"spaces alone", " \t", config.Required, false},
		{"a port", ":8080", config.Addr, true},
		{"a host and a port", "127.0.0.1:0", config.Addr, true},
		{"a host alone", "127.0.0.1", config.Addr, false},
		{"a URL", "http://auth-service:8081", config.HTTPURL, true},
		{"a URL with a path", "https://auth.example.com/base", config.HTTPURL, true},
		{"another scheme", "ftp://auth-service", config.HTTPURL, false},
		{"no host", "http://", config.HTTPURL, false},
		{"not a URL", "http://a b", config.HTTPURL, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := c.check("X_NAME", c.value)
			if (err == nil) != c.good {
				t.Fatalf("%q: %v", c.value, err)
			}
			if err != nil && !strings.HasPrefix(err.Error(), "X_NAME: ") {
				t.Errorf("the error does not name the variable: %v", err)
			}
		})
	}
	if err := config.HTTPURL("X_NAME", "ftp://user:secret@host"); strings.Contains(err.Error(), "secret") {
		t.Errorf("the error repeats a password: %v", err)
	}
}
