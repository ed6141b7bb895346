package auth

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"maps"
	"time"
)

// Bounds of letters that anybody can have sent to an address.
const (
	mailTokenSize    = 32 // bytes
	verifyEmailTTL   = 48 * time.Hour
	changeEmailTTL   = 24 * time.Hour
	resetPasswordTTL = time.Hour
)

// notice tells the user of something that happened to the account. To an address
// that its reader has confirmed nothing bounds it. Any other can be somebody
// else's, in whose name a stranger has registered to have letters sent there.
func (w *work) notice(ctx context.Context, u User, m Mail) error {
	if !u.EmailVerified {
		if ok, err := w.allowMail(ctx, mailNews, u.Email); err != nil || !ok {
			return err
		}
	}
	return w.inform(ctx, u, m)
}

// inform sends the user a letter, with what is known of the call.
func (w *work) inform(ctx context.Context, u User, m Mail) error {
	data := map[string]string{DataAt: stamp(w.now)}
	for name, value := range map[string]string{
		DataFirstName: u.FirstName,
		DataAddress:   plain(w.caller.Address, 64),
		DataUserAgent: plain(w.caller.UserAgent, maxUserAgent),
	} {
		if value != "" {
			data[name] = value
		}
	}
	maps.Copy(data, m.Data)
	m.Data, m.To = data, u.Email
	return w.letter(ctx, m)
}

// mailNews is the kind of letters without a link, for allowMail; the kind of one
// with a link is the purpose of its token.
const mailNews = ""

// allowMail notes that a letter somebody asked for goes to the address, unless
// too many of the kind did. Each kind has its own allowance: whoever has used one
// up has sent the reader as many of those letters, with links that are good; and
// keeps none of another kind away, such as the one that the reader asks for.
func (w *work) allowMail(ctx context.Context, kind, address string) (bool, error) {
	if kind != mailNews {
		address = kind + "\x00" + address
	}
	sum := sha256.Sum256([]byte(address))
	ok, err := w.NoteMail(ctx, MailNote{ID: w.newID(), Recipient: sum[:],
		At: w.now, Since: w.now.Add(-w.svc.config.Limits.Recipient.Per), Most: w.svc.config.Limits.Recipient.Tries})
	if err != nil {
		return false, fmt.Errorf("count letters: %w", err)
	}
	return ok, nil
}

// link is a letter with a token that proves its reader owns the address.
type link struct {
	template, purpose string
	address           string
	ttl               time.Duration
	again             bool // the address was registered again
}

// sendLink mails a token, or nothing if too many letters went to the address.
func (w *work) sendLink(ctx context.Context, u User, l link) error {
	ok, err := w.allowMail(ctx, l.purpose, l.address)
	if err != nil || !ok {
		return err
	}
	secret := make([]byte, mailTokenSize)
	w.fill(secret)
	raw := base64.RawURLEncoding.EncodeToString(secret)
	t := MailToken{Hash: mailHash(raw), Purpose: l.purpose, UserID: u.ID, Address: l.address,
		CreatedAt: w.now, ExpiresAt: w.now.Add(l.ttl)}
	if err := w.AddMailToken(ctx, t); err != nil {
		return fmt.Errorf("add mail token: %w", err)
	}
	data := map[string]string{DataToken: raw, DataExpiresAt: stamp(t.ExpiresAt)}
	if l.again {
		data[DataAgain] = "true"
	}
	if u.FirstName != "" {
		data[DataFirstName] = u.FirstName
	}
	return w.letter(ctx, Mail{Template: l.template, To: l.address, Data: data})
}

// sendNothing does the work of a link that nobody gets, so that the time of an
// answer does not tell whether the address has an account (S-W6).
func (w *work) sendNothing(ctx context.Context, purpose, address string) error {
	ok, err := w.allowMail(ctx, purpose, address)
	if err != nil || !ok {
		return err
	}
	return w.letter(ctx, Mail{Template: MailNothing})
}

// mailHash is what is stored of a mail token.
func mailHash(raw string) []byte {
	sum := sha256.Sum256([]byte(raw))
	return sum[:]
}

// sendVerification mails a link that verifies the user's address.
func (w *work) sendVerification(ctx context.Context, u User) error {
	return w.sendLink(ctx, u, verification(u))
}

// verification is the letter that asks for the address to be confirmed.
func verification(u User) link {
	return link{template: MailVerifyEmail, purpose: PurposeVerifyEmail, address: u.Email, ttl: verifyEmailTTL}
}

// tellTaken tells the owner of an address that somebody wanted to use it.
func (w *work) tellTaken(ctx context.Context, owner User) error {
	ok, err := w.allowMail(ctx, mailNews, owner.Email)
	if err != nil || !ok {
		return err
	}
	return w.inform(ctx, owner, Mail{Template: MailAlreadyRegistered})
}

// stamp is how letters tell a time.
func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }
