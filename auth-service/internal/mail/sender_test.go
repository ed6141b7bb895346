package mail

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net"
	netmail "net/mail"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"gatehouse.internal/auth-service/internal/auth"
	"gatehouse.internal/shared/fault"
)

func newSender(t *testing.T, url string, roots *x509.CertPool) *Sender {
	t.Helper()
	s, err := New(Config{
		URL: url, From: "Gatehouse <no-reply@example.com>",
		PublicURL: "https://gateway.example.com", Roots: roots, Now: time.Now,
	})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

var verification = auth.Mail{
	Template: auth.MailVerifyEmail, To: "ada@example.com",
	Data: map[string]string{
		auth.DataToken: "to+ken_1", auth.DataFirstName: "Buy at http://evil.example",
		auth.DataExpiresAt: "2026-11-22T10:30:00Z",
	},
}

// parts returns the text and the HTML form of a letter.
func parts(t *testing.T, data []byte) (header netmail.Header, text, html string) {
	t.Helper()
	m, err := netmail.ReadMessage(bytes.NewReader(data))
	if err != nil {
		t.Fatal(err)
	}
	_, params, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil {
		t.Fatal(err)
	}
	bodies := map[string]string{}
	for r := multipart.NewReader(m.Body, params["boundary"]); ; {
		part, err := r.NextRawPart()
		if errors.Is(err, io.EOF) {
			return m.Header, bodies["text/plain"], bodies["text/html"]
		}
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(quotedprintable.NewReader(part))
		if err != nil {
			t.Fatal(err)
		}
		kind, _, _ := mime.ParseMediaType(part.Header.Get("Content-Type"))
		bodies[kind] = string(body)
	}
}

func TestSender_Send(t *testing.T) {
	serverTLS, roots := selfSigned(t)
	for _, c := range []struct {
		name               string
		server             *mailServer
		url                string // HOST stands for the server's address
		offersTLS          bool
		implicit           bool
		encrypted, signsIn bool
	}{
		{name: "plain to a loopback server", server: &mailServer{}, url: "smtp://HOST"},
		{name: "plain where tls=off says so", server: &mailServer{}, url: "smtp://HOST?tls=off", offersTLS: true},
		{
			name: "STARTTLS and a sign-in", server: &mailServer{user: "gate", password: "p@ss/word"},
			url: "smtp://gate:p%40ss%2Fword@HOST", offersTLS: true, encrypted: true, signsIn: true,
		},
		{
			name: "implicit TLS and a sign-in", server: &mailServer{user: "gate", password: "secret"},
			url: "smtps://gate:secret@HOST", implicit: true, encrypted: true, signsIn: true,
		},
		{name: "implicit TLS without a sign-in", server: &mailServer{}, url: "smtps://HOST", implicit: true, encrypted: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			config := serverTLS
			if !c.offersTLS && !c.implicit {
				config = nil
			}
			startMailServer(t, c.server, config, c.implicit)
			s := newSender(t, strings.Replace(c.url, "HOST", c.server.addr, 1), roots)
			if err := s.Send(t.Context(), "0199-id", verification); err != nil {
				t.Fatal(err)
			}
			got := c.server.got()
			if len(got) != 1 {
				t.Fatalf("the server has %d letters, want 1", len(got))
			}
			if got[0].encrypted != c.encrypted || got[0].signedIn != c.signsIn {
				t.Errorf("encrypted %v, signed in %v; want %v, %v", got[0].encrypted, got[0].signedIn, c.encrypted, c.signsIn)
			}
			if got[0].from != "no-reply@example.com" || got[0].to != "ada@example.com" {
				t.Errorf("from %q to %q", got[0].from, got[0].to)
			}
			header, text, html := parts(t, got[0].data)
			if id := header.Get("Message-Id"); id != "<0199-id@example.com>" {
				t.Errorf("message id %q", id)
			}
			link := "https://gateway.example.com/auth/email/verify?token=to%2Bken_1"
			if !strings.Contains(text, link) || !strings.Contains(html, `href="`+link+`"`) {
				t.Errorf("the link is missing:\n%s\n%s", text, html)
			}
			if strings.Contains(string(got[0].data), "evil") {
				t.Error("the letter carries a stranger's text")
			}
		})
	}
}

func TestSender_Send_refuses(t *testing.T) {
	serverTLS, roots := selfSigned(t)
	for _, c := range []struct {
		name   string
		server *mailServer
		url    string
		tls    bool
		roots  *x509.CertPool
		want   string
		kind   fault.Kind
	}{
		{name: "a sign-in without STARTTLS", server: &mailServer{user: "u", password: "p"}, url: "smtp://u:p@HOST", want: "STARTTLS", kind: fault.Unavailable},
		{name: "a certificate of an unknown authority", server: &mailServer{}, url: "smtp://u:p@HOST", tls: true, roots: x509.NewCertPool(), want: "certificate", kind: fault.Unavailable},
		{name: "a wrong password", server: &mailServer{user: "u", password: "p"}, url: "smtp://u:wrong@HOST", tls: true, roots: roots, want: "AUTH", kind: fault.Unavailable},
		{
			name: "a letter the server refuses for good", url: "smtp://HOST",
			server: &mailServer{refuse: &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "no ada@example.com here"}},
			want:   "for good", kind: fault.ValidationFailed,
		},
		{
			name: "a letter the server refuses for the moment", url: "smtp://HOST",
			server: &mailServer{refuse: &smtp.SMTPError{Code: 451, EnhancedCode: smtp.EnhancedCode{4, 7, 1}, Message: "greylisted"}},
			want:   "code 451", kind: fault.Internal,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			config := serverTLS
			if !c.tls {
				config = nil
			}
			startMailServer(t, c.server, config, false)
			err := newSender(t, strings.Replace(c.url, "HOST", c.server.addr, 1), c.roots).Send(t.Context(), "id", verification)
			if err == nil || !strings.Contains(err.Error(), c.want) || fault.KindOf(err) != c.kind {
				t.Fatalf("got %v, want an error of kind %s that says %q", err, c.kind, c.want)
			}
			for _, secret := range []string{"ada@example.com", "to+ken_1", "wrong"} {
				if strings.Contains(err.Error(), secret) {
					t.Errorf("the error holds %q: %v", secret, err)
				}
			}
			if len(c.server.got()) != 0 {
				t.Error("the letter was accepted all the same")
			}
		})
	}
}

func TestSender_Send_ends_with_its_context(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0") // accepts and never greets
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = silent.Close() }()
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	started := time.Now()
	if err := newSender(t, "smtp://"+silent.Addr().String(), nil).Send(ctx, "id", verification); err == nil {
		t.Fatal("a server that says nothing accepted a letter")
	}
	if took := time.Since(started); took > 5*time.Second {
		t.Errorf("took %v", took)
	}
}

func TestSender_every_letter(t *testing.T) {
	s := newSender(t, "smtp://127.0.0.1:1", nil)
	data := map[string]string{
		auth.DataToken: "tok", auth.DataExpiresAt: "2026-11-22T10:30:00Z", auth.DataAt: "2026-11-21T09:05:00Z",
		auth.DataAddress: "192.0.2.7", auth.DataNewEmail: "new@example.com", auth.DataUserAgent: "<b>agent</b>",
	}
	for template, want := range map[string][]string{
		auth.MailVerifyEmail:          {"/auth/email/verify?token=tok", "22 November 2026 at 10:30 UTC"},
		auth.MailAlreadyRegistered:    {"21 November 2026 at 09:05 UTC", "192.0.2.7"},
		auth.MailResetPassword:        {"/auth/password/reset?token=tok"},
		auth.MailPasswordChanged:      {"password", "192.0.2.7"},
		auth.MailChangeEmail:          {"/auth/email/verify?token=tok"},
		auth.MailEmailChangeRequested: {"new@example.com"},
		auth.MailEmailChanged:         {"new@example.com"},
		auth.MailTokenReused:          {"192.0.2.7"},
		auth.MailNewDevice:            {"192.0.2.7", "new device"},
		auth.MailAccountDeleted:       {"21 November 2026 at 09:05 UTC"},
	} {
		t.Run(template, func(t *testing.T) {
			m, err := s.write(auth.Mail{Template: template, To: "ada@example.com", Data: data})
			if err != nil {
				t.Fatal(err)
			}
			for _, w := range want {
				if !strings.Contains(m.text, w) || !strings.Contains(m.html, w) {
					t.Errorf("%q is missing in\n%s\n%s", w, m.text, m.html)
				}
			}
			if m.subject == "" || strings.Contains(m.html, "<b>agent") {
				t.Errorf("subject %q, html\n%s", m.subject, m.html)
			}
			if _, err := s.write(auth.Mail{Template: template, To: "ada@example.com"}); (err != nil) != strings.Contains(m.text, "token=") {
				t.Errorf("without data: %v; only a letter with a link needs any", err)
			}
		})
	}
	if _, err := s.write(auth.Mail{Template: "surprise"}); err == nil {
		t.Error("a letter without a template was written")
	}
}
