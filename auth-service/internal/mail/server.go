package mail

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// security says how the way to the mail server is protected.
type security int

const (
	startTLS    security = iota // plain greeting, then TLS, or no mail at all
	implicitTLS                 // TLS from the first byte (smtps)
	plain                       // no TLS: loopback, or asked for by ?tls=off
)

// server is a mail server as its URL describes it.
type server struct {
	host     string
	port     int
	user     string
	password string
	security security
}

// CheckURL reports what is wrong with the URL of a mail server. Its error
// never repeats the URL, which may hold a password.
func CheckURL(text string) error {
	_, err := parseURL(text)
	return err
}

// parseURL reads smtp://user:password@host:587 and smtps://host:465. A
// password never travels in clear, and letters hold tokens: without TLS only
// a loopback server is spoken to, or one for which ?tls=off says so.
func parseURL(text string) (server, error) {
	u, err := url.Parse(text)
	if err != nil {
		return server{}, fmt.Errorf("not a URL of the form smtp://user:password@host:587")
	}
	s := server{host: u.Hostname(), user: u.User.Username()}
	s.password, _ = u.User.Password()
	if s.host == "" || (u.Path != "" && u.Path != "/") || u.Fragment != "" {
		return server{}, fmt.Errorf("not a URL of the form smtp://user:password@host:587")
	}
	if strings.ContainsAny(s.user+s.password+s.host, "\r\n\x00") {
		return server{}, fmt.Errorf("holds a line break")
	}
	off, err := tlsOff(u.Query())
	if err != nil {
		return server{}, err
	}
	if s.security, err = securityOf(u.Scheme, off, s); err != nil {
		return server{}, err
	}
	s.port, err = portOf(u.Port(), s.security)
	return s, err
}

func tlsOff(query url.Values) (bool, error) {
	for name := range query {
		if name != "tls" {
			return false, fmt.Errorf("has an unknown parameter %q; only tls is known", name)
		}
	}
	switch query.Get("tls") {
	case "", "on":
		return false, nil
	case "off":
		return true, nil
	default:
		return false, fmt.Errorf("tls is neither on nor off")
	}
}

func securityOf(scheme string, off bool, s server) (security, error) {
	switch {
	case scheme == "smtps" && off:
		return 0, fmt.Errorf("smtps with tls=off contradicts itself")
	case scheme == "smtps":
		return implicitTLS, nil
	case scheme != "smtp":
		return 0, fmt.Errorf("the scheme must be smtp or smtps")
	case off && s.user != "":
		return 0, fmt.Errorf("tls=off would send the password in clear")
	case off, s.user == "" && isLoopback(s.host):
		return plain, nil
	default:
		return startTLS, nil
	}
}

func portOf(text string, sec security) (int, error) {
	if text == "" {
		if sec == implicitTLS {
			return 465, nil
		}
		return 587, nil
	}
	port, err := strconv.Atoi(text)
	if err != nil || port < 1 || port > 65535 {
		return 0, fmt.Errorf("the port is not within 1 and 65535")
	}
	return port, nil
}

func isLoopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsLoopback()
}

func (s server) address() string {
	return net.JoinHostPort(s.host, strconv.Itoa(s.port))
}
