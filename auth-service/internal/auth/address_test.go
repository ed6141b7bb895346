package auth_test

import (
	"context"
	"strings"
	"testing"

	"gatehouse.internal/auth-service/internal/auth"
	"gatehouse.internal/shared/fault"
)

// watchedStore notes the addresses that are looked up.
type watchedStore struct {
	auth.Store
	lookups *[]string
}

func (s watchedStore) UserByEmail(ctx context.Context, email string) (auth.User, error) {
	*s.lookups = append(*s.lookups, email)
	return s.Store.UserByEmail(ctx, email)
}

func (s watchedStore) InTx(ctx context.Context, change func(auth.Tx) error) error {
	return s.Store.InTx(ctx, func(tx auth.Tx) error { return change(watchedTx{tx, s.lookups}) })
}

// watchedTx is watchedStore inside a transaction.
type watchedTx struct {
	auth.Tx
	lookups *[]string
}

func (tx watchedTx) UserByEmail(ctx context.Context, email string) (auth.User, error) {
	*tx.lookups = append(*tx.lookups, email)
	return tx.Tx.UserByEmail(ctx, email)
}

func TestAddress_thatNoAccountCanHave_isNotLookedUp(t *testing.T) {
	h := onSQLite(t)
	ada := h.newUser("ada@example.com")
	var lookups []string
	s, err := auth.New(h.config, auth.Parts{Store: watchedStore{h.store, &lookups}, Signer: h.signer, Verifier: h.signer, Revoker: h.gateway,
		Hasher: h.hasher, Codes: h.codes, Now: h.clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	for _, email := range []string{
		"", "\x00", "ada@example.com\x00", "ada\x00@example.com", "ada@example.com\r\n", "ada@exam\tple.com", "ada@example.com\x7f",
		"ada@example.com\u0085", "ada\xff@example.com", strings.Repeat("a", 250) + "@example.com",
	} {
		hashed := h.hasher.calls.Load()
		_, err := s.Login(t.Context(), stranger(), email, goodPassword)
		wantKind(t, "Login", err, fault.InvalidCredentials)
		if got := h.hasher.calls.Load(); got != hashed+1 {
			t.Errorf("%q cost %d checks of a password", email, got-hashed)
		}
		wantKind(t, "Register", s.Register(t.Context(), stranger(), auth.Registration{Email: email, Password: goodPassword}), fault.ValidationFailed)
		wantKind(t, "ChangeEmail", s.ChangeEmail(t.Context(), h.with(ada), email, goodPassword), fault.ValidationFailed)
		if err := s.ForgotPassword(t.Context(), stranger(), email); err != nil {
			t.Errorf("ForgotPassword %q: %v", email, err)
		}
	}
	if len(lookups) > 0 {
		t.Errorf("looked up: %q", lookups)
	}
	if _, err := s.Login(t.Context(), stranger(), "Ada@Example.com", goodPassword); err != nil || len(lookups) != 1 {
		t.Errorf("an address in capitals: %v, looked up %q", err, lookups)
	}
}
