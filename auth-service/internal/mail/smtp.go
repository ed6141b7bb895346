package mail

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/mail"
	"time"

	gomail "github.com/wneessen/go-mail"

	"gatehouse.internal/shared/fault"
)

// conversation bounds a whole exchange with the mail server, from the dial to
// the acceptance of the letter.
const conversation = 20 * time.Second

// message is a letter that is ready to leave.
type message struct {
	id      string // becomes the Message-ID, so that a second copy is recognisable
	to      string
	subject string
	text    string
	html    string
}

// post hands messages to one mail server, one connection for each.
type post struct {
	server server
	from   *mail.Address
	roots  *x509.CertPool
	now    func() time.Time
}

// send returns nil once the server has accepted the message. It fails with
// fault.Unavailable if the server cannot be talked to, and with
// fault.ValidationFailed if the recipient is refused for good. Its error names
// no recipient, as it ends in logs and in the outbox.
func (p *post) send(ctx context.Context, m message) error {
	ctx, cancel := context.WithTimeout(ctx, conversation)
	defer cancel()
	letter, err := p.compose(m)
	if err != nil {
		return err
	}
	client, err := p.client(ctx)
	if err != nil {
		return err
	}
	session, err := client.DialToSMTPClientWithContext(ctx)
	if err != nil {
		return fault.Wrap(fault.Unavailable, "The mail server cannot be reached.",
			fmt.Errorf("reach mail server %s: %w", p.server.address(), err))
	}
	if err := client.SendWithSMTPClient(session, letter); err != nil {
		return withoutRecipient(err)
	}
	_ = session.Quit() // the letter is accepted: a failing goodbye must not send it again
	return nil
}

func (p *post) compose(m message) (*gomail.Msg, error) {
	to, err := recipient(m.to)
	if err != nil {
		return nil, err
	}
	letter := gomail.NewMsg()
	letter.FromMailAddress(p.from)
	letter.ToMailAddress(to)
	letter.Subject(m.subject)
	letter.SetDateWithValue(p.now())
	letter.SetMessageIDWithValue(m.id + "@" + domainOf(p.from.Address))
	letter.SetGenHeader("Auto-Submitted", "auto-generated") // RFC 3834: no out-of-office replies
	letter.SetBodyString(gomail.TypeTextPlain, m.text)
	letter.AddAlternativeString(gomail.TypeTextHTML, m.html)
	return letter, nil
}

// client makes a client for one exchange. Its connection is closed when ctx
// ends: the library looks at ctx only while it dials, and leaves the
// connection open when the greeting, TLS or the sign-in fails.
func (p *post) client(ctx context.Context) (*gomail.Client, error) {
	config := &tls.Config{ServerName: p.server.host, MinVersion: tls.VersionTLS12, RootCAs: p.roots}
	policy := gomail.TLSMandatory
	if p.server.security != startTLS {
		policy = gomail.NoTLS // TLS is there from the first byte, or not at all
	}
	options := []gomail.Option{
		gomail.WithPort(p.server.port),
		gomail.WithTimeout(conversation),
		gomail.WithTLSConfig(config),
		gomail.WithTLSPolicy(policy),
		gomail.WithDialContextFunc(func(_ context.Context, network, address string) (net.Conn, error) {
			conn, err := p.dial(ctx, network, address, config)
			if err == nil {
				context.AfterFunc(ctx, func() { _ = conn.Close() })
			}
			return conn, err
		}),
	}
	if p.server.user != "" {
		options = append(options,
			gomail.WithUsername(p.server.user), gomail.WithPassword(p.server.password),
			gomail.WithOpportunisticSMTPAuth(gomail.SMTPAuthSCRAMSHA256, gomail.SMTPAuthPlain,
				gomail.SMTPAuthLogin, gomail.SMTPAuthCramMD5))
	}
	client, err := gomail.NewClient(p.server.host, options...)
	if err != nil {
		return nil, fmt.Errorf("set up mail client: %w", err)
	}
	return client, nil
}

func (p *post) dial(ctx context.Context, network, address string, config *tls.Config) (net.Conn, error) {
	dialer := &net.Dialer{Timeout: conversation / 2}
	if p.server.security == implicitTLS {
		return (&tls.Dialer{NetDialer: dialer, Config: config}).DialContext(ctx, network, address)
	}
	return dialer.DialContext(ctx, network, address)
}

// withoutRecipient keeps of a refusal what an operator needs and leaves out
// the addresses that the library and the server put into its text.
func withoutRecipient(err error) error {
	var refusal *gomail.SendError
	if !errors.As(err, &refusal) || refusal.ErrorCode() == 0 { // no answer, so no refusal
		return fault.New(fault.Unavailable, "The connection to the mail server broke.")
	}
	text := fmt.Errorf("hand over letter: %s, code %d %s", refusal.Reason, refusal.ErrorCode(), refusal.EnhancedStatusCode())
	if refusal.Reason == gomail.ErrSMTPRcptTo && !refusal.IsTemp() && refusal.ErrorCode() >= 500 {
		return fault.Wrap(fault.ValidationFailed, "The recipient is refused for good.", text)
	}
	return text
}
