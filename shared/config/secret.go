package config

import "log/slog"

// mask stands where a secret would be.
const mask = "***"

// Secret is a text that every usual way of printing hides; string(s) gives it.
type Secret string

// String hides the secret.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return mask
}

// GoString hides the secret from %#v.
func (s Secret) GoString() string { return `config.Secret("` + s.String() + `")` }

// LogValue hides the secret from slog.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText hides the secret from encoding/json and others.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }
