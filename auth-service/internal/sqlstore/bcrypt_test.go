package sqlstore_test

import (
	"testing"

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
