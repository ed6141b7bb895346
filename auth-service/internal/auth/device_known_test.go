package auth_test

import (
	"testing"
	"time"

	"gatehouse.internal/auth-service/internal/auth"
	"gatehouse.internal/shared/fault"
)

// chooseAnother sets another password by mail.
func (h *harness) chooseAnother(email string) (device string) {
	h.t.Helper()
	if err := h.ForgotPassword(h.t.Context(), stranger(), email); err != nil {
		h.t.Fatal(err)
	}
	device, err := h.ResetPassword(h.t.Context(), stranger(), h.mailed(email, auth.MailResetPassword), otherPassword)
	if err != nil {
		h.t.Fatal(err)
	}
	return device
}

// Somebody who knows a password signs in often, and keeps a device token of each
// time for the day on which the owner chooses another.
func TestLogin_SW5_devicesOfBeforeAResetShareAnAllowance(t *testing.T) {
	h := onSQLite(t, limited)
	h.register("ada@example.com")
	phone := h.login("ada@example.com")
	var hoard []auth.Tokens
	for range 50 {
		hoard = append(hoard, h.login("ada@example.com"))
	}
	h.clock.advance(time.Minute)
	laptop := auth.Tokens{DeviceToken: h.chooseAnother("ada@example.com")}

	phone, err := h.Login(t.Context(), from("198.51.100.1", phone), "ada@example.com", otherPassword)
	if err != nil {
		t.Fatalf("the owner on a device of before: %v", err)
	}
	guesses := 0
	for _, d := range hoard {
		for range 20 {
			if err := h.tryLogin(from("203.0.113.5", d), "ada@example.com", wrong); fault.Is(err, fault.InvalidCredentials) {
				guesses++
			}
		}
	}
	if guesses != 100 {
		t.Errorf("%d wrong passwords were looked at from devices of before the reset, want 100", guesses)
	}
	for name, d := range map[string]auth.Tokens{"the device of the reset": laptop, "the phone, since it signed in anew": phone} {
		if err := h.tryLogin(from("203.0.113.9", d), "ada@example.com", otherPassword); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	wantKind(t, "the hoard with the right password", h.tryLogin(from("203.0.113.5", hoard[49]), "ada@example.com", otherPassword), fault.RateLimited)
}

func TestLogin_aDeviceThatKnewTheEarlierPasswordIsNews(t *testing.T) {
	h := onSQLite(t)
	h.register("ada@example.com")
	if err := h.VerifyEmail(t.Context(), stranger(), h.mailed("ada@example.com", auth.MailVerifyEmail)); err != nil {
		t.Fatal(err)
	}
	intruder := h.login("ada@example.com")
	h.clock.advance(time.Minute)
	mine, err := h.ChangePassword(t.Context(), h.with(h.login("ada@example.com")), goodPassword, otherPassword)
	if err != nil {
		t.Fatal(err)
	}
	letters := func() int { return len(h.letters("ada@example.com", auth.MailNewDevice)) }
	before := letters()
	if err := h.tryLogin(from("203.0.113.9", mine), "ada@example.com", otherPassword); err != nil || letters() != before {
		t.Errorf("the device on which the password was changed, elsewhere: %v, %d letters more", err, letters()-before)
	}
	if err := h.tryLogin(from("203.0.113.10", intruder), "ada@example.com", otherPassword); err != nil || letters() != before+1 {
		t.Errorf("a device that knew the password of before: %v, %d letters more, want 1", err, letters()-before)
	}
}
