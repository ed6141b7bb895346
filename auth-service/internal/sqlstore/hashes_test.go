package sqlstore_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"gatehouse.internal/auth-service/internal/auth"
	"gatehouse.internal/auth-service/internal/auth/authtest"
	"gatehouse.internal/shared/embedded/testenv"
)

func TestStore_knowsTheHighestCostOfImportedHashes(t *testing.T) {
	testenv.EachDatabase(t, func(t *testing.T, url string) {
		s, _ := open(t, url)
		hashes := []string{"$argon2id$v=19$m=19456", "", "$2a$10$x", "$2b$12$x", "$2y$09$x"}
		for i, want := range []int{0, 0, 10, 12, 12} {
			u := auth.User{ID: authtest.ID(i), Email: authtest.ID(i), PasswordHash: hashes[i]}
			if err := s.InTx(t.Context(), func(tx auth.Tx) error { return tx.AddUser(t.Context(), u) }); err != nil {
				t.Fatal(err)
			}
			if got, err := s.BcryptCost(t.Context()); got != want || err != nil {
				t.Errorf("with %q: cost %d (%v), want %d", hashes[:i+1], got, err, want)
			}
		}
	})
}

func TestStore_knowsTheKindsOfHashesOfArgon2id(t *testing.T) {
	testenv.EachDatabase(t, func(t *testing.T, url string) {
		s, _ := open(t, url)
		const own, imported = "$argon2id$v=19$m=19456,t=2,p=1$", "$argon2id$v=19$m=65536,t=3,p=4$"
		for i, c := range []struct {
			hash string
			want []string
		}{
			{own + "c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc", []string{own}},
			{"$2a$10$abcdefghijklmnopqrstuuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0", []string{own}},
			{imported + "c29tZ+/hbHQ$CTFhFdXPJO1a/aMaO6Mm5c8y7cJHAph8ArZWb2GRPPc", []string{own, imported}},
			{own + "c29tZXNhbHE$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPP0", []string{own, imported}},
			{"", []string{own, imported}},
		} {
			u := auth.User{ID: authtest.ID(i), Email: authtest.ID(i), PasswordHash: c.hash}
			err := s.InTx(t.Context(), func(tx auth.Tx) error {
				if err := tx.AddUser(t.Context(), u); err != nil {
					return err
				}
				got, err := tx.HashKinds(t.Context())
				if diff := cmp.Diff(c.want, got); diff != "" {
					t.Errorf("after %.32q, in the transaction (-want +got):\n%s", c.hash, diff)
				}
				return err
			})
			if err != nil {
				t.Fatal(err)
			}
			got, err := s.HashKinds(t.Context())
			if diff := cmp.Diff(c.want, got); diff != "" || err != nil {
				t.Errorf("after %.32q: %v (-want +got):\n%s", c.hash, err, diff)
			}
		}
	})
}
