package auth_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gatehouse.internal/auth-service/internal/auth"
	"gatehouse.internal/shared/embedded/testenv"
	"gatehouse.internal/shared/fault"
)

const (
	victim       = "ada@example.com"
	evesPassword = "the password of an attacker 1"
)

// registers registers the victim's address with a password.
func (h *harness) registers(password string) {
	h.t.Helper()
	h.clock.advance(time.Second)
	if err := h.Register(h.t.Context(), stranger(), auth.Registration{Email: victim, Password: password}); err != nil {
		h.t.Fatal(err)
	}
}

// opens tells which of the two passwords opens the account.
func (h *harness) opens() []string {
	h.t.Helper()
	var out []string
	for name, password := range map[string]string{"owner": goodPassword, "attacker": evesPassword} {
		h.clock.advance(time.Millisecond)
		if _, err := h.Login(h.t.Context(), stranger(), victim, password); err == nil {
			out = append(out, name)
		} else if !fault.Is(err, fault.InvalidCredentials) {
			h.t.Fatal(err)
		}
	}
	return out
}

func TestRegister_whoConfirmsAnAddressDoesNotConfirmAnAttackersPassword(t *testing.T) {
	for name, order := range map[string][]string{
		"the attacker first": {evesPassword, goodPassword},
		"the attacker last":  {goodPassword, evesPassword},
		"the attacker alone": {evesPassword},
		"again and again":    {goodPassword, evesPassword, evesPassword, goodPassword, evesPassword},
	} {
		t.Run(name, func(t *testing.T) {
			testenv.EachDatabase(t, func(t *testing.T, url string) {
				h := newHarness(t, url)
				for _, password := range order {
					h.registers(password)
				}
				var held auth.Tokens
				if order[0] == evesPassword {
					var err error
					if held, err = h.Login(t.Context(), stranger(), victim, evesPassword); err != nil {
						t.Fatal(err)
					}
					if err := h.ChangeEmail(t.Context(), h.with(held), "eve@example.com", evesPassword); err != nil {
						t.Fatal(err)
					}
				}
				links := h.letters(victim, auth.MailVerifyEmail)
				if len(links) != len(order) {
					t.Fatalf("%d letters for %d registrations", len(links), len(order))
				}
				token := links[0].Data[auth.DataToken] // every link is as good as the other: it proves who reads the mail
				if len(order) > 1 {
					err := h.VerifyEmail(t.Context(), stranger(), token)
					wantKind(t, "without a password", err, fault.ValidationFailed)
					if diff := cmp.Diff([]string{"new_password"}, fieldNames(err)); diff != "" {
						t.Errorf("fields (-want +got):\n%s", diff)
					}
				}
				in := auth.Confirmation{Token: token, Password: goodPassword}
				if err := h.ConfirmEmail(t.Context(), stranger(), in); err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff([]string{"owner"}, h.opens()); diff != "" {
					t.Errorf("who can sign in (-want +got):\n%s", diff)
				}
				u, err := h.store.UserByEmail(t.Context(), victim)
				if err != nil || !u.EmailVerified {
					t.Errorf("verified %v (%v)", u.EmailVerified, err)
				}
				for _, l := range links {
					wantKind(t, "another link", h.VerifyEmail(t.Context(), stranger(), l.Data[auth.DataToken]), fault.ValidationFailed)
				}
				if order[0] == evesPassword {
					h.dead("what the attacker had opened", held)
					wantKind(t, "the attacker's change of address",
						h.VerifyEmail(t.Context(), stranger(), h.mailed("eve@example.com", auth.MailChangeEmail)), fault.ValidationFailed)
				}
			})
		})
	}
}

func TestRegister_againTakesNothingFromAnybody(t *testing.T) {
	h := onSQLite(t)
	h.registers(goodPassword)
	mine, err := h.Login(t.Context(), stranger(), victim, goodPassword)
	if err != nil {
		t.Fatal(err)
	}
	h.registers(evesPassword)
	h.alive("the session of who registered first", mine)
	if diff := cmp.Diff([]string{"owner"}, h.opens()); diff != "" {
		t.Errorf("who can sign in before the address is confirmed (-want +got):\n%s", diff)
	}
	if err := h.ResendVerification(t.Context(), h.with(mine)); err != nil {
		t.Fatal(err)
	}
	wantKind(t, "a link that was asked for afterwards", h.VerifyEmail(t.Context(), stranger(), h.mailed(victim, auth.MailVerifyEmail)), fault.ValidationFailed)
	if got := len(h.letters(victim, auth.MailAlreadyRegistered)); got != 0 {
		t.Errorf("%d letters say that there is an account already, and nobody has confirmed one", got)
	}
}

func TestConfirmEmail_aPasswordThatIsTheAccountsOwnChangesNothing(t *testing.T) {
	h := onSQLite(t)
	h.registers(goodPassword)
	mine, err := h.Login(t.Context(), stranger(), victim, goodPassword)
	if err != nil {
		t.Fatal(err)
	}
	token := h.mailed(victim, auth.MailVerifyEmail)
	confirm := func(password string, keep bool) error {
		return h.ConfirmEmail(t.Context(), stranger(), auth.Confirmation{Token: token, Password: password, Keep: keep})
	}
	wantKind(t, "another password, to be kept", confirm(otherPassword, true), fault.InvalidCredentials)
	wantKind(t, "a weak password", confirm("password", false), fault.WeakPassword)
	if err := confirm(goodPassword, true); err != nil {
		t.Fatal(err)
	}
	h.alive("the session", mine)
	if got := len(h.letters(victim, auth.MailPasswordChanged)); got != 0 {
		t.Errorf("%d letters about a changed password", got)
	}
	asks, err := h.LookAtConfirmation(t.Context(), token)
	if err != nil || asks != (auth.Confirming{}) {
		t.Errorf("a used link asks for %+v (%v)", asks, err)
	}
}

func TestResetPassword_ofAContestedAddressSettlesIt(t *testing.T) {
	h := onSQLite(t)
	h.registers(evesPassword)
	held, err := h.Login(t.Context(), stranger(), victim, evesPassword)
	if err != nil {
		t.Fatal(err)
	}
	h.registers(otherPassword)
	if err := h.ForgotPassword(t.Context(), stranger(), victim); err != nil {
		t.Fatal(err)
	}
	if _, err := h.ResetPassword(t.Context(), stranger(), h.mailed(victim, auth.MailResetPassword), goodPassword); err != nil {
		t.Fatal(err)
	}
	h.dead("what the attacker had opened", held)
	u, err := h.store.UserByEmail(t.Context(), victim)
	if err != nil {
		t.Fatal(err)
	}
	if contested, err := h.store.Contested(t.Context(), u.ID); contested || err != nil || !u.EmailVerified || u.MFAEnabled {
		t.Errorf("contested %v (%v), user %+v", contested, err, u)
	}
}

func TestPasswords_aNewOneStopsAChangeOfAddress(t *testing.T) {
	h := onSQLite(t)
	thief, owner := h.newUser(victim), h.login(victim)
	if err := h.ChangeEmail(t.Context(), h.with(thief), "eve@example.com", goodPassword); err != nil {
		t.Fatal(err)
	}
	if _, err := h.ChangePassword(t.Context(), h.with(owner), goodPassword, otherPassword); err != nil {
		t.Fatal(err)
	}
	wantKind(t, "the thief's link", h.VerifyEmail(t.Context(), stranger(), h.mailed("eve@example.com", auth.MailChangeEmail)), fault.ValidationFailed)
}
