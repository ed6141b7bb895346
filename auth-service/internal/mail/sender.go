// Package mail writes the letters that auth asks for and hands them to a mail
// server. It decides their words, and promises that their links start with the
// configured public URL, that a password or a letter never crosses a network in
// clear unless the operator said so, that every exchange has an end, and that
// no error of it names a recipient. It refuses to carry text which a stranger
// chose: names and user agents are left out, and addresses with control
// characters are refused. Retrying is the outbox's business.
package mail

import (
	"context"
	"crypto/x509"
	"embed"
	"errors"
	"fmt"
	htmltemplate "html/template"
	"net/url"
	texttemplate "text/template"
	"time"

	"gatehouse.internal/auth-service/internal/auth"
)

//go:embed templates/letter.txt templates/letter.html
var templates embed.FS

// Config says where letters leave, from whom they come and where their links
// lead.
type Config struct {
	URL       string // smtp://user:password@host:587 or smtps://host:465; see CheckURL
	From      string // "Gatehouse <no-reply@example.com>"
	PublicURL string // the gateway's, for links
	Templates string // folder with letters of the operator's own; empty: none
	// Roots are the authorities that the mail server's certificate is held
	// against; nil means the system's.
	Roots *x509.CertPool
	Now   func() time.Time // time.Now in production
}

// Sender sends letters. Its methods may be called concurrently.
type Sender struct {
	post   post
	public *url.URL
	frame  form            // of letters
	own    map[string]form // of letters that are written in their own way
}

// New returns a Sender, or every problem of the settings at once. It does not
// connect: the mail server may come up later.
func New(c Config) (*Sender, error) {
	mailServer, urlErr := parseURL(c.URL)
	from, fromErr := sender(c.From)
	public, publicErr := publicURL(c.PublicURL)
	text, textErr := texttemplate.ParseFS(templates, "templates/letter.txt")
	html, htmlErr := htmltemplate.ParseFS(templates, "templates/letter.html")
	if err := errors.Join(urlErr, fromErr, publicErr, textErr, htmlErr); err != nil {
		return nil, fmt.Errorf("set up mail: %w", err)
	}
	s := &Sender{
		post:   post{server: mailServer, from: from, roots: c.Roots, now: c.Now},
		public: public, frame: form{text: text, html: html}, own: map[string]form{},
	}
	if c.Templates == "" {
		return s, nil
	}
	if err := s.load(c.Templates); err != nil {
		return nil, fmt.Errorf("set up mail: %w", err)
	}
	return s, nil
}

// Send writes one letter and returns nil once the mail server has accepted it.
// Letters with the same id carry the same Message-ID, so that a letter which
// was sent twice can be recognised. The error names no recipient.
func (s *Sender) Send(ctx context.Context, id string, m auth.Mail) error {
	letter, err := s.write(m)
	if err != nil {
		return err
	}
	letter.id = id
	return s.post.send(ctx, letter)
}

func (s *Sender) write(m auth.Mail) (message, error) {
	c, err := s.contentOf(m)
	if err != nil {
		return message{}, err
	}
	f, own := s.own[m.Template]
	if !own {
		f = s.frame
	}
	subject, text, html, err := f.write(viewOf(c, m))
	if err != nil {
		return message{}, fmt.Errorf("write letter %q: %w", m.Template, err)
	}
	return message{to: m.To, subject: subject, text: text, html: html}, nil
}
