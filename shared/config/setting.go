package config

import (
	"encoding"
	"fmt"
	"reflect"
	"strings"
)

// setting is one field with an env tag.
type setting struct {
	name      string // of the variable
	secret    bool
	separator string // between the elements of a list
	value     reflect.Value
}

// settings lists the fields of the struct that cfg points to.
func settings(cfg any) ([]setting, error) {
	v := reflect.ValueOf(cfg)
	if v.Kind() != reflect.Pointer || v.IsNil() || v.Elem().Kind() != reflect.Struct {
		return nil, fmt.Errorf("config: %T is not a pointer to a struct", cfg)
	}
	return appendSettings(nil, v.Elem(), ""), nil
}

func appendSettings(out []setting, v reflect.Value, prefix string) []setting {
	for field, value := range v.Fields() {
		if !field.IsExported() {
			continue
		}
		name, _, _ := strings.Cut(field.Tag.Get("env"), ",")
		if name == "" || name == "-" {
			if value.Kind() == reflect.Struct && name == "" && !isText(value) {
				out = appendSettings(out, value, prefix+field.Tag.Get("envPrefix"))
			}
			continue
		}
		_, secret := value.Interface().(Secret)
		separator := field.Tag.Get("envSeparator")
		if separator == "" {
			separator = ","
		}
		out = append(out, setting{
			name:      prefix + name,
			secret:    secret || field.Tag.Get("secret") == "true",
			separator: separator,
			value:     value,
		})
	}
	return out
}

// isText reports whether a struct is one value in text, not a group of settings.
func isText(v reflect.Value) bool {
	_, ok := v.Addr().Interface().(encoding.TextUnmarshaler)
	return ok
}

// text gives the value as one would write it in the environment.
func (s setting) text() string {
	if s.value.Kind() != reflect.Slice {
		return fmt.Sprint(s.value.Interface())
	}
	parts := make([]string, s.value.Len())
	for i := range parts {
		parts[i] = fmt.Sprint(s.value.Index(i).Interface())
	}
	return strings.Join(parts, s.separator)
}
