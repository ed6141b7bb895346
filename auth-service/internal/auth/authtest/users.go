package authtest

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gatehouse.internal/auth-service/internal/auth"
	"gatehouse.internal/shared/contract"
	"gatehouse.internal/shared/fault"
)

func userComesBack(t *testing.T, s *store) {
	want := s.user(1, func(u *auth.User) {
		u.EmailVerified, u.Roles, u.FirstName = true, []string{"admin", "user"}, "Ådä 日本"
		u.Version, u.Revision, u.LastLoginAt = 7, 9, Start().Add(time.Microsecond)
		u.CreatedAt = Start().In(time.FixedZone("elsewhere", 5*3600))
	})
	want.CreatedAt = want.CreatedAt.UTC()
	want.MFAEnabled = true
	want.Status, want.Version, want.PasswordHash, want.Email = contract.StatusLocked, 8, "$other", "new@example.com"
	s.must(func(ctx context.Context, tx auth.Tx) error { return tx.SaveUser(ctx, want) })
	for name, read := range map[string]func() (auth.User, error){
		"by id":      func() (auth.User, error) { return s.User(t.Context(), want.ID) },
		"by address": func() (auth.User, error) { return s.UserByEmail(t.Context(), "new@example.com") },
		"locked": func() (u auth.User, err error) {
			err = s.InTx(t.Context(), func(tx auth.Tx) error { u, err = tx.LockUser(t.Context(), want.ID); return err })
			return u, err
		},
	} {
		got, err := read()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		want.LeastVersion = got.LeastVersion // belongs to no user
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		if got.CreatedAt.Location() != time.UTC {
			t.Errorf("%s: the time is in %v, want UTC", name, got.CreatedAt.Location())
		}
	}
}

func absentIsNotFound(t *testing.T, s *store) {
	ctx := t.Context()
	_, err := s.User(ctx, ID(1))
	wantKind(t, "User", err, fault.NotFound)
	_, err = s.UserByEmail(ctx, "nobody@example.com")
	wantKind(t, "UserByEmail", err, fault.NotFound)
	_, err = s.Session(ctx, ID(1))
	wantKind(t, "Session", err, fault.NotFound)
	_, err = s.MailToken(ctx, []byte("hash"))
	wantKind(t, "MailToken", err, fault.NotFound)
	err = s.InTx(ctx, func(tx auth.Tx) error { _, err := tx.LockUser(ctx, ID(1)); return err })
	wantKind(t, "LockUser", err, fault.NotFound)
	err = s.InTx(ctx, func(tx auth.Tx) error { return tx.SaveUser(ctx, auth.User{ID: ID(1), Email: "x@example.com"}) })
	wantKind(t, "SaveUser", err, fault.NotFound)
	err = s.InTx(ctx, func(tx auth.Tx) error {
		return tx.SaveSession(ctx, auth.Session{ID: ID(1), Refresh: []byte{1}})
	})
	wantKind(t, "SaveSession", err, fault.NotFound)
}

func takenAddress(t *testing.T, s *store) {
	u := s.user(1)
	s.must(func(ctx context.Context, tx auth.Tx) error {
		wantKind(t, "AddUser", tx.AddUser(ctx, auth.User{ID: ID(2), Email: u.Email}), fault.Conflict)
		owner, err := tx.UserByEmail(ctx, u.Email)
		if owner.ID != u.ID {
			t.Errorf("the address belongs to %q, want %q", owner.ID, u.ID)
		}
		return err
	})
}

func savedTakenAddress(t *testing.T, s *store) {
	taken, u := s.user(1), s.user(2)
	u.Email = taken.Email
	err := s.InTx(t.Context(), func(tx auth.Tx) error { return tx.SaveUser(t.Context(), u) })
	wantKind(t, "SaveUser", err, fault.Conflict)
}

func failedLeavesNothing(t *testing.T, s *store) {
	u, cause := s.user(1), errors.New("changed my mind")
	err := s.InTx(t.Context(), func(tx auth.Tx) error {
		u.Version = 99
		return errors.Join(tx.SaveUser(t.Context(), u), cause)
	})
	if !errors.Is(err, cause) {
		t.Errorf("InTx: got %v, want the cause", err)
	}
	if got, _ := s.User(t.Context(), u.ID); got.Version != 1 {
		t.Errorf("version is %d after a failed transaction, want 1", got.Version)
	}
}

func uncommittedIsInvisible(t *testing.T, s *store) {
	u := s.user(1)
	s.must(func(ctx context.Context, tx auth.Tx) error {
		u.Version = 2
		if err := tx.SaveUser(ctx, u); err != nil {
			return err
		}
		inside, err := tx.User(ctx, u.ID)
		if err != nil || inside.Version != 2 {
			t.Errorf("inside: version %d, %v; want 2", inside.Version, err)
		}
		outside, err := s.User(ctx, u.ID)
		if err != nil || outside.Version != 1 {
			t.Errorf("outside: version %d, %v; want 1", outside.Version, err)
		}
		return nil
	})
}

func lockedUserLosesNothing(t *testing.T, s *store) {
	const n = 40
	u := s.user(1)
	err := parallel(n, func(int) error {
		return s.InTx(t.Context(), func(tx auth.Tx) error {
			u, err := tx.LockUser(t.Context(), u.ID)
			if err != nil {
				return err
			}
			u.Version++
			return tx.SaveUser(t.Context(), u)
		})
	})
	got, readErr := s.User(t.Context(), u.ID)
	if err != nil || readErr != nil || got.Version != 1+n {
		t.Errorf("version is %d (%v, %v), want %d", got.Version, err, readErr, 1+n)
	}
}

func administratorsFollow(t *testing.T, s *store) {
	admin := func(u *auth.User) { u.Roles = []string{contract.RoleAdmin, contract.RoleUser} }
	users := []auth.User{s.user(1, admin), s.user(2, admin), s.user(3, admin)}
	// Each demotes itself unless it is the last: one must remain.
	err := parallel(len(users), func(i int) error {
		return s.InTx(t.Context(), func(tx auth.Tx) error {
			if err := tx.LockAdministrators(t.Context()); err != nil {
				return err
			}
			others, err := tx.OtherAdministrators(t.Context(), users[i].ID)
			if err != nil || others == 0 {
				return err
			}
			demoted := users[i]
			demoted.Roles = []string{contract.RoleUser}
			return tx.SaveUser(t.Context(), demoted)
		})
	})
	if has, readErr := s.HasAdministrator(t.Context()); err != nil || readErr != nil || !has {
		t.Errorf("an administrator remains: %v (%v, %v), want true", has, err, readErr)
	}
}

func administratorsCount(t *testing.T, s *store) {
	admin := func(u *auth.User) { u.Roles = []string{contract.RoleAdmin, contract.RoleUser} }
	if has, err := s.HasAdministrator(t.Context()); has || err != nil {
		t.Errorf("an empty store has an administrator: %v, %v", has, err)
	}
	first := s.user(1, admin)
	s.user(2)
	s.user(3, admin, func(u *auth.User) { u.Status = contract.StatusLocked })
	s.must(func(ctx context.Context, tx auth.Tx) error {
		others, err := tx.OtherAdministrators(ctx, first.ID)
		all, _ := tx.OtherAdministrators(ctx, ID(99))
		if others != 0 || all != 1 {
			t.Errorf("%d others and %d in all, want 0 and 1", others, all)
		}
		return err
	})
}

func deletedUser(t *testing.T, s *store) {
	u, other := s.user(1), s.user(2)
	x, kept := s.session(1, u), s.session(2, other)
	s.must(func(ctx context.Context, tx auth.Tx) error {
		return errors.Join(
			tx.AddMailToken(ctx, auth.MailToken{Hash: []byte("h"), Purpose: auth.PurposeVerifyEmail, UserID: u.ID}),
			tx.AddPastPassword(ctx, auth.PastPassword{ID: ID(1), UserID: u.ID, Hash: "p", At: Start(), Keep: 5}),
			tx.DeleteUser(ctx, u.ID))
	})
	ctx := t.Context()
	_, err := s.User(ctx, u.ID)
	wantKind(t, "User", err, fault.NotFound)
	_, err = s.Session(ctx, x.ID)
	wantKind(t, "Session", err, fault.NotFound)
	_, err = s.MailToken(ctx, []byte("h"))
	wantKind(t, "MailToken", err, fault.NotFound)
	if past, err := s.PastPasswords(ctx, u.ID, 5); len(past) != 0 || err != nil {
		t.Errorf("past passwords remain: %v, %v", past, err)
	}
	if _, err := s.Session(ctx, kept.ID); err != nil {
		t.Errorf("another user's session: %v", err)
	}
}

func pastPasswords(t *testing.T, s *store) {
	u := s.user(1)
	for i, hash := range []string{"a", "b", "c", "d"} {
		s.must(func(ctx context.Context, tx auth.Tx) error {
			return tx.AddPastPassword(ctx, auth.PastPassword{ID: ID(i), UserID: u.ID, Hash: hash, At: Start().Add(time.Duration(i) * time.Microsecond), Keep: 3})
		})
	}
	got, err := s.PastPasswords(t.Context(), u.ID, 5)
	changed, errAt := s.PasswordChangedAt(t.Context(), u.Email)
	if want := Start().Add(3 * time.Microsecond); !changed.Equal(want) || errAt != nil {
		t.Errorf("the password changed at %v (%v), want %v", changed, errAt, want)
	}
	other := s.user(2)
	for _, email := range []string{other.Email, "nobody@example.com"} {
		if at, err := s.PasswordChangedAt(t.Context(), email); !at.IsZero() || err != nil {
			t.Errorf("a password that never changed did so at %v (%v)", at, err)
		}
	}
	if diff := cmp.Diff([]string{"d", "c", "b"}, got); diff != "" || err != nil {
		t.Errorf("past passwords: %v (-want +got):\n%s", err, diff)
	}
}

func notRefreshed(t *testing.T, s *store) {
	u := s.user(1)
	late := Start().Add(time.Minute)
	s.session(1, u, func(x *auth.Session) { x.IdleExpiresAt = Start().Add(50 * time.Minute) })
	s.session(2, u) // until an hour after the start
	s.session(3, u, func(x *auth.Session) { x.RotatedAt, x.IdleExpiresAt = late, Start().Add(90*time.Minute) })
	s.session(4, u, func(x *auth.Session) { x.CreatedAt = late })
	s.session(5, u, func(x *auth.Session) { x.EndedAt, x.EndCause = Start(), "logout" })
	s.session(6, u, func(x *auth.Session) { x.IdleExpiresAt = late })
	for _, c := range []struct {
		before, now time.Time
		n           int
		until       time.Time
	}{
		{late, late, 2, Start().Add(time.Hour)},
		{late, Start().Add(55 * time.Minute), 1, Start().Add(time.Hour)},
		{late, Start().Add(time.Hour), 0, time.Time{}},
		{late.Add(time.Minute), late, 4, Start().Add(90 * time.Minute)},
	} {
		n, until, err := s.NotRefreshed(t.Context(), c.before, c.now)
		if err != nil || n != c.n || !until.Equal(c.until) {
			t.Errorf("before %v, at %v: %d until %v (%v), want %d until %v", c.before, c.now, n, until, err, c.n, c.until)
		}
	}
}
