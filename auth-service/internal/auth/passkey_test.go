package auth_test

import (
	"context"
	"testing"
	"time"

	"github.com/descope/virtualwebauthn"

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
