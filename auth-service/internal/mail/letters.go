package mail

import (
	"fmt"
	"net/url"
	"strconv"
	"time"

	"gatehouse.internal/auth-service/internal/auth"
)

// Paths of the pages that links in letters lead to, below the public URL.
const (
	verifyPath = "/auth/email/verify"
	resetPath  = "/auth/password/reset"
)

// content is what a letter says. Both of its forms, text and HTML, are made
// from it, so that they can never say different things.
type content struct {
	Subject    string
	Paragraphs []string
	Action     string // what the link does; with Link
	Link       string
	Closing    string
	Site       string // the host that sends it
}

// contentOf says what a letter of the given kind tells. Names and user agents
// never appear in it: a stranger chooses them, and could have the letter carry
// a message of his own to anybody's mailbox.
func (s *Sender) contentOf(m auth.Mail) (content, error) {
	var c content
	switch m.Template {
	case auth.MailVerifyEmail:
		c = verifyEmail(m)
	case auth.MailAlreadyRegistered:
		c = alreadyRegistered(m)
	case auth.MailResetPassword:
		c = resetPassword(m)
	case auth.MailPasswordChanged:
		c = passwordChanged(m)
	case auth.MailChangeEmail:
		c = changeEmail(m)
	case auth.MailEmailChangeRequested:
		c = emailChangeRequested(m)
	case auth.MailEmailChanged:
		c = emailChanged(m)
	case auth.MailTokenReused:
		c = tokenReused(m)
	case auth.MailNewDevice:
		c = newDevice(m)
	case auth.MailAccountDeleted:
		c = accountDeleted(m)
	default:
		factor, known := factorLetter(m)
		if known {
			c = factor
			break
		}
		return content{}, fmt.Errorf("write letter: no template is called %q", m.Template)
	}
	c.Site = s.public.Host
	if c.Link == "" {
		return c, nil
	}
	token := m.Data[auth.DataToken]
	if token == "" {
		return content{}, fmt.Errorf("write letter %q: the token for its link is missing", m.Template)
	}
	c.Link = s.public.JoinPath(c.Link).String() + "?token=" + url.QueryEscape(token)
	return c, nil
}

func verifyEmail(m auth.Mail) content {
	return content{
		Subject:    "Confirm your email address",
		Paragraphs: []string{registered(m) + " Please confirm that it is yours.", expiry(m)},
		Action:     "Confirm this address",
		Link:       verifyPath,
		Closing:    "If you did not register, ignore this letter: nothing will happen without the link.",
	}
}

// registered warns whoever confirms that somebody else may have registered.
func registered(m auth.Mail) string {
	if m.Data[auth.DataAgain] != "" {
		return "An account was registered with this address more than once. You choose its password when you confirm: no other one will work then."
	}
	return "An account was registered with this address."
}

func alreadyRegistered(m auth.Mail) content {
	return content{
		Subject: "You already have an account",
		Paragraphs: []string{
			"Somebody tried to register an account with this address" + circumstances(m) + ", but you have one already.",
			"If it was you, just sign in. If you no longer know your password, ask for a new one on the sign-in page.",
		},
		Closing: "If it was not you, you need not do anything: your account has not changed.",
	}
}

func resetPassword(m auth.Mail) content {
	return content{
		Subject:    "Choose a new password",
		Paragraphs: []string{"Somebody, probably you, asked for a new password for your account.", expiry(m)},
		Action:     "Choose a new password",
		Link:       resetPath,
		Closing:    "If it was not you, ignore this letter: your password stays as it is.",
	}
}

func passwordChanged(m auth.Mail) content {
	told := []string{"The password of your account was changed" + circumstances(m) + ". All devices that were signed in before were signed out."}
	if n, err := strconv.Atoi(m.Data[auth.DataPasskeys]); err == nil && n > 0 {
		told = append(told, fmt.Sprintf("The account has passkeys: %d. Each has to be used together with the new password once before it signs in alone again. "+
			"Look at them in your account, and remove any that is not yours.", n))
	}
	return content{
		Subject:    "Your password was changed",
		Paragraphs: told,
		Closing:    "If it was not you, ask for a new password on the sign-in page at once.",
	}
}

func changeEmail(m auth.Mail) content {
	return content{
		Subject:    "Confirm your new email address",
		Paragraphs: []string{"The owner of an account asked to use this address for it. Please confirm that it is yours.", expiry(m)},
		Action:     "Confirm this address",
		Link:       verifyPath,
		Closing:    "If you did not ask for this, ignore this letter: nothing will happen without the link.",
	}
}

func emailChangeRequested(m auth.Mail) content {
	return content{
		Subject: "A new email address was asked for",
		Paragraphs: []string{
			"A change of your account's address to " + newAddress(m) + " was asked for" + circumstances(m) + ".",
			"It takes effect when the new address is confirmed.",
		},
		Closing: "If it was not you, change your password at once: whoever asked for this knows it.",
	}
}

func emailChanged(m auth.Mail) content {
	return content{
		Subject: "Your email address was changed",
		Paragraphs: []string{
			"The address of your account is now " + newAddress(m) + "; it was changed" + circumstances(m) + ".",
			"This is the last letter about the account that comes to the old address.",
		},
		Closing: "If it was not you, tell the operators of the site at once.",
	}
}

func tokenReused(m auth.Mail) content {
	return content{
		Subject: "One of your sign-ins was ended",
		Paragraphs: []string{
			"A sign-in of your account was used from two places at once" + circumstances(m) + ". That can mean that it was copied, so we ended it on every device that shared it.",
			"Please sign in again. Your other sign-ins go on, and you can look at them in your account.",
		},
		Closing: "If you find a sign-in there that is not yours, change your password.",
	}
}

func newDevice(m auth.Mail) content {
	return content{
		Subject: "A sign-in from a new device",
		Paragraphs: []string{
			"Somebody signed in to your account" + circumstances(m) + ", from a device or a network that was not seen before.",
			"If it was you, you need not do anything.",
		},
		Closing: "If it was not you, change your password at once: that signs every device out.",
	}
}

func accountDeleted(m auth.Mail) content {
	return content{
		Subject:    "Your account was deleted",
		Paragraphs: []string{"Your account was deleted" + circumstances(m) + ". Its profile and all of its sign-ins are gone."},
		Closing:    "If it was not you, tell the operators of the site at once.",
	}
}

// newAddress falls back to words when the address is missing, so that the
// warning itself is never lost.
func newAddress(m auth.Mail) string {
	if address := m.Data[auth.DataNewEmail]; address != "" {
		return address
	}
	return "another one"
}

// circumstances tells when and from which network address, as far as known.
func circumstances(m auth.Mail) string {
	text := ""
	if at, ok := moment(m.Data[auth.DataAt]); ok {
		text = " on " + at
	}
	if address := m.Data[auth.DataAddress]; address != "" {
		text += " from the network address " + address
	}
	return text
}

func expiry(m auth.Mail) string {
	if at, ok := moment(m.Data[auth.DataExpiresAt]); ok {
		return "The link works once, until " + at + "."
	}
	return "The link works once."
}

// moment writes an RFC 3339 time for people.
func moment(text string) (string, bool) {
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return "", false
	}
	return at.UTC().Format("2 January 2006 at 15:04 UTC"), true
}
