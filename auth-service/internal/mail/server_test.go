package mail

import (
	"strings"
	"testing"
)

func TestCheckURL(t *testing.T) {
	for url, want := range map[string]security{
		"smtp://user:pass@mail.example.com:587":  startTLS,
		"smtp://mail.example.com":                startTLS,
		"smtp://user:pass@127.0.0.1:25":          startTLS,
		"smtp://localhost:1025":                  plain,
		"smtp://[::1]:1025":                      plain,
		"smtp://127.9.9.9:1025":                  plain,
		"smtp://relay.internal:25?tls=off":       plain,
		"smtps://user:pass@mail.example.com":     implicitTLS,
		"smtps://user:pass@mail.example.com:465": implicitTLS,
	} {
		s, err := parseURL(url)
		if err != nil || s.security != want {
			t.Errorf("%s: %v, %v; want %v", url, s.security, err, want)
		}
	}
	for _, url := range []string{
		"", "mail.example.com:587", "http://mail.example.com", "smtp://", "smtp://:587",
		"smtp://u:hunter2@host?tls=off", "smtps://host?tls=off", "smtp://host?starttls=1", "smtp://host?tls=maybe",
		"smtp://host:0", "smtp://host:99999", "smtp://u:hunter2@host:port", "smtp://host/path", "smtp://u:hunter2%0d%0a@host",
	} {
		err := CheckURL(url)
		if err == nil {
			t.Errorf("%q is accepted", url)
		} else if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("the error repeats the password: %v", err)
		}
	}
}

func TestNew_reports_every_problem(t *testing.T) {
	_, err := New(Config{URL: "ftp://x", From: "nobody", PublicURL: "gateway"})
	if err == nil {
		t.Fatal("accepted")
	}
	for _, want := range []string{"scheme", "address of the form", "public URL"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is missing in: %v", want, err)
		}
	}
}

func TestRecipient_refuses_header_injection(t *testing.T) {
	if _, err := recipient("ada@example.com"); err != nil {
		t.Error(err)
	}
	for _, address := range []string{
		"", "ada", "ada@example.com\r\nBcc: eve@example.com", "ada@example.com, eve@example.com",
		"Ada <ada@example.com>", "ada@example.com (x)", " ada@example.com", "ada@example.com\x00", "ada@" + strings.Repeat("x", 400),
	} {
		if _, err := recipient(address); err == nil {
			t.Errorf("%q is accepted", address)
		}
	}
	for _, from := range []string{"", "x", "a@b.example\nBcc: c@d.example"} {
		if CheckSender(from) == nil {
			t.Errorf("sender %q is accepted", from)
		}
	}
}
