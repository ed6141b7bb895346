package mailbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"time"

	"github.com/emersion/go-smtp"
)

// Bounds of one SMTP connection.
const (
	maxLetterBytes = 1 << 20
	maxRecipients  = 50
	ioTimeout      = 10 * time.Second
	stopTimeout    = 2 * time.Second
)

// Sink is an SMTP server whose every letter goes into one mailbox.
type Sink struct {
	box      *Mailbox
	listener net.Listener
	server   *smtp.Server
}

// Listen opens an SMTP server on a loopback address ("127.0.0.1:0" picks a
// port) for the mailbox. Now gives the time that letters are stamped with.
func Listen(addr string, box *Mailbox, now func() time.Time, log *slog.Logger) (*Sink, error) {
	sink, err := ListenPublic(addr, box, now, log)
	if err != nil {
		return nil, err
	}
	if tcp, ok := sink.listener.Addr().(*net.TCPAddr); !ok || !tcp.IP.IsLoopback() {
		return nil, errors.Join(
			fmt.Errorf("listen for mail on %s: anybody could read the letters; use a loopback address", addr),
			sink.listener.Close())
	}
	return sink, nil
}

// ListenPublic is Listen on any address, for a container, whose network decides
// who can reach it.
func ListenPublic(addr string, box *Mailbox, now func() time.Time, log *slog.Logger) (*Sink, error) {
	listener, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("listen for mail: %w", err)
	}
	server := smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) {
		return &session{box: box, now: now}, nil
	}))
	server.Domain = "localhost"
	server.MaxMessageBytes = maxLetterBytes
	server.MaxRecipients = maxRecipients
	server.ReadTimeout = ioTimeout
	server.WriteTimeout = ioTimeout
	server.EnableSMTPUTF8 = true
	server.ErrorLog = slog.NewLogLogger(log.Handler(), slog.LevelWarn)
	return &Sink{box: box, listener: listener, server: server}, nil
}

// URL is the address for a service's mail setting, such as
// "smtp://127.0.0.1:2525".
func (s *Sink) URL() string { return "smtp://" + s.listener.Addr().String() }

// Mailbox is where the letters go.
func (s *Sink) Mailbox() *Mailbox { return s.box }

// Run takes letters until ctx ends, and returns when no connection is left.
func (s *Sink) Run(ctx context.Context) error {
	served := make(chan error, 1)
	go func() { served <- s.server.Serve(s.listener) }()
	select {
	case err := <-served:
		return fmt.Errorf("take mail: %w", err)
	case <-ctx.Done():
	}
	stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	if err := s.server.Shutdown(stopping); err != nil {
		// Somebody keeps a connection open; the sink does not wait for them.
		// The listener is closed already, so an error of Close tells nothing.
		_ = s.server.Close()
	}
	if err := <-served; err != nil {
		return fmt.Errorf("take mail: %w", err)
	}
	return nil
}

// session is one SMTP connection.
type session struct {
	box        *Mailbox
	now        func() time.Time
	recipients []string
}

// Mail begins a letter. Any sender will do.
func (s *session) Mail(string, *smtp.MailOptions) error { return nil }

// Rcpt adds a recipient to the letter.
func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.recipients = append(s.recipients, to)
	return nil
}

// Data reads the letter and puts one copy for each recipient into the mailbox.
func (s *session) Data(r io.Reader) error {
	letter, err := parse(r)
	if err != nil {
		var refused *smtp.SMTPError
		if errors.As(err, &refused) {
			return refused // too large, as the server has said
		}
		return &smtp.SMTPError{Code: 554, EnhancedCode: smtp.EnhancedCode{5, 6, 0}, Message: "The letter cannot be read."}
	}
	letter.SentAt = s.now().UTC()
	for _, to := range s.recipients {
		letter.To = to
		s.box.Add(letter)
	}
	return nil
}

// Reset drops the letter that was begun.
func (s *session) Reset() { s.recipients = nil }

// Logout ends the connection.
func (s *session) Logout() error { return nil }
