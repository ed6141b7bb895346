package config

import (
	"fmt"
	"io"
	"net/url"
	"strconv"
	"strings"
)

// Print writes the settings as X=value lines, with secrets masked, and also
// the passwords inside URLs.
func Print(w io.Writer, cfg any) error {
	known, err := settings(cfg)
	if err != nil {
		return err
	}
	for _, s := range known {
		text := s.text()
		if s.secret {
			text = Secret(text).String()
		} else {
			text = maskURLs(text)
		}
		if quoted := strconv.Quote(text); quoted != `"`+text+`"` {
			text = quoted
		}
		if _, err := fmt.Fprintf(w, "%s=%s\n", s.name, text); err != nil {
			return fmt.Errorf("print settings: %w", err)
		}
	}
	return nil
}

// maskURLs hides the secrets of each URL in a comma-separated list.
func maskURLs(text string) string {
	if !strings.Contains(text, "://") {
		return text
	}
	parts := strings.Split(text, ",")
	for i, part := range parts {
		parts[i] = maskURL(part)
	}
	return strings.Join(parts, ",")
}

func maskURL(text string) string {
	if !strings.Contains(text, "://") {
		return text
	}
	u, err := url.Parse(strings.TrimSpace(text))
	if err != nil {
		return mask // what cannot be read may hold anything
	}
	if name := u.User.Username(); u.User != nil {
		if _, has := u.User.Password(); has {
			// Built by hand, because url.UserPassword would escape the mask.
			u.User = nil
			return strings.Replace(maskQuery(u), "://", "://"+url.User(name).String()+":"+mask+"@", 1)
		}
	}
	return maskQuery(u)
}

// maskQuery hides the values of query parameters that are named like secrets.
func maskQuery(u *url.URL) string {
	pairs := strings.Split(u.RawQuery, "&")
	for i, pair := range pairs {
		name, _, _ := strings.Cut(pair, "=")
		if low := strings.ToLower(name); strings.Contains(low, "pass") || strings.Contains(low, "secret") || strings.Contains(low, "token") {
			pairs[i] = name + "=" + mask
		}
	}
	u.RawQuery = strings.Join(pairs, "&")
	return u.String()
}
