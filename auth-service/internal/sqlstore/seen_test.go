package sqlstore_test

import (
	"testing"
	"time"

	"gatehouse.internal/auth-service/internal/auth"
	"gatehouse.internal/auth-service/internal/auth/authtest"
	"gatehouse.internal/shared/embedded/testenv"
)

func TestStore_SessionsSeen_movesForwardAndWaitsForNobody(t *testing.T) {
	testenv.EachDatabase(t, func(t *testing.T, url string) {
		s, _ := open(t, url)
		ctx, start := t.Context(), authtest.Start()
		user := auth.User{ID: authtest.ID(1), Email: "ada@example.com"}
		session := func(n int, ended time.Time) auth.Session {
			return auth.Session{ID: authtest.ID(n), UserID: user.ID, Refresh: []byte{1}, LastSeenAt: start, EndedAt: ended,
				IdleExpiresAt: start.Add(time.Hour), ExpiresAt: start.Add(time.Hour)}
		}
		if err := s.InTx(ctx, func(tx auth.Tx) error {
			if err := tx.AddUser(ctx, user); err != nil {
				return err
			}
			for _, x := range []auth.Session{session(2, time.Time{}), session(3, start)} {
				if err := tx.AddSession(ctx, x); err != nil {
					return err
				}
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		seen := func(at time.Time) {
			t.Helper()
			if err := s.SessionsSeen(ctx, []string{authtest.ID(2), authtest.ID(3), "nobody's"}, at); err != nil {
				t.Fatal(err)
			}
		}
		later := start.Add(time.Minute)
		seen(later)
		seen(start.Add(time.Second)) // came late
		for id, want := range map[string]time.Time{authtest.ID(2): later, authtest.ID(3): start} {
			if got, err := s.Session(ctx, id); err != nil || !got.LastSeenAt.Equal(want) {
				t.Errorf("session %s was seen at %v (%v), want %v", id, got.LastSeenAt, err, want)
			}
		}
	})
}
