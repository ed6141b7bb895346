package mail

import (
	"strings"
	"testing"

	"gatehouse.internal/auth-service/internal/auth"
)

func TestContentOf_everyLetterAboutSecondFactorsSaysWhatToDo(t *testing.T) {
	s := newSender(t, "smtp://mail.example.com:587", nil)
	for _, template := range []string{
		auth.MailFactorAdded, auth.MailFactorRemoved, auth.MailFactorsReset,
		auth.MailRecoveryCodeUsed, auth.MailRecoveryCodesMade, auth.MailCodesRefused, auth.MailPasskeyCloned,
	} {
		c, err := s.contentOf(auth.Mail{Template: template, To: "ada@example.com", Data: map[string]string{
			auth.DataFactor: auth.FactorTOTP, auth.DataAt: "2026-11-22T10:30:00Z", auth.DataAddress: "192.0.2.7", auth.DataFirstName: "Buy at http://evil.example",
		}})
		text := c.Subject + strings.Join(c.Paragraphs, " ") + c.Closing
		if err != nil || c.Subject == "" || !strings.Contains(c.Closing, "If ") || c.Link != "" || strings.Contains(text, "evil") {
			t.Errorf("%s: %+v (%v)", template, c, err)
		}
	}
}

func TestContentOf_aResetPasswordTellsOfPasskeys(t *testing.T) {
	s := newSender(t, "smtp://mail.example.com:587", nil)
	for passkeys, want := range map[string]string{"": "", "2": "passkeys: 2.", "http://evil.example": ""} {
		c, err := s.contentOf(auth.Mail{Template: auth.MailPasswordChanged, To: "ada@example.com", Data: map[string]string{auth.DataPasskeys: passkeys}})
		if text := strings.Join(c.Paragraphs, " "); err != nil || !strings.Contains(text, want) || strings.Contains(text, "passkeys:") != (want != "") {
			t.Errorf("%q passkeys: %q (%v)", passkeys, text, err)
		}
	}
}
