package authapp

import (
	"fmt"
	"net"
	"net/url"
	"slices"
	"strings"
	"time"
)

// problems collects what is wrong, each with the name of its variable.
type problems []error

func (p *problems) add(name string, err error) {
	if err != nil {
		*p = append(*p, fmt.Errorf("%s: %w", name, err))
	}
}

func (p *problems) refuse(name string, bad bool, text string) {
	if bad {
		*p = append(*p, fmt.Errorf("%s %s", name, text))
	}
}

// need reports whether the value is there.
func (p *problems) need(name, value string) bool {
	p.refuse(name, value == "", "is required")
	return value != ""
}

func (p *problems) within(name string, value, least, most time.Duration) {
	p.refuse(name, value < least || value > most, fmt.Sprintf("%v is not within %v and %v", value, least, most))
}

func isListenAddr(text string) bool {
	_, port, err := net.SplitHostPort(text)
	return err == nil && port != ""
}

func isHTTP(text string) bool {
	u, err := url.Parse(text)
	return err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != ""
}

// isOrigin reports whether text is a scheme and a host, and nothing else.
func isOrigin(text string) bool {
	u, err := url.Parse(text)
	return isHTTP(text) && err == nil && u.Path == "" && u.User == nil && u.RawQuery == "" && u.Fragment == ""
}

func isPrefix(text string) bool {
	return !slices.ContainsFunc(strings.Split(text, "."), func(word string) bool {
		return word == "" || strings.ContainsFunc(word, func(r rune) bool {
			return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && r != '-' && r != '_'
		})
	})
}
