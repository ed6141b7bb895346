// Package config turns the environment into one settings struct per service.
//
// It decides where a value comes from: the variable X, else the file that
// X_FILE names, else the field's default; an empty variable counts as unset. It
// promises to report every problem at once, each with the name of its
// variable, and never to print a secret. It refuses what nobody can have
// meant: a misspelled variable with the service's prefix, or X beside X_FILE.
//
// A field is a setting when it has an env tag; structs nest:
//
//	type Config struct {
//		Addr    string        `env:"AUTH_ADDR" envDefault:":8081"`
//		TTL     time.Duration `env:"AUTH_ACCESS_TTL" envDefault:"15m"`
//		Key     config.Secret `env:"AUTH_ENCRYPTION_KEY"`
//		Proxies []netip.Prefix `env:"AUTH_TRUSTED_PROXIES"`
//	}
package config
