package sqlstore_test

import (
	"testing"
	"time"

	"gatehouse.internal/auth-service/internal/auth/authtest"
	"gatehouse.internal/shared/embedded/testenv"
	"gatehouse.internal/shared/fault"
)

func TestStore_knowsSinceWhenAnEncryptionKeyIsInUse(t *testing.T) {
	testenv.EachDatabase(t, func(t *testing.T, url string) {
		s, _ := open(t, url)
		if _, _, err := s.EncryptionKey(t.Context()); !fault.Is(err, fault.NotFound) {
			t.Errorf("before any was noted: %v, want not_found", err)
		}
		at := func(n int) time.Time { return authtest.Start().Add(time.Duration(n) * time.Hour) }
		for n, c := range []struct {
			name  string
			since time.Time
		}{{"a", at(0)}, {"a", at(0)}, {"b", at(2)}, {"b", at(2)}, {"a", at(4)}} {
			if err := s.NoteEncryptionKey(t.Context(), c.name, at(n)); err != nil {
				t.Fatal(err)
			}
			if name, since, err := s.EncryptionKey(t.Context()); err != nil || name != c.name || !since.Equal(c.since) {
				t.Errorf("after start %d: %s since %v (%v), want %s since %v", n, name, since, err, c.name, c.since)
			}
		}
	})
}
