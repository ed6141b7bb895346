package auth_test

import (
	"fmt"
	"testing"

	"gatehouse.internal/auth-service/internal/auth"
	"gatehouse.internal/shared/contract"
	"gatehouse.internal/shared/embedded/testenv"
)

func TestAnnounceAccounts_tells_of_every_account(t *testing.T) {
	testenv.EachDatabase(t, func(t *testing.T, url string) {
		h := newHarness(t, url)
		h.register("first@example.com")
		if _, err := h.db.ExecContext(t.Context(), `DELETE FROM outbox`); err != nil {
			t.Fatal(err)
		}
		const more = 1001 // beyond two batches
		err := h.store.InTx(t.Context(), func(tx auth.Tx) error {
			u, err := tx.UserByEmail(t.Context(), "first@example.com")
			for n := 0; n < more && err == nil; n++ {
				u.ID, u.Email, u.Revision = fmt.Sprintf("01890a5d-ac96-774b-bcce-%012d", n), fmt.Sprintf("user%d@example.com", n), 7
				err = tx.AddUser(t.Context(), u)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		n, err := auth.AnnounceAccounts(t.Context(), h.store, h.clock.Now)
		if n != more+1 || err != nil {
			t.Fatalf("%d, %v", n, err)
		}
		told := map[string]contract.Event{}
		for _, e := range outbox[contract.Event](h, auth.TopicAccount) {
			if e.Type != contract.AccountAnnounced || e.ID == "" || e.Subject != e.Data.ID {
				t.Fatalf("%+v", e)
			}
			told[e.Subject] = e
		}
		if len(told) != more+1 || told["01890a5d-ac96-774b-bcce-000000000500"].Data.Version != 7 || told["01890a5d-ac96-774b-bcce-000000000500"].Data.FirstName != "Ada" {
			t.Errorf("%d accounts are told of", len(told))
		}
	})
}
