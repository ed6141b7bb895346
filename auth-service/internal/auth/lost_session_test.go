package auth_test

import (
	"sync"
	"testing"

	"gatehouse.internal/auth-service/internal/auth"
	"gatehouse.internal/shared/embedded/testenv"
)

func TestLogout_of_a_lost_session_by_many_at_once_is_written_once(t *testing.T) {
	testenv.EachDatabase(t, func(t *testing.T, url string) {
		h := newHarness(t, url)
		lost := h.newUser("ada@example.com")
		h.sql(`DELETE FROM sessions WHERE id = $1`, lost.SessionID)
		var calls sync.WaitGroup
		for range 16 {
			calls.Go(func() {
				if err := h.LogoutByRefreshToken(t.Context(), stranger(), lost.RefreshToken); err != nil {
					t.Errorf("logout: %v", err)
				}
			})
		}
		calls.Wait()
		var revocations, events int
		if err := h.db.GetContext(t.Context(), &revocations, `SELECT COUNT(*) FROM revocations WHERE subject = $1`, lost.SessionID); err != nil {
			t.Fatal(err)
		}
		if err := h.db.GetContext(t.Context(), &events, `SELECT COUNT(*) FROM audit WHERE event = $1`, auth.EventSessionEnded); err != nil {
			t.Fatal(err)
		}
		if revocations != 1 || events != 1 {
			t.Errorf("%d revocations and %d events, want one of each", revocations, events)
		}
	})
}
