package auth_test

import (
	"bytes"
	"encoding/base32"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/pquerna/otp/totp"

	"gatehouse.internal/auth-service/internal/auth"
	"gatehouse.internal/shared/contract"
	"gatehouse.internal/shared/embedded/testenv"
	"gatehouse.internal/shared/fault"
)

// app is an authenticator app.
type app struct {
	h      *harness
	secret string
}

// code is what the app shows now.
func (a app) code() string {
	a.h.t.Helper()
	code, err := totp.GenerateCode(a.secret, a.h.clock.Now())
	if err != nil {
		a.h.t.Fatal(err)
	}
	return code
}

// next is what the app shows in the next step, so that it was never used.
func (a app) next() string {
	a.h.clock.advance(30 * time.Second)
	return a.code()
}

// wrong is a code that the app does not show around now.
func (a app) wrong() string {
	for _, code := range []string{"000000", "000001", "000002", "000003"} {
		near := false
		for step := -1; step <= 1; step++ {
			c, err := totp.GenerateCode(a.secret, a.h.clock.Now().Add(time.Duration(step)*30*time.Second))
			near = near || err != nil || c == code
		}
		if !near {
			return code
		}
	}
	a.h.t.Fatal("four codes are right at once")
	return ""
}

// enrol sets an authenticator app up in a session.
func (h *harness) enrol(tokens auth.Tokens) (app, []string) {
	h.t.Helper()
	e, err := h.EnrolTOTP(h.t.Context(), h.with(tokens), "")
	if err != nil {
		h.t.Fatalf("enrol: %v", err)
	}
	a := app{h: h, secret: e.Secret}
	codes, err := h.ConfirmTOTP(h.t.Context(), h.with(tokens), a.next())
	if err != nil {
		h.t.Fatalf("confirm: %v", err)
	}
	return a, codes
}

// firstStep signs in with the password and returns the challenge's token.
func (h *harness) firstStep(email string) string {
	h.t.Helper()
	h.clock.advance(time.Millisecond)
	_, err := h.Login(h.t.Context(), stranger(), email, goodPassword)
	f, ok := errors.AsType[*fault.Error](err)
	if !ok || f.Kind != fault.MFARequired {
		h.t.Fatalf("login: %v, want mfa_required", err)
	}
	token, _ := f.Extra["mfa_token"].(string)
	if token == "" {
		h.t.Fatalf("mfa_required without a token: %v", f.Extra)
	}
	return token
}

func (h *harness) secondStep(token, code string) (auth.Tokens, error) {
	return h.CompleteLogin(h.t.Context(), stranger(), token, code)
}

// mustSecondStep signs in altogether.
func (h *harness) mustSecondStep(email, code string) auth.Tokens {
	h.t.Helper()
	out, err := h.secondStep(h.firstStep(email), code)
	if err != nil {
		h.t.Fatalf("second step: %v", err)
	}
	return out
}

func TestTOTP_isAskedForOnceItIsConfirmed(t *testing.T) {
	h := onSQLite(t)
	tokens := h.newUser("ada@example.com")
	e, err := h.EnrolTOTP(t.Context(), h.with(tokens), "")
	if err != nil {
		t.Fatal(err)
	}
	h.login("ada@example.com") // an app that nobody has confirmed locks nobody out
	a := app{h, e.Secret}
	_, err = h.ConfirmTOTP(t.Context(), h.with(tokens), a.wrong())
	wantKind(t, "confirm with a wrong code", err, fault.InvalidCredentials)
	codes, err := h.ConfirmTOTP(t.Context(), h.with(tokens), a.code())
	if err != nil || len(codes) != 10 {
		t.Fatalf("confirm: %v, %v", codes, err)
	}
	_, err = h.EnrolTOTP(t.Context(), h.with(tokens), "")
	wantKind(t, "a second app", err, fault.Conflict)
	if me, err := h.Me(t.Context(), h.with(tokens)); err != nil || !me.MFAEnabled {
		t.Errorf("account %+v (%v), want mfa enabled", me, err)
	}
	token := h.firstStep("ada@example.com")
	_, err = h.secondStep(token, a.code())
	wantKind(t, "the code that confirmed", err, fault.InvalidCredentials)
	out, err := h.secondStep(token, a.next())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"pwd", "otp", "mfa"}, h.with(out).Claims.Methods); diff != "" {
		t.Errorf("amr (-want +got):\n%s", diff)
	}
	h.clock.advance(time.Minute)
	again, err := h.Refresh(t.Context(), stranger(), out.RefreshToken)
	if err != nil || !h.with(again).Claims.SecondFactor() {
		t.Errorf("a refresh (%v) has lost the second factor", err)
	}
	if again, err = h.Refresh(t.Context(), stranger(), tokens.RefreshToken); err != nil || !h.with(again).Claims.SecondFactor() {
		t.Errorf("the session that confirmed the app (%v) has not shown it", err)
	}
	if n := len(h.letters("ada@example.com", auth.MailFactorAdded)); n != 1 {
		t.Errorf("%d letters about the new factor, want 1", n)
	}
}

func TestTOTP_theSecretIsStoredSealed(t *testing.T) {
	h := onSQLite(t)
	a, codes := h.enrol(h.newUser("ada@example.com"))
	var sealed []byte
	if err := h.db.Get(&sealed, `SELECT sealed FROM totp_factors`); err != nil {
		t.Fatal(err)
	}
	plain, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(a.secret)
	if err != nil || bytes.Contains(sealed, plain) || bytes.Contains(sealed, []byte(a.secret)) {
		t.Errorf("the secret is stored in clear (%v)", err)
	}
	var hashes [][]byte
	if err := h.db.Select(&hashes, `SELECT hash FROM recovery_codes`); err != nil || len(hashes) != len(codes) {
		t.Fatalf("%d hashes (%v)", len(hashes), err)
	}
	for _, hash := range hashes {
		if len(hash) != 32 || slices.ContainsFunc(codes, func(c string) bool { return strings.Contains(string(hash), c) }) {
			t.Error("a recovery code is stored in clear")
		}
	}
	// A row that was moved to another user opens for nobody.
	other := h.newUser("eve@example.com")
	if _, err := h.EnrolTOTP(t.Context(), h.with(other), ""); err != nil {
		t.Fatal(err)
	}
	if _, err := h.db.Exec(`UPDATE totp_factors SET sealed = $1`, sealed); err != nil {
		t.Fatal(err)
	}
	_, err = h.ConfirmTOTP(t.Context(), h.with(other), a.next())
	wantKind(t, "another's secret", err, fault.Internal)
}

func TestCompleteLogin_takesACodeOnceAlsoWithTwoReplicas(t *testing.T) {
	testenv.EachDatabase(t, func(t *testing.T, url string) {
		h := newHarness(t, url)
		a, codes := h.enrol(h.newUser("ada@example.com"))
		replica, err := auth.New(h.config, auth.Parts{Store: h.store, Signer: h.signer, Verifier: h.signer, Revoker: h.gateway,
			Hasher: h.hasher, Codes: h.codes, Now: h.clock.Now})
		if err != nil {
			t.Fatal(err)
		}
		for _, recovery := range []bool{false, true} {
			const n = 8
			what, code := "a code", a.next()
			if recovery {
				what, code = "a recovery code", codes[0]
			}
			var begun []string
			for range n {
				begun = append(begun, h.firstStep("ada@example.com"))
			}
			errs := make([]error, n)
			var callers sync.WaitGroup
			for i := range n {
				service := []*auth.Service{h.Service, replica}[i%2]
				callers.Go(func() { _, errs[i] = service.CompleteLogin(t.Context(), stranger(), begun[i], code) })
			}
			callers.Wait()
			in := 0
			for _, err := range errs {
				if err == nil {
					in++
				} else if k := fault.KindOf(err); k != fault.InvalidCredentials && k != fault.RateLimited {
					t.Errorf("%s: %v", what, err)
				}
			}
			if in != 1 {
				t.Errorf("%s signed in %d times, want once", what, in)
			}
			h.clock.advance(25 * time.Hour) // past any block
		}
	})
}

func TestCompleteLogin_aChallengeIsBoundAndShortLivedAndUsedOnce(t *testing.T) {
	h := onSQLite(t)
	session := h.newUser("ada@example.com")
	a, _ := h.enrol(session)
	refused := func(what, token, code string) {
		t.Helper()
		if _, err := h.secondStep(token, code); !fault.Is(err, fault.InvalidCredentials) {
			t.Errorf("%s: %v, want invalid_credentials", what, err)
		}
	}
	refused("a token that was never made", "nonsense", a.next())

	token := h.firstStep("ada@example.com")
	if _, err := h.secondStep(token, a.next()); err != nil {
		t.Fatal(err)
	}
	refused("a token that was used", token, a.next())

	token = h.firstStep("ada@example.com")
	h.clock.advance(5 * time.Minute)
	refused("a token that has expired", token, a.code())

	token = h.firstStep("ada@example.com")
	for range 5 {
		refused("a wrong code", token, "not a recovery code")
	}
	refused("a token with five wrong answers", token, a.next())

	token = h.firstStep("ada@example.com")
	if _, err := h.ChangePassword(t.Context(), h.with(session), goodPassword, otherPassword); err != nil {
		t.Fatal(err)
	}
	refused("a token from before the password was changed", token, a.next())
}

func TestCompleteLogin_wrongCodesBlockCodesAndNotRecoveryCodes(t *testing.T) {
	testenv.EachDatabase(t, func(t *testing.T, url string) {
		h := newHarness(t, url)
		a, codes := h.enrol(h.newUser("ada@example.com"))
		// Guesses at once count one by one.
		var guesses sync.WaitGroup
		for range 10 {
			token, wrong := h.firstStep("ada@example.com"), a.wrong()
			guesses.Go(func() { _, _ = h.secondStep(token, wrong) })
		}
		guesses.Wait()
		_, err := h.secondStep(h.firstStep("ada@example.com"), a.next())
		f, ok := errors.AsType[*fault.Error](err)
		if !ok || f.Kind != fault.RateLimited || f.RetryAfter <= 0 {
			t.Fatalf("a right code after ten wrong ones: %v, want rate_limited", err)
		}
		if n := len(h.letters("ada@example.com", auth.MailCodesRefused)); n != 1 {
			t.Errorf("%d letters about wrong codes, want 1", n)
		}
		h.mustSecondStep("ada@example.com", codes[3]) // the owner is not locked out
		_, err = h.secondStep(h.firstStep("ada@example.com"), strings.ToUpper(codes[3]))
		wantKind(t, "a recovery code again", err, fault.InvalidCredentials)
		h.mustSecondStep("ada@example.com", strings.ToUpper(strings.ReplaceAll(codes[4], "-", " ")))
		h.clock.advance(f.RetryAfter)
		h.mustSecondStep("ada@example.com", a.next())
		_, err = h.secondStep(h.firstStep("ada@example.com"), a.wrong())
		wantKind(t, "the next wrong code", err, fault.InvalidCredentials)
	})
}

func TestStepUp_givesATokenOfTheSameSession(t *testing.T) {
	h := onSQLite(t)
	old := h.newUser("ada@example.com")
	other := h.login("ada@example.com")
	a, _ := h.enrol(other)
	_, err := h.StepUp(t.Context(), h.with(old), a.code())
	wantKind(t, "a used code", err, fault.InvalidCredentials)
	if h.with(old).Claims.SecondFactor() {
		t.Fatal("a session that has shown no factor has one")
	}
	got, err := h.StepUp(t.Context(), h.with(old), a.next())
	if err != nil {
		t.Fatal(err)
	}
	c := h.with(got).Claims
	if c.SessionID != old.SessionID || !c.SecondFactor() || got.RefreshToken != "" {
		t.Errorf("step-up gave session %s with %v and refresh token %q", c.SessionID, c.Methods, got.RefreshToken)
	}
	h.alive("the token from before", old)
	again, err := h.Refresh(t.Context(), stranger(), old.RefreshToken)
	if err != nil || !h.with(again).Claims.SecondFactor() {
		t.Errorf("a refresh (%v) has lost the second factor", err)
	}
	nobody := h.newUser("eve@example.com")
	_, err = h.StepUp(t.Context(), h.with(nobody), "123456")
	wantKind(t, "without a second factor", err, fault.Conflict)
}

func TestRemoveTOTP_takesThePasswordAndAFactor(t *testing.T) {
	h := onSQLite(t)
	plain := h.newUser("ada@example.com")
	shown := h.login("ada@example.com")
	a, codes := h.enrol(shown)
	remove := func(by auth.Tokens, password, code string) error {
		return h.RemoveTOTP(t.Context(), h.with(by), auth.Proof{Password: password, Code: code})
	}
	wantKind(t, "a wrong password", remove(shown, otherPassword, ""), fault.InvalidCredentials)
	wantKind(t, "a session that has shown no factor, without a code", remove(plain, goodPassword, ""), fault.InvalidCredentials)
	wantKind(t, "with a wrong code", remove(plain, goodPassword, a.wrong()), fault.InvalidCredentials)
	fresh, err := h.NewRecoveryCodes(t.Context(), h.with(plain), auth.Proof{Password: goodPassword, Code: a.next()})
	if err != nil || slices.Contains(fresh, codes[0]) {
		t.Fatalf("new recovery codes %v: %v", fresh, err)
	}
	_, err = h.secondStep(h.firstStep("ada@example.com"), codes[0])
	wantKind(t, "a recovery code from before", err, fault.InvalidCredentials)
	wantKind(t, "a session that has shown a factor", remove(shown, goodPassword, ""), "")
	wantKind(t, "again", remove(shown, goodPassword, ""), fault.NotFound)
	if f, err := h.Factors(t.Context(), h.with(shown)); err != nil || f.Enabled || f.TOTP || f.RecoveryCodes != 0 {
		t.Errorf("factors %+v (%v), want none", f, err)
	}
	h.login("ada@example.com")
	if n := len(h.letters("ada@example.com", auth.MailFactorRemoved)); n != 1 {
		t.Errorf("%d letters about the removal, want 1", n)
	}
}

func TestResetFactors_byAnAdministratorEndsTheSessions(t *testing.T) {
	h := onSQLite(t)
	root := h.newAdmin("root@example.com")
	tokens := h.newUser("ada@example.com")
	h.enrol(tokens)
	wantKind(t, "by the user", h.ResetFactors(t.Context(), h.with(tokens), tokens.Account.ID), fault.InsufficientRole)
	wantKind(t, "reset", h.ResetFactors(t.Context(), h.with(root), tokens.Account.ID), "")
	wantKind(t, "again", h.ResetFactors(t.Context(), h.with(root), tokens.Account.ID), "")
	h.dead("a session from before", tokens)
	h.login("ada@example.com")
	if n := len(h.letters("ada@example.com", auth.MailFactorsReset)); n != 1 {
		t.Errorf("%d letters about the reset, want 1", n)
	}
}

func TestMFARoles_countWithASecondFactorOnly(t *testing.T) {
	h := onSQLite(t, func(c *auth.Config) { c.MFARoles = []string{contract.RoleAdmin} })
	root := h.newAdmin("root@example.com")
	victim := h.newUser("ada@example.com")
	c := h.with(root).Claims
	if c.HasRole(contract.RoleAdmin) || !c.HasRole(contract.RoleUser) || !slices.Equal(c.Withheld, []string{contract.RoleAdmin}) {
		t.Errorf("roles %v, withheld %v", c.Roles, c.Withheld)
	}
	wantKind(t, "an administrator without the factor", h.LockUser(t.Context(), h.with(root), victim.Account.ID), fault.InsufficientRole)
	h.enrol(root)
	h.clock.advance(time.Second)
	root, err := h.Refresh(t.Context(), stranger(), root.RefreshToken)
	if err != nil {
		t.Fatal(err)
	}
	if c := h.with(root).Claims; !c.HasRole(contract.RoleAdmin) || len(c.Withheld) != 0 {
		t.Errorf("after the factor: roles %v, withheld %v", c.Roles, c.Withheld)
	}
	wantKind(t, "an administrator with the factor", h.LockUser(t.Context(), h.with(root), victim.Account.ID), "")
}
