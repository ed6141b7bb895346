package auth_test

import (
	"slices"
	"testing"

	"gatehouse.internal/auth-service/internal/auth"
	"gatehouse.internal/shared/contract"
	"gatehouse.internal/shared/embedded/testenv"
	"gatehouse.internal/shared/fault"
)

// Somebody who got hold of a factor signs in with it. The owner removes it, and
// sets another one up later.
func TestFactors_aLaterOneGivesNothingBackToSessionsThatShowedAnEarlierOne(t *testing.T) {
	testenv.EachDatabase(t, func(t *testing.T, url string) {
		h := newHarness(t, url, func(c *auth.Config) { c.MFARoles = []string{contract.RoleAdmin} })
		owner := h.newAdmin("root@example.com")
		stolen, _ := h.enrol(owner)
		thief := h.mustSecondStep("root@example.com", stolen.next())
		if !h.with(thief).Claims.HasRole(contract.RoleAdmin) {
			t.Fatal("the thief's token does not name the role that takes a factor")
		}
		if err := h.RemoveTOTP(t.Context(), h.with(owner), auth.Proof{Password: goodPassword}); err != nil {
			t.Fatal(err)
		}
		for whose, tokens := range map[string]auth.Tokens{"the thief's": thief, "the owner's": owner} { // and not only once they expire
			if v := h.gateway.verdict(t, h.with(tokens).Claims); v != fault.TokenStale {
				t.Errorf("%s token after the factor was removed: a gateway says %q, want token_stale", whose, v)
			}
		}
		owner, _ = h.refreshed(owner)
		h.enrol(owner)
		thief, c := h.refreshed(thief)
		if c.SecondFactor() || c.HasRole(contract.RoleAdmin) || !slices.Equal(c.Withheld, []string{contract.RoleAdmin}) {
			t.Errorf("the thief's session has methods %v, roles %v, withheld %v", c.Methods, c.Roles, c.Withheld)
		}
		proof := auth.Proof{Password: goodPassword}
		wantKind(t, "the thief removes the new factor", h.RemoveTOTP(t.Context(), h.with(thief), proof), fault.InvalidCredentials)
		_, err := h.NewRecoveryCodes(t.Context(), h.with(thief), proof)
		wantKind(t, "the thief makes recovery codes", err, fault.InvalidCredentials)
		_, err = h.EnrolTOTP(t.Context(), h.with(thief), "")
		wantKind(t, "the thief begins another app", err, fault.MFARequired)
		if _, c := h.refreshed(owner); !c.SecondFactor() || !c.HasRole(contract.RoleAdmin) {
			t.Errorf("the owner's session has methods %v, roles %v", c.Methods, c.Roles)
		}
		if n := h.revocations(); n != 1 {
			t.Errorf("%d revocations, want the one of stale tokens: the sessions live on", n)
		}
	})
}

// A session may say so from before removals were noted in it.
func TestFactors_theFirstOneIsShownByItsOwnSessionAlone(t *testing.T) {
	h := onSQLite(t)
	owner, other := h.newUser("ada@example.com"), h.login("ada@example.com")
	if _, err := h.db.ExecContext(t.Context(), `UPDATE sessions SET methods = 'pwd,otp,mfa'`); err != nil {
		t.Fatal(err)
	}
	a, _ := h.enrol(owner)
	if _, c := h.refreshed(other); c.SecondFactor() {
		t.Errorf("a session that has not shown the first factor has methods %v", c.Methods)
	}
	if got, err := h.StepUp(t.Context(), h.with(other), a.next()); err != nil || !h.with(got).Claims.SecondFactor() {
		t.Errorf("the same session, having shown it: %v", err)
	}
}

// Nobody but this session has shown the factor, and no role depends on it: its
// own token tells nothing that is false.
func TestRemoveTOTP_aTokenThatTellsNothingOfItStaysGood(t *testing.T) {
	h := onSQLite(t)
	owner := h.newUser("ada@example.com")
	h.enrol(owner)
	if err := h.RemoveTOTP(t.Context(), h.with(owner), auth.Proof{Password: goodPassword}); err != nil {
		t.Fatal(err)
	}
	h.alive("the token", owner)
}

func TestRemoveTOTP_otherSessionsShowWhatIsLeft(t *testing.T) {
	h := onSQLite(t)
	owner := h.newUser("ada@example.com")
	a, _ := h.enrol(owner)
	other := h.mustSecondStep("ada@example.com", a.next())
	err := h.store.InTx(t.Context(), func(tx auth.Tx) error { // a passkey beside the app
		return tx.AddPasskey(t.Context(), auth.Passkey{ID: "p", UserID: owner.Account.ID, CredentialID: []byte{1}, Record: []byte("{}"), CreatedAt: h.clock.Now()})
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := h.RemoveTOTP(t.Context(), h.with(owner), auth.Proof{Password: goodPassword}); err != nil {
		t.Fatal(err)
	}
	if _, c := h.refreshed(owner); !c.SecondFactor() {
		t.Error("the session that removed one of two factors has to show the other")
	}
	if _, c := h.refreshed(other); c.SecondFactor() {
		t.Error("another session counts as one that has shown the factor that is left")
	}
}
