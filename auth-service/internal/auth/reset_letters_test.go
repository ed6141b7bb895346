package auth_test

import (
	"testing"
	"time"

	"gatehouse.internal/auth-service/internal/auth"
)

// Somebody who registers an address again and again has letters sent there; they
// must not stand in the place of the one that lets its owner in.
func TestForgotPassword_strangersCannotUseUpTheOwnersLetters(t *testing.T) {
	for _, confirmed := range []bool{true, false} {
		h := onSQLite(t)
		h.register("ada@example.com")
		if confirmed {
			if err := h.VerifyEmail(t.Context(), stranger(), h.mailed("ada@example.com", auth.MailVerifyEmail)); err != nil {
				t.Fatal(err)
			}
			h.clock.advance(2 * time.Hour)
		}
		for range 20 {
			h.register("ada@example.com")
		}
		news, links := len(h.letters("ada@example.com", auth.MailAlreadyRegistered)), len(h.letters("ada@example.com", auth.MailVerifyEmail))
		if confirmed && (news != 5 || links != 1) || !confirmed && (news != 0 || links != 5) {
			t.Errorf("confirmed %v: %d letters tell of registrations and %d have a link, want 5 letters of the kind", confirmed, news, links)
		}
		for range 8 {
			if err := h.ForgotPassword(t.Context(), from("198.51.100.9", auth.Tokens{}), "ada@example.com"); err != nil {
				t.Fatal(err)
			}
		}
		if n := len(h.letters("ada@example.com", auth.MailResetPassword)); n != 5 {
			t.Errorf("confirmed %v: the owner got %d links for a new password, want 5 of 8", confirmed, n)
		}
		if _, err := h.ResetPassword(t.Context(), stranger(), h.mailed("ada@example.com", auth.MailResetPassword), otherPassword); err != nil {
			t.Errorf("confirmed %v: the newest link: %v", confirmed, err)
		}
	}
}

func TestForgotPassword_SW6_anUnknownAddressHasTheSameAllowance(t *testing.T) {
	h := onSQLite(t)
	for range 8 {
		if err := h.ForgotPassword(t.Context(), stranger(), "nobody@example.com"); err != nil {
			t.Fatal(err)
		}
	}
	nothing := 0
	for _, m := range outbox[auth.Mail](h, auth.TopicMail) {
		if m.Template == auth.MailNothing {
			nothing++
		}
	}
	if nothing != 5 {
		t.Errorf("the work of %d letters was done for an address that nobody has, want 5", nothing)
	}
}
