package authtest

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gatehouse.internal/auth-service/internal/auth"
	"gatehouse.internal/shared/fault"
)

func totpComesBack(t *testing.T, s *store) {
	u := s.user(1)
	_, err := s.TOTP(t.Context(), u.ID)
	wantKind(t, "TOTP of nobody", err, fault.NotFound)
	want := auth.TOTP{UserID: u.ID, Sealed: []byte{1, 0, 255}, CreatedAt: Start()}
	for range 2 {
		s.must(func(ctx context.Context, tx auth.Tx) error { return tx.SaveTOTP(ctx, want) })
		if got, err := s.TOTP(t.Context(), u.ID); err != nil || cmp.Diff(want, got) != "" {
			t.Errorf("%v (-want +got):\n%s", err, cmp.Diff(want, got))
		}
		want.Sealed, want.ConfirmedAt, want.LastStep = []byte{2}, Start().Add(time.Second), 1<<40
		want.Wrong, want.BlockedUntil = 7, Start().Add(time.Hour)
	}
	var first, second bool
	s.must(func(ctx context.Context, tx auth.Tx) (err error) { first, err = tx.DeleteTOTP(ctx, u.ID); return err })
	s.must(func(ctx context.Context, tx auth.Tx) (err error) { second, err = tx.DeleteTOTP(ctx, u.ID); return err })
	if !first || second {
		t.Errorf("deleted: %v, then %v, want true and false", first, second)
	}
}

func totpsListed(t *testing.T, s *store) {
	var want []auth.TOTP
	for n := range 5 {
		f := auth.TOTP{UserID: s.user(n).ID, Sealed: []byte{byte(n)}, CreatedAt: Start()}
		s.must(func(ctx context.Context, tx auth.Tx) error { return tx.SaveTOTP(ctx, f) })
		want = append(want, f)
	}
	s.user(9) // has none
	var got []auth.TOTP
	for after := ""; ; after = got[len(got)-1].UserID {
		page, err := s.TOTPs(t.Context(), after, 2)
		if err != nil {
			t.Fatal(err)
		}
		if got = append(got, page...); len(page) < 2 {
			break
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("apps (-want +got):\n%s", diff)
	}
}

func recoveryCodeOnce(t *testing.T, s *store) {
	u, other := s.user(1), s.user(2)
	set := func(hashes ...string) {
		s.must(func(ctx context.Context, tx auth.Tx) error {
			var codes [][]byte
			for _, h := range hashes {
				codes = append(codes, []byte(h))
			}
			return tx.SetRecoveryCodes(ctx, u.ID, codes)
		})
	}
	count := func(want int) {
		t.Helper()
		if n, err := s.RecoveryCodes(t.Context(), u.ID); n != want || err != nil {
			t.Errorf("%d codes are left (%v), want %d", n, err, want)
		}
	}
	count(0)
	set("old")
	set("a", "b", "c")
	count(3)
	take := func(userID, hash string) (taken bool, err error) {
		err = s.InTx(t.Context(), func(tx auth.Tx) (err error) {
			if _, err := tx.LockUser(t.Context(), userID); err != nil {
				return err
			}
			taken, err = tx.TakeRecoveryCode(t.Context(), userID, []byte(hash))
			return err
		})
		return taken, err
	}
	for _, c := range [][2]string{{u.ID, "old"}, {other.ID, "a"}, {u.ID, "d"}} {
		if taken, err := take(c[0], c[1]); taken || err != nil {
			t.Errorf("%q is taken: %v, %v", c[1], taken, err)
		}
	}
	var times atomic.Int32
	err := parallel(8, func(int) error {
		taken, err := take(u.ID, "a")
		if taken {
			times.Add(1)
		}
		return err
	})
	if err != nil || times.Load() != 1 {
		t.Errorf("taken %d times (%v), want once", times.Load(), err)
	}
	count(2)
	set()
	count(0)
}

func challengeOnce(t *testing.T, s *store) {
	u := s.user(1)
	challenge := func(n int) auth.Challenge {
		return auth.Challenge{Hash: []byte{byte(n), 0, 255}, Purpose: auth.ChallengeLogin, UserID: u.ID, SessionID: ID(9), Version: 3,
			Methods: []string{"pwd"}, Data: []byte{0, 1}, CreatedAt: Start().Add(time.Duration(n) * time.Second), ExpiresAt: Start().Add(time.Hour)}
	}
	for n := range 4 {
		s.must(func(ctx context.Context, tx auth.Tx) error { return tx.AddChallenge(ctx, challenge(n), 3) })
	}
	_, err := s.Challenge(t.Context(), challenge(0).Hash)
	wantKind(t, "the oldest of too many", err, fault.NotFound)
	want := challenge(1)
	want.Attempts = 4
	s.must(func(ctx context.Context, tx auth.Tx) error { return tx.SaveAttempts(ctx, want.Hash, want.Attempts) })
	if got, err := s.Challenge(t.Context(), want.Hash); err != nil || cmp.Diff(want, got) != "" {
		t.Errorf("%v (-want +got):\n%s", err, cmp.Diff(want, got))
	}
	var times atomic.Int32
	err = parallel(8, func(int) error {
		return s.InTx(t.Context(), func(tx auth.Tx) error {
			taken, err := tx.TakeChallenge(t.Context(), want.Hash)
			if taken {
				times.Add(1)
			}
			return err
		})
	})
	if err != nil || times.Load() != 1 {
		t.Errorf("taken %d times (%v), want once", times.Load(), err)
	}
	used := challenge(5)
	used.Purpose = auth.ChallengeUsed
	s.must(func(ctx context.Context, tx auth.Tx) error { return tx.AddChallenge(ctx, used, 3) })
	s.must(func(ctx context.Context, tx auth.Tx) error { return tx.DropChallenges(ctx, u.ID) })
	if got, err := s.Challenge(t.Context(), used.Hash); err != nil || cmp.Diff(used, got) != "" {
		t.Errorf("a note of a sign-in that was used after others were dropped: %v (-want +got):\n%s", err, cmp.Diff(used, got))
	}
	_, err = s.Challenge(t.Context(), challenge(3).Hash)
	wantKind(t, "a dropped challenge", err, fault.NotFound)
}

func passkeysComeBack(t *testing.T, s *store) {
	u, other := s.user(1), s.user(2)
	passkey := func(n int, u auth.User) auth.Passkey {
		return auth.Passkey{ID: ID(n), UserID: u.ID, CredentialID: []byte{byte(n), 0}, Record: []byte("{}"), Name: "Ä key", CreatedAt: Start()}
	}
	add := func(p auth.Passkey) (err error) {
		s.must(func(ctx context.Context, tx auth.Tx) error { err = tx.AddPasskey(ctx, p); return nil })
		return err
	}
	first, second := passkey(1, u), passkey(2, u)
	second.Synced = true
	for _, p := range []auth.Passkey{second, first, passkey(3, other)} {
		if err := add(p); err != nil {
			t.Fatal(err)
		}
	}
	again := passkey(4, other)
	again.CredentialID = first.CredentialID
	wantKind(t, "a credential that is known", add(again), fault.Conflict)
	var held int
	s.must(func(ctx context.Context, tx auth.Tx) (err error) { held, err = tx.HoldPasskeys(ctx, u.ID); return err })
	if held != 2 {
		t.Errorf("%d passkeys are held, want 2", held)
	}
	second.PasswordFirst = true
	if p, err := s.PasskeyByCredential(t.Context(), passkey(3, other).CredentialID); err != nil || p.PasswordFirst {
		t.Errorf("another user's passkey is held, too (%v)", err)
	}
	first.Record, first.Name, first.Cloned, first.LastUsedAt = []byte("{1}"), "n", true, Start().Add(time.Hour)
	s.must(func(ctx context.Context, tx auth.Tx) error { return tx.SavePasskey(ctx, first) })
	got, err := s.Passkeys(t.Context(), u.ID)
	if diff := cmp.Diff([]auth.Passkey{first, second}, got); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	if p, err := s.PasskeyByCredential(t.Context(), second.CredentialID); err != nil || cmp.Diff(second, p) != "" {
		t.Errorf("%v (-want +got):\n%s", err, cmp.Diff(second, p))
	}
	_, err = s.PasskeyByCredential(t.Context(), []byte{9})
	wantKind(t, "an unknown credential", err, fault.NotFound)
	var foreign, own bool
	s.must(func(ctx context.Context, tx auth.Tx) (err error) {
		foreign, err = tx.DeletePasskey(ctx, other.ID, first.ID)
		return err
	})
	s.must(func(ctx context.Context, tx auth.Tx) (err error) {
		own, err = tx.DeletePasskey(ctx, u.ID, first.ID)
		return err
	})
	if foreign || !own {
		t.Errorf("deleted by another user: %v, by its own: %v", foreign, own)
	}
	s.must(func(ctx context.Context, tx auth.Tx) error { return tx.DeletePasskeys(ctx, u.ID) })
	if got, err := s.Passkeys(t.Context(), u.ID); err != nil || len(got) != 0 {
		t.Errorf("%d passkeys remain (%v)", len(got), err)
	}
	s.must(func(ctx context.Context, tx auth.Tx) error { return tx.DeleteUser(ctx, other.ID) })
	_, err = s.PasskeyByCredential(t.Context(), passkey(3, other).CredentialID)
	wantKind(t, "the passkey of a deleted user", err, fault.NotFound)
}

func factorsGoWithUser(t *testing.T, s *store) {
	u := s.user(1)
	s.must(func(ctx context.Context, tx auth.Tx) error {
		return errors.Join(
			tx.SaveTOTP(ctx, auth.TOTP{UserID: u.ID, Sealed: []byte{1}}),
			tx.SetRecoveryCodes(ctx, u.ID, [][]byte{{1}}),
			tx.AddChallenge(ctx, auth.Challenge{Hash: []byte{1}, UserID: u.ID}, 1),
			tx.DeleteUser(ctx, u.ID))
	})
	_, err := s.TOTP(t.Context(), u.ID)
	wantKind(t, "TOTP", err, fault.NotFound)
	_, err = s.Challenge(t.Context(), []byte{1})
	wantKind(t, "Challenge", err, fault.NotFound)
	if n, err := s.RecoveryCodes(t.Context(), u.ID); n != 0 || err != nil {
		t.Errorf("%d recovery codes remain (%v)", n, err)
	}
}
