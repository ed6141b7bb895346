package auth_test

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/descope/virtualwebauthn"
	"github.com/go-webauthn/webauthn/webauthn"

	"gatehouse.internal/auth-service/internal/auth"
	"gatehouse.internal/shared/embedded/testenv"
	"gatehouse.internal/shared/fault"
)

// key is a passkey in software.
type key struct {
	h      *harness
	rp     virtualwebauthn.RelyingParty
	device virtualwebauthn.Authenticator
	key    virtualwebauthn.Credential
}

func (h *harness) key(userID string) *key {
	return &key{
		h: h, rp: virtualwebauthn.RelyingParty{Name: "issuer.test", ID: "issuer.test", Origin: "https://issuer.test"},
		device: virtualwebauthn.NewAuthenticatorWithOptions(virtualwebauthn.AuthenticatorOptions{UserHandle: []byte(userID)}),
		key:    virtualwebauthn.NewCredential(virtualwebauthn.KeyTypeEC2),
	}
}

// create answers the question of a registration.
func (k *key) create(q auth.Question) []byte {
	k.h.t.Helper()
	options, err := virtualwebauthn.ParseAttestationOptions(string(q.Options))
	if err != nil {
		k.h.t.Fatal(err)
	}
	return []byte(virtualwebauthn.CreateAttestationResponse(k.rp, k.device, k.key, *options))
}

// sign answers the question of a sign-in, with a counter one higher.
func (k *key) sign(q auth.Question) []byte {
	k.h.t.Helper()
	options, err := virtualwebauthn.ParseAssertionOptions(string(q.Options))
	if err != nil {
		k.h.t.Fatal(err)
	}
	k.key.Counter++
	return []byte(virtualwebauthn.CreateAssertionResponse(k.rp, k.device, k.key, *options))
}

// beginPasskey asks for a new passkey in a session that has shown what it must.
func (h *harness) beginPasskey(tokens auth.Tokens) auth.Question {
	h.t.Helper()
	q, err := h.BeginPasskey(h.t.Context(), h.with(tokens), auth.Proof{Password: goodPassword})
	if err != nil {
		h.t.Fatalf("begin passkey: %v", err)
	}
	return q
}

// addPasskey registers a passkey in a session.
func (h *harness) addPasskey(tokens auth.Tokens) *key {
	h.t.Helper()
	k := h.key(tokens.Account.ID)
	q := h.beginPasskey(tokens)
	if _, _, err := h.AddPasskey(h.t.Context(), h.with(tokens), q.Token, "Key", k.create(q)); err != nil {
		h.t.Fatalf("add passkey: %v", err)
	}
	return k
}

// alone begins a sign-in by passkey alone.
func (h *harness) alone() auth.Question {
	h.t.Helper()
	q, err := h.BeginPasskeyLogin(h.t.Context())
	if err != nil {
		h.t.Fatal(err)
	}
	return q
}

// signInAlone signs in by passkey alone.
func (k *key) signInAlone() (auth.Tokens, error) {
	k.h.t.Helper()
	k.h.clock.advance(time.Millisecond)
	q := k.h.alone()
	return k.h.PasskeyLogin(k.h.t.Context(), stranger(), q.Token, k.sign(q))
}

// Each try of a signature takes the password, and so many tries there are.
func TestAddPasskey_aRefusedAnswerIsCountedAndUsesTheTokenUp(t *testing.T) {
	h := onSQLite(t, limited)
	tokens := h.newUser("ada@example.com")
	k, other := h.key(tokens.Account.ID), h.key(tokens.Account.ID)
	other.rp.Origin = "https://elsewhere.test"
	q := h.beginPasskey(tokens)
	add := func(answer []byte) error {
		_, _, err := h.AddPasskey(t.Context(), h.with(tokens), q.Token, "Key", answer)
		return err
	}
	wantKind(t, "an answer that cannot be read", add([]byte("{}")), fault.ValidationFailed)
	wantKind(t, "one of another site", add(other.create(q)), fault.InvalidCredentials)
	wantKind(t, "the right one, to the same question", add(k.create(q)), fault.InvalidCredentials)
	if n := h.written("mfa_factor_added failure bad_passkey"); n != 1 {
		t.Errorf("%d events tell of the refused passkey, want 1", n)
	}
	q = h.beginPasskey(tokens)
	wantKind(t, "the right one, to a new question", add(k.create(q)), "")
	var err error
	for range 100 {
		if err = add([]byte("{}")); fault.Is(err, fault.RateLimited) {
			return
		}
	}
	t.Errorf("a hundred answers: the last one got %v, want rate_limited", err)
}

// Whoever shows the token of somebody else must not have that user locked: two
// who show each other's would wait for each other, and everybody for them.
func TestPasskeys_theTokenOfAnotherUserLocksNobody(t *testing.T) {
	h := newHarness(t, testenv.Postgres(t))
	owner, thief := h.newUser("ada@example.com"), h.newUser("eve@example.com")
	h.addPasskey(owner)
	h.addPasskey(thief)
	register := h.beginPasskey(owner)
	stepUp, err := h.AskStepUp(t.Context(), h.with(owner))
	if err != nil {
		t.Fatal(err)
	}
	err = h.store.InTx(t.Context(), func(tx auth.Tx) error {
		if _, err := tx.LockUser(t.Context(), owner.Account.ID); err != nil {
			return err
		}
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		_, _, err := h.AddPasskey(ctx, h.with(thief), register.Token, "Key", []byte("{}"))
		wantKind(t, "a passkey by another's token while its owner is locked", err, fault.InvalidCredentials)
		_, err = h.StepUpByPasskey(ctx, h.with(thief), stepUp.Token, []byte("{}"))
		wantKind(t, "a step-up by another's token while its owner is locked", err, fault.InvalidCredentials)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// A sign-in by passkey is good once, also where a factor is removed meanwhile.
func TestPasskeyLogin_aUsedAnswerStaysUsed(t *testing.T) {
	h := onSQLite(t)
	owner := h.newUser("ada@example.com")
	k := h.addPasskey(owner)
	h.enrol(owner)
	q := h.alone()
	answer := k.sign(q)
	again := func() error {
		_, err := h.PasskeyLogin(t.Context(), stranger(), q.Token, answer)
		return err
	}
	wantKind(t, "the answer", again(), "")
	wantKind(t, "the answer again", again(), fault.InvalidCredentials)
	if err := h.RemoveTOTP(t.Context(), h.with(owner), auth.Proof{Password: goodPassword}); err != nil {
		t.Fatal(err)
	}
	// The counter of a synced passkey stays 0, so nothing else refuses it.
	if _, err := h.db.ExecContext(t.Context(), `UPDATE passkeys SET record = $1`, h.record(owner, 0)); err != nil {
		t.Fatal(err)
	}
	wantKind(t, "the answer again, after a factor was removed", again(), fault.InvalidCredentials)
}

// record is the user's only passkey with its counter set back.
func (h *harness) record(tokens auth.Tokens, counter uint32) []byte {
	h.t.Helper()
	all, err := h.store.Passkeys(h.t.Context(), tokens.Account.ID)
	if err != nil || len(all) != 1 {
		h.t.Fatalf("%d passkeys (%v), want 1", len(all), err)
	}
	var c webauthn.Credential
	if err := json.Unmarshal(all[0].Record, &c); err != nil {
		h.t.Fatal(err)
	}
	c.Authenticator.SignCount = counter
	out, err := json.Marshal(c)
	if err != nil {
		h.t.Fatal(err)
	}
	return out
}

// reset sets another password by a mailed link.
func (h *harness) reset(email, next string) {
	h.t.Helper()
	if err := h.ForgotPassword(h.t.Context(), stranger(), email); err != nil {
		h.t.Fatal(err)
	}
	if _, err := h.ResetPassword(h.t.Context(), stranger(), h.mailed(email, auth.MailResetPassword), next); err != nil {
		h.t.Fatal(err)
	}
}

// Somebody had the password and added a passkey. The owner resets the password.
func TestResetPassword_aPasskeyDoesNotOutliveItAlone(t *testing.T) {
	testenv.EachDatabase(t, func(t *testing.T, url string) {
		h := newHarness(t, url)
		tokens := h.newUser("ada@example.com")
		if err := h.ConfirmEmail(t.Context(), stranger(), auth.Confirmation{Token: h.mailed("ada@example.com", auth.MailVerifyEmail)}); err != nil {
			t.Fatal(err)
		}
		k := h.addPasskey(tokens)
		if _, err := k.signInAlone(); err != nil {
			t.Fatal(err)
		}
		h.reset("ada@example.com", otherPassword)
		_, err := k.signInAlone()
		wantKind(t, "the passkey alone after the reset", err, fault.InvalidCredentials)
		if got := h.audited(1); !slices.Equal(got, []string{"login failure password_first"}) {
			t.Errorf("audited %q", got)
		}
		letters := h.letters("ada@example.com", auth.MailPasswordChanged)
		if len(letters) != 1 || letters[0].Data[auth.DataPasskeys] != "1" {
			t.Errorf("letters %v, want one that tells of 1 passkey", letters)
		}

		h.clock.advance(time.Millisecond)
		_, err = h.Login(t.Context(), stranger(), "ada@example.com", otherPassword)
		f, ok := errors.AsType[*fault.Error](err)
		if !ok || f.Kind != fault.MFARequired { // who reads the mail still shows the factor
			t.Fatalf("the new password alone: %v, want mfa_required", err)
		}
		mfa, _ := f.Extra["mfa_token"].(string)
		q, err := h.AskPasskey(t.Context(), stranger(), mfa)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := h.CompleteLoginByPasskey(t.Context(), stranger(), mfa, k.sign(q)); err != nil {
			t.Errorf("the passkey beside the new password: %v", err)
		}
		if _, err := k.signInAlone(); err != nil {
			t.Errorf("the passkey alone from then on: %v", err)
		}
	})
}

// Whoever knows the password before and shows the factor has the account.
func TestChangePassword_passkeysSignInAloneAsBefore(t *testing.T) {
	h := onSQLite(t)
	tokens := h.newUser("ada@example.com")
	k := h.addPasskey(tokens)
	if _, err := h.ChangePassword(t.Context(), h.with(tokens), goodPassword, otherPassword); err != nil {
		t.Fatal(err)
	}
	if _, err := k.signInAlone(); err != nil {
		t.Errorf("the passkey alone: %v", err)
	}
}
