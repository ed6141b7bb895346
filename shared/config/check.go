package config

import (
	"fmt"
	"net"
	"net/url"
	"strings"
)

// Required refuses an empty value. The checks of this package name the variable
// and what is wrong with it, and return nil for what is right.
func Required(name, value string) error {
	if strings.TrimSpace(value) == "" {
		return fmt.Errorf("%s: is needed and not set", name)
	}
	return nil
}

// Addr refuses what cannot be listened on.
func Addr(name, addr string) error {
	if _, _, err := net.SplitHostPort(addr); err != nil {
		return fmt.Errorf("%s: %q is not an address such as :8080 or 127.0.0.1:8080", name, addr)
	}
	return nil
}

// HTTPURL refuses what is not the URL of an HTTP server. The value is not
// repeated, since a URL may hold a password.
func HTTPURL(name, address string) error {
	u, err := url.Parse(strings.TrimSpace(address))
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return fmt.Errorf("%s: must be a URL such as http://auth-service:8081", name)
	}
	return nil
}
