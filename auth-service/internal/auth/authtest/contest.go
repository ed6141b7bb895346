package authtest

import (
	"context"
	"testing"

	"github.com/google/go-cmp/cmp"

	"gatehouse.internal/auth-service/internal/auth"
)

func contestedAddress(t *testing.T, s *store) {
	u, other := s.user(1), s.user(2)
	check := func(what string, want bool) {
		t.Helper()
		for id, want := range map[string]bool{u.ID: want, other.ID: false} {
			if got, err := s.Contested(t.Context(), id); got != want || err != nil {
				t.Errorf("%s: contested %v (%v), want %v", what, got, err, want)
			}
		}
	}
	settle := func(ctx context.Context, tx auth.Tx) error { return tx.Uncontest(ctx, u.ID) }
	contest := func(ctx context.Context, tx auth.Tx) error { return tx.Contest(ctx, u.ID, Start()) }
	check("at first", false)
	s.must(settle)
	s.must(contest)
	s.must(contest)
	check("contested twice", true)
	s.must(settle)
	check("settled", false)
	s.must(contest)
	s.must(func(ctx context.Context, tx auth.Tx) error { return tx.DeleteUser(ctx, u.ID) })
	check("deleted", false)
}

func placesKnown(t *testing.T, s *store) {
	u := s.user(1)
	s.session(1, u, func(x *auth.Session) { x.Address = "192.0.2.1" })
	s.session(2, u, func(x *auth.Session) { x.Address, x.EndedAt, x.EndCause = "192.0.2.2", Start(), "logout" })
	s.session(3, u, func(x *auth.Session) { x.Address, x.UserAgent = "192.0.2.3", "test/2" })
	s.session(4, s.user(2))
	got, err := s.Places(t.Context(), u.ID, 2)
	want := []auth.Place{{Address: "192.0.2.3", UserAgent: "test/2"}, {Address: "192.0.2.2", UserAgent: "test/1"}}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Errorf("places: %v (-want +got):\n%s", err, diff)
	}
}
