package auth_test

import (
	"errors"
	"testing"
	"time"

	"gatehouse.internal/auth-service/internal/auth"
	"gatehouse.internal/shared/contract"
	"gatehouse.internal/shared/embedded/testenv"
	"gatehouse.internal/shared/fault"
)

// Somebody has an access token of another's, and neither password nor refresh
// token.
func TestEnrolTOTP_aStolenTokenDoesNotSetAnAppUp(t *testing.T) {
	testenv.EachDatabase(t, func(t *testing.T, url string) {
		h := newHarness(t, url)
		stolen := h.newUser("ada@example.com")
		h.clock.advance(10*time.Minute + time.Second)
		enrol := func(password string) error {
			_, err := h.EnrolTOTP(t.Context(), h.with(stolen), password)
			return err
		}
		f, ok := errors.AsType[*fault.Error](enrol(""))
		if !ok || f.Kind != fault.ValidationFailed || len(f.Fields) != 1 || f.Fields[0].Field != "password" {
			t.Errorf("without the password: %v, want validation_failed of the password", f)
		}
		wantKind(t, "with a wrong password", enrol(otherPassword), fault.InvalidCredentials)
		_, err := h.ConfirmTOTP(t.Context(), h.with(stolen), "123456")
		wantKind(t, "a confirmation of what was not begun", err, fault.Conflict)
		wantKind(t, "the owner, who has the password", enrol(goodPassword), "")
	})
}

// The token was stolen just after the sign-in, so its thief sets an app up.
func TestStepUp_aStolenTokenNeitherLivesOnNorGainsRoles(t *testing.T) {
	h := onSQLite(t, func(c *auth.Config) { c.MFARoles = []string{contract.RoleAdmin} })
	stolen := h.newAdmin("root@example.com")
	a, codes := h.enrol(stolen)
	for what, code := range map[string]string{"a code of its own app": a.next(), "a recovery code": codes[0]} {
		got, err := h.StepUp(t.Context(), h.with(stolen), code)
		wantKind(t, what, err, fault.Conflict)
		if got.AccessToken != "" {
			t.Errorf("%s gave a token", what)
		}
	}
	if left, err := h.Factors(t.Context(), h.with(stolen)); err != nil || left.RecoveryCodes != len(codes) {
		t.Errorf("%d recovery codes are left (%v), want all: none was of use", left.RecoveryCodes, err)
	}
}

func TestStepUp_itsTokenExpiresWithTheOneThatWasShown(t *testing.T) {
	h := onSQLite(t)
	old, other := h.newUser("ada@example.com"), h.login("ada@example.com")
	a, _ := h.enrol(other)
	h.clock.advance(5 * time.Minute)
	got, err := h.StepUp(t.Context(), h.with(old), a.next())
	if err != nil {
		t.Fatal(err)
	}
	was, now := h.with(old).Claims, h.with(got).Claims
	if !now.ExpiresAt.Equal(was.ExpiresAt) || got.ExpiresIn != was.ExpiresAt.Sub(now.IssuedAt) {
		t.Errorf("a token until %v gave one until %v, for %v", was.ExpiresAt, now.ExpiresAt, got.ExpiresIn)
	}
}

func TestStepUp_aTokenThatExpiredWithinTheLeewayGivesNone(t *testing.T) {
	h := onSQLite(t)
	old, other := h.newUser("ada@example.com"), h.login("ada@example.com")
	a, _ := h.enrol(other)
	c := h.with(old)
	h.clock.advance(15 * time.Minute)
	_, err := h.StepUp(t.Context(), c, a.next())
	wantKind(t, "step-up", err, fault.TokenExpired)
}

// The password of an account that has a second factor is not enough, wherever
// it is asked for again.
func TestConfirm_takesTheSecondFactorToo(t *testing.T) {
	h := onSQLite(t)
	old, other := h.newUser("ada@example.com"), h.login("ada@example.com")
	a, _ := h.enrol(other)
	for what, try := range map[string]func(password string) error{
		"another password": func(password string) error {
			_, err := h.ChangePassword(t.Context(), h.with(old), password, otherPassword)
			return err
		},
		"another address": func(password string) error {
			return h.ChangeEmail(t.Context(), h.with(old), "new@example.com", password)
		},
		"deletion": func(password string) error { return h.DeleteAccount(t.Context(), h.with(old), password) },
	} {
		wantKind(t, what, try(goodPassword), fault.MFARequired)
		wantKind(t, what+" with a wrong password, which the answer must not tell", try(otherPassword), fault.MFARequired)
	}
	h.alive("the account", other)
	if _, err := h.StepUp(t.Context(), h.with(old), a.next()); err != nil {
		t.Fatal(err)
	}
	if err := h.DeleteAccount(t.Context(), h.with(old), goodPassword); err != nil {
		t.Errorf("deletion by a session that has shown the factor: %v", err)
	}
}
