package config

import (
	"errors"
	"fmt"
	"reflect"
	"time"

	"github.com/caarlos0/env/v11"
)

// validator is what a settings struct has when single values are not all there
// is to check. Its problems name the variables and hold no secret.
type validator interface{ Validate() error }

// Load fills the struct that cfg points to from environ ("X=value" entries, as
// os.Environ gives them). It returns every problem in one joined error: a value
// that cannot be read, a file that cannot be read, a variable that starts with
// one of the prefixes but is no setting, and what cfg.Validate reports. A
// value that cannot be read leaves the default, so that Validate can go on.
func Load(cfg any, environ []string, prefixes ...string) error {
	known, err := settings(cfg)
	if err != nil {
		return err
	}
	values, problems := collect(known, environ, prefixes)
	for _, s := range known {
		value, given := values[s.name]
		if !given || readable(cfg, s.name, value) {
			continue
		}
		problems = append(problems, s.unreadable(value))
		delete(values, s.name)
	}
	if err := env.ParseWithOptions(cfg, env.Options{Environment: values}); err != nil {
		problems = append(problems, fmt.Errorf("config: defaults of %T: %w", cfg, err))
		return errors.Join(problems...)
	}
	if v, ok := cfg.(validator); ok {
		problems = append(problems, v.Validate())
	}
	return errors.Join(problems...)
}

// readable reports whether value alone can be read into its field. It tries on
// a copy of the struct, because the parser's own errors name the Go field and
// show the value.
func readable(cfg any, name, value string) bool {
	trial := reflect.New(reflect.TypeOf(cfg).Elem()).Interface()
	return env.ParseWithOptions(trial, env.Options{Environment: map[string]string{name: value}}) == nil
}

// unreadable says what is wrong with a value, without showing a secret.
func (s setting) unreadable(value string) error {
	if s.secret {
		return fmt.Errorf("%s: the value is not %s", s.name, kindName(s.value.Type()))
	}
	return fmt.Errorf("%s: %q is not %s", s.name, maskURLs(value), kindName(s.value.Type()))
}

// kindName describes a type in the words of an operator.
func kindName(t reflect.Type) string {
	if t == reflect.TypeFor[time.Duration]() {
		return "a duration such as 15m or 1h30m"
	}
	switch t.Kind() {
	case reflect.Bool:
		return "true or false"
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return "a whole number in range"
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return "a whole number in range, 0 or more"
	case reflect.Float32, reflect.Float64:
		return "a number"
	case reflect.Slice:
		return "a list of which each element is " + kindName(t.Elem())
	}
	return "a valid " + t.String()
}
