package auth_test

import (
	"testing"
	"time"

	"gatehouse.internal/auth-service/internal/auth"
	"gatehouse.internal/shared/fault"
)

func TestChangePassword_SR6_opensAFreshSessionAndEndsAllOthers(t *testing.T) {
	h := onSQLite(t)
	one, two := h.newUser("ada@example.com"), h.login("ada@example.com")
	fresh, err := h.ChangePassword(t.Context(), h.with(one), goodPassword, otherPassword)
	if err != nil {
		t.Fatal(err)
	}
	h.dead("the caller's old session", one)
	h.dead("the other session", two)
	h.alive("the fresh session", fresh)
	if fresh.SessionID == one.SessionID {
		t.Error("S-R7 the session kept its id")
	}
	_, err = h.Login(t.Context(), stranger(), "ada@example.com", goodPassword)
	wantKind(t, "the old password", err, fault.InvalidCredentials)
	if got := len(h.letters("ada@example.com", auth.MailPasswordChanged)); got != 1 {
		t.Errorf("%d letters tell of it, want 1", got)
	}
}

func TestChangePassword_refuses(t *testing.T) {
	h := onSQLite(t)
	tokens := h.newUser("ada@example.com")
	c := h.with(tokens)
	for name, x := range map[string]struct {
		current, next string
		kind          fault.Kind
	}{
		"a wrong current password": {"wrong wrong wrong 1", otherPassword, fault.InvalidCredentials},
		"a weak password":          {goodPassword, "gatehouse gatehouse gatehouse", fault.WeakPassword},
		"the current password":     {goodPassword, goodPassword, fault.PasswordReused},
	} {
		_, err := h.ChangePassword(t.Context(), c, x.current, x.next)
		wantKind(t, name, err, x.kind)
	}
	_, err := h.ChangePassword(t.Context(), stranger(), goodPassword, otherPassword)
	wantKind(t, "a stranger", err, fault.TokenMissing)
	h.alive("the session", tokens)
}

func TestChangePassword_remembersTheLastFive(t *testing.T) {
	h := onSQLite(t)
	tokens := h.newUser("ada@example.com")
	passwords := []string{goodPassword}
	for _, word := range []string{"tulip", "crocus", "anemone", "primrose", "foxglove", "cowslip"} {
		next := "a rather long sentence on the " + word
		var err error
		h.clock.advance(time.Second)
		if tokens, err = h.ChangePassword(t.Context(), h.with(tokens), passwords[len(passwords)-1], next); err != nil {
			t.Fatal(err)
		}
		passwords = append(passwords, next)
	}
	current := passwords[6]
	for _, old := range passwords[1:] {
		_, err := h.ChangePassword(t.Context(), h.with(tokens), current, old)
		wantKind(t, "one of the last", err, fault.PasswordReused)
	}
	if _, err := h.ChangePassword(t.Context(), h.with(tokens), current, passwords[0]); err != nil {
		t.Errorf("the one before: %v", err)
	}
}

func TestResetPassword_endsEverySessionAndProvesTheAddress(t *testing.T) {
	h := onSQLite(t)
	tokens := h.newUser("ada@example.com")
	if err := h.ForgotPassword(t.Context(), stranger(), "Ada@example.com"); err != nil {
		t.Fatal(err)
	}
	token := h.mailed("ada@example.com", auth.MailResetPassword)
	reset := func(token, next string) error {
		_, err := h.ResetPassword(t.Context(), stranger(), token, next)
		return err
	}
	wantKind(t, "a weak password", reset(token, "short"), fault.WeakPassword)
	wantKind(t, "the current password", reset(token, goodPassword), fault.PasswordReused)
	wantKind(t, "a token for another purpose", reset(h.mailed("ada@example.com", auth.MailVerifyEmail), otherPassword), fault.ValidationFailed)
	wantKind(t, "an unknown token", reset("x", otherPassword), fault.ValidationFailed)
	wantKind(t, "as another purpose", h.VerifyEmail(t.Context(), stranger(), token), fault.ValidationFailed)
	h.alive("the session so far", tokens)
	if err := reset(token, otherPassword); err != nil {
		t.Fatalf("reset: %v", err)
	}
	h.dead("the old session", tokens)
	wantKind(t, "a second time", reset(token, otherPassword+"!"), fault.ValidationFailed)
	out, err := h.Login(t.Context(), stranger(), "ada@example.com", otherPassword)
	if err != nil || !out.Account.EmailVerified {
		t.Errorf("login: %v, verified %v", err, out.Account.EmailVerified)
	}
}

func TestMailTokens_expire(t *testing.T) {
	h := onSQLite(t)
	h.register("ada@example.com")
	if err := h.ForgotPassword(t.Context(), stranger(), "ada@example.com"); err != nil {
		t.Fatal(err)
	}
	h.clock.advance(time.Hour)
	_, err := h.ResetPassword(t.Context(), stranger(), h.mailed("ada@example.com", auth.MailResetPassword), otherPassword)
	wantKind(t, "reset", err, fault.ValidationFailed)
	h.clock.advance(47 * time.Hour)
	wantKind(t, "verify", h.VerifyEmail(t.Context(), stranger(), h.mailed("ada@example.com", auth.MailVerifyEmail)), fault.ValidationFailed)
}
