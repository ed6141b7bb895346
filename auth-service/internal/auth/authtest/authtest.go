// Package authtest holds any auth.Store to its contract. It is for tests alone.
package authtest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"gatehouse.internal/auth-service/internal/auth"
	"gatehouse.internal/shared/contract"
	"gatehouse.internal/shared/fault"
)

// TestStore runs the suite. open returns an empty store, which outlives the
// test that asked for it no longer than the test itself.
func TestStore(t *testing.T, open func(t *testing.T) auth.Store) {
	for _, c := range []struct {
		name string
		run  func(t *testing.T, s *store)
	}{
		{"a user comes back as it was stored", userComesBack},
		{"what is not there is not found", absentIsNotFound},
		{"a taken address is a conflict and the transaction goes on", takenAddress},
		{"a saved user that takes another's address is a conflict", savedTakenAddress},
		{"a transaction that fails leaves nothing", failedLeavesNothing},
		{"a transaction sees what it wrote and others do not", uncommittedIsInvisible},
		{"a locked user is changed by one transaction at a time", lockedUserLosesNothing},
		{"the administrators' lock makes transactions follow one another", administratorsFollow},
		{"administrators are counted unless they are locked", administratorsCount},
		{"a deleted user takes everything along", deletedUser},
		{"only the newest past passwords stay", pastPasswords},
		{"a session comes back as it was stored and saved", sessionComesBack},
		{"live sessions are listed newest first, page by page", liveSessions},
		{"ending all sessions ends the ones that live", endSessions},
		{"the latest access token of a user is known", latestAccess},
		{"a mail token is taken once", mailTokenOnce},
		{"a contested address is known until it is settled", contestedAddress},
		{"it is known from where a user signed in", placesKnown},
		{"mail tokens are dropped by purpose", mailTokensDropped},
		{"letters to one recipient are bounded", lettersBounded},
		{"a revoked access token is known by its id", revokedToken},
		{"the audit trail is filtered and paged, newest first", auditTrail},
		{"what has expired is pruned and nothing else", pruned},
		{"an authenticator app comes back as it was saved", totpComesBack},
		{"authenticator apps are listed by user, page by page", totpsListed},
		{"sessions that were not refreshed are counted", notRefreshed},
		{"a recovery code is taken once, and by its user", recoveryCodeOnce},
		{"a challenge comes back, is taken once and bounded by user", challengeOnce},
		{"passkeys come back, are listed and are unique", passkeysComeBack},
		{"what belongs to second factors goes with its user", factorsGoWithUser},
		{"an ended context is an error", endedContext},
	} {
		t.Run(c.name, func(t *testing.T) { c.run(t, &store{Store: open(t), t: t}) })
	}
}

// Start is the time at which the suite begins. It has microseconds, which must
// survive, and lies where a clock is put forward.
func Start() time.Time { return time.Date(2026, 3, 29, 1, 59, 59, 123456000, time.UTC) }

// ID returns a well-formed id; a greater n gives a greater one.
func ID(n int) string { return fmt.Sprintf("01890a5d-ac96-774b-bcce-%012d", n) }

// store is the store under test with what every case needs.
type store struct {
	auth.Store
	t *testing.T
}

// must runs change in a transaction that has to succeed.
func (s *store) must(change func(ctx context.Context, tx auth.Tx) error) {
	s.t.Helper()
	ctx := s.t.Context()
	if err := s.InTx(ctx, func(tx auth.Tx) error { return change(ctx, tx) }); err != nil {
		s.t.Fatalf("transaction: %v", err)
	}
}

// user adds a user and returns it.
func (s *store) user(n int, change ...func(*auth.User)) auth.User {
	s.t.Helper()
	u := auth.User{
		ID: ID(n), Email: fmt.Sprintf("user%d@example.com", n), Roles: []string{contract.RoleUser},
		Status: contract.StatusActive, PasswordHash: "$hash", FirstName: "Ada", LastName: "Lovelace",
		Version: 1, Revision: 1, CreatedAt: Start(), UpdatedAt: Start(),
	}
	for _, c := range change {
		c(&u)
	}
	s.must(func(ctx context.Context, tx auth.Tx) error { return tx.AddUser(ctx, u) })
	return u
}

// session adds a session and returns it.
func (s *store) session(n int, u auth.User, change ...func(*auth.Session)) auth.Session {
	s.t.Helper()
	x := auth.Session{
		ID: ID(1000 + n), UserID: u.ID, ClientID: contract.ClientPeople, Methods: []string{"pwd"},
		CreatedAt: Start(), LastSeenAt: Start(), IdleExpiresAt: Start().Add(time.Hour), ExpiresAt: Start().Add(2 * time.Hour),
		AccessExpiresAt: Start().Add(time.Minute), Refresh: []byte{0, 1, 2, 255}, Address: "192.0.2.1", UserAgent: "test/1",
	}
	for _, c := range change {
		c(&x)
	}
	s.must(func(ctx context.Context, tx auth.Tx) error { return tx.AddSession(ctx, x) })
	return x
}

// wantKind fails unless err is of the kind.
func wantKind(t *testing.T, what string, err error, kind fault.Kind) {
	t.Helper()
	if !fault.Is(err, kind) {
		t.Errorf("%s: got %v, want %s", what, err, kind)
	}
}

// parallel runs n functions at once and returns their errors joined.
func parallel(n int, run func(i int) error) error {
	errs := make([]error, n)
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { errs[i] = run(i) })
	}
	wg.Wait()
	return errors.Join(errs...)
}
