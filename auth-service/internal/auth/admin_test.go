package auth_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"gatehouse.internal/auth-service/internal/auth"
	"gatehouse.internal/auth-service/internal/totp"
	"gatehouse.internal/shared/contract"
	"gatehouse.internal/shared/fault"
)

func TestAdmin_isForAdministratorsAlone(t *testing.T) {
	h := onSQLite(t)
	ada := h.newUser("ada@example.com")
	id := ada.Account.ID
	calls := map[string]func(c auth.Caller) error{
		"SetRoles":   func(c auth.Caller) error { _, err := h.SetRoles(t.Context(), c, id, []string{"admin"}); return err },
		"LockUser":   func(c auth.Caller) error { return h.LockUser(t.Context(), c, id) },
		"UnlockUser": func(c auth.Caller) error { return h.UnlockUser(t.Context(), c, id) },
		"LogoutUser": func(c auth.Caller) error { return h.LogoutUser(t.Context(), c, id) },
		"DeleteUser": func(c auth.Caller) error { return h.DeleteUser(t.Context(), c, id) },
		"UserSessions": func(c auth.Caller) error {
			_, err := h.UserSessions(t.Context(), c, id, false, auth.PageRequest{})
			return err
		},
		"EndAnySession": func(c auth.Caller) error { _, err := h.EndAnySession(t.Context(), c, ada.SessionID); return err },
		"AuditEvents":   func(c auth.Caller) error { _, err := h.AuditEvents(t.Context(), c, auth.AuditQuery{}); return err },
	}
	forged := h.with(ada)
	forged.Claims.Roles = []string{"admin"} // what the token says is not enough
	for name, call := range calls {
		wantKind(t, name+" by a stranger", call(stranger()), fault.TokenMissing)
		wantKind(t, name+" by a user", call(h.with(ada)), fault.InsufficientRole)
		wantKind(t, name+" by a user who was an administrator", call(forged), fault.InsufficientRole)
	}
	h.alive("the user", ada)
}

func TestSetRoles(t *testing.T) {
	h := onSQLite(t)
	root, ada := h.with(h.newAdmin("root@example.com")), h.newUser("ada@example.com")
	got, err := h.SetRoles(t.Context(), root, ada.Account.ID, []string{"support", "admin", "support"})
	if diff := cmp.Diff([]string{"admin", "support", "user"}, got.Roles); diff != "" || err != nil {
		t.Fatalf("roles: %v (-want +got):\n%s", err, diff)
	}
	before := h.revocations()
	if _, err := h.SetRoles(t.Context(), root, ada.Account.ID, []string{"user", "support", "admin"}); err != nil || h.revocations() != before {
		t.Errorf("the same roles again: %v, and %d revocations", err, h.revocations()-before)
	}
	for _, bad := range [][]string{{"Admin"}, {""}, {"a b"}, {"1a"}, {strings.Repeat("a", 33)}, strings.Split("abcdefghijklmnopqr", "")} {
		_, err := h.SetRoles(t.Context(), root, ada.Account.ID, bad)
		wantKind(t, strings.Join(bad, ","), err, fault.ValidationFailed)
	}
	_, err = h.SetRoles(t.Context(), root, "nobody", nil)
	wantKind(t, "nobody", err, fault.NotFound)
	if _, err := h.SetRoles(t.Context(), root, root.Claims.Subject, nil); err != nil {
		t.Errorf("demoting oneself while another one is there: %v", err)
	}
}

func TestLock_isAtOnceAndUnlockRevivesNothing(t *testing.T) {
	h := onSQLite(t)
	root, ada := h.with(h.newAdmin("root@example.com")), h.newUser("ada@example.com")
	for range 2 {
		h.clock.advance(time.Second)
		if err := h.LockUser(t.Context(), root, ada.Account.ID); err != nil {
			t.Fatal(err)
		}
	}
	h.dead("S-R5 the locked user's session", ada)
	for range 2 {
		h.clock.advance(time.Second)
		if err := h.UnlockUser(t.Context(), root, ada.Account.ID); err != nil {
			t.Fatal(err)
		}
	}
	h.dead("the session after the unlock", ada)
	h.alive("a new session", h.login("ada@example.com"))
	if diff := cmp.Diff([]string{"account.status_changed", "account.status_changed", "account.signed_in"}, h.events()[4:]); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

func TestLastAdministrator_stays(t *testing.T) {
	h := onSQLite(t)
	root := h.with(h.newAdmin("root@example.com"))
	locked := h.newAdmin("other@example.com")
	if err := h.LockUser(t.Context(), root, locked.Account.ID); err != nil {
		t.Fatal(err)
	}
	id := root.Claims.Subject
	_, err := h.SetRoles(t.Context(), root, id, []string{"user"})
	wantKind(t, "demote", err, fault.Conflict)
	wantKind(t, "lock", h.LockUser(t.Context(), root, id), fault.Conflict)
	wantKind(t, "delete", h.DeleteUser(t.Context(), root, id), fault.Conflict)
	if err := h.DeleteUser(t.Context(), root, locked.Account.ID); err != nil {
		t.Errorf("deleting a locked administrator: %v", err)
	}
	if _, err := h.SetRoles(t.Context(), root, id, []string{"admin", "support"}); err != nil {
		t.Errorf("more roles for the last administrator: %v", err)
	}
}

func TestAdmin_endsSessionsOfOthers(t *testing.T) {
	h := onSQLite(t)
	root, one := h.with(h.newAdmin("root@example.com")), h.newUser("ada@example.com")
	two := h.login("ada@example.com")
	page, err := h.UserSessions(t.Context(), root, one.Account.ID, false, auth.PageRequest{})
	if err != nil || len(page.Items) != 2 || page.Items[0].Current {
		t.Fatalf("sessions: %+v, %v", page, err)
	}
	_, err = h.UserSessions(t.Context(), root, "nobody", false, auth.PageRequest{})
	wantKind(t, "sessions of nobody", err, fault.NotFound)
	p, err := h.EndAnySession(t.Context(), root, one.SessionID)
	if diff := cmp.Diff(auth.Propagation{Nodes: 3, Applied: 3, Elapsed: time.Millisecond}, p); diff != "" || err != nil {
		t.Errorf("propagation: %v (-want +got):\n%s", err, diff)
	}
	h.dead("the session", one)
	h.alive("the other session", two)
	_, err = h.EndAnySession(t.Context(), root, one.SessionID)
	wantKind(t, "again", err, fault.NotFound)
	_, err = h.EndAnySession(t.Context(), root, "nothing")
	wantKind(t, "no session", err, fault.NotFound)
	if err := h.LogoutUser(t.Context(), root, one.Account.ID); err != nil {
		t.Fatal(err)
	}
	h.dead("the other session", two)
	if err := h.DeleteUser(t.Context(), root, one.Account.ID); err != nil {
		t.Fatal(err)
	}
	wantKind(t, "deleted again", h.DeleteUser(t.Context(), root, one.Account.ID), fault.NotFound)
}

func TestEnsureAdministrator_onceAndOnTheFirstStartOnly(t *testing.T) {
	h := onSQLite(t)
	if has, err := h.HasAdministrator(t.Context()); has || err != nil {
		t.Fatalf("HasAdministrator: %v, %v", has, err)
	}
	_, err := h.EnsureAdministrator(t.Context(), "root@example.com", "short")
	wantKind(t, "a weak password", err, fault.WeakPassword)
	h.register("ada@example.com")
	_, err = h.EnsureAdministrator(t.Context(), "ada@example.com", goodPassword)
	wantKind(t, "an address of a user", err, fault.Conflict)
	for i, want := range []bool{true, false} {
		if got, err := h.EnsureAdministrator(t.Context(), "root@example.com", goodPassword); got != want || err != nil {
			t.Errorf("start %d: created %v, %v; want %v", i+1, got, err, want)
		}
	}
	out := h.login("root@example.com")
	if !out.Account.EmailVerified || !h.with(out).Claims.HasRole(contract.RoleAdmin) {
		t.Errorf("the administrator is %+v", out.Account)
	}
}

func TestClients(t *testing.T) {
	h := onSQLite(t)
	for _, bad := range [][2]string{{"gatehouse", "s2"}, {"nobody", "s1"}, {"", ""}, {"gatehouse", ""}} {
		_, err := h.AuthenticateClient(t.Context(), stranger(), bad[0], bad[1])
		wantKind(t, "client "+bad[0], err, fault.InvalidCredentials)
	}
	client := func(id, secret string) auth.Client {
		c, err := h.AuthenticateClient(t.Context(), stranger(), id, secret)
		if err != nil || c.ID != id {
			t.Fatalf("client %s: %v", id, err)
		}
		return c
	}
	own, other, operator := client("gatehouse", "s1"), client("other", "s2"), client("operator", "s3")
	active := func(token string) string {
		x, err := h.Introspect(t.Context(), other, token)
		if err != nil {
			t.Fatal(err)
		}
		if x.Active {
			return x.TokenUse
		}
		if diff := cmp.Diff(auth.Introspection{}, x); diff != "" {
			t.Errorf("S-V4 an inactive token tells more:\n%s", diff)
		}
		return ""
	}
	tokens := h.newUser("ada@example.com")
	if active(tokens.AccessToken) != auth.TokenUseAccess || active(tokens.RefreshToken) != auth.TokenUseRefresh || active("x") != "" {
		t.Error("introspection of good tokens and of garbage is wrong")
	}
	for _, token := range []string{tokens.AccessToken, tokens.RefreshToken} {
		wantKind(t, "S-V1 another client's token", h.Revoke(t.Context(), stranger(), other, token), fault.InvalidCredentials)
	}
	for range 2 {
		if err := h.Revoke(t.Context(), stranger(), own, tokens.AccessToken); err != nil {
			t.Fatal(err)
		}
	}
	wantKind(t, "the revoked access token", h.Check(t.Context(), h.with(tokens).Claims), fault.TokenRevoked)
	if active(tokens.AccessToken) != "" || active(tokens.RefreshToken) == "" {
		t.Error("revoking the access token must leave its session alone")
	}
	next := h.mustRefresh(tokens.RefreshToken)
	h.alive("the next access token", next)
	if active(tokens.RefreshToken) != "" {
		t.Error("a retired refresh token is active")
	}
	for range 2 {
		if err := h.Revoke(t.Context(), stranger(), operator, next.RefreshToken); err != nil {
			t.Fatal(err)
		}
	}
	h.dead("S-V3 the session of the revoked refresh token", next)
	if active(next.RefreshToken) != "" || active(next.AccessToken) != "" {
		t.Error("tokens of a revoked session are active")
	}
	if err := h.Revoke(t.Context(), stranger(), own, "garbage"); err != nil {
		t.Errorf("S-V1 an unknown token: %v", err)
	}
	h.signer.down = fault.New(fault.Unavailable, "no keys")
	_, err := h.Introspect(t.Context(), own, "x")
	wantKind(t, "Introspect in an outage", err, fault.Unavailable)
	wantKind(t, "S-V3 Revoke in an outage", h.Revoke(t.Context(), stranger(), own, "x"), fault.Unavailable)
}

func TestNew_tellsEveryProblemAtOnce(t *testing.T) {
	_, err := auth.New(auth.Config{AccessTTL: 1, RefreshTTL: 1, SessionTTL: -1, RefreshGrace: time.Hour, PasswordMinLength: 7,
		Clients: []auth.Client{{ID: "x"}}}, auth.Parts{})
	for _, want := range []string{"issuer", "audience", "access token", "idle", "absolute", "grace", "passwords", "refresh key", `client "x"`, "store"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not tell of the %s: %v", want, err)
		}
	}
}

// pruneCounter has so much to delete that it takes two rounds.
type pruneCounter struct {
	auth.Store
	calls atomic.Int32
	down  atomic.Bool
}

func (p *pruneCounter) Prune(_ context.Context, _ time.Time, limit int) (int, error) {
	if p.down.Load() {
		return 0, errDown()
	}
	return limit * int(p.calls.Add(1)%2), nil
}

func TestRun_deletesWhatHasExpiredUntilItIsStopped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &pruneCounter{}
		s, err := auth.New(auth.Config{Issuer: "i", Audience: []string{"a"}, RefreshKey: make([]byte, 32), FactorKeys: [][]byte{make([]byte, 32)}},
			auth.Parts{Store: store, Signer: &fakeSigner{}, Verifier: &fakeSigner{}, Revoker: &gateway{}, Hasher: &fakeHasher{}, Codes: totp.Codes{}})
		if err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- s.Run(ctx) }()
		time.Sleep(11 * time.Minute) // of the bubble's clock
		synctest.Wait()
		if got := store.calls.Load(); got != 4 {
			t.Errorf("%d rounds in two visits, want 4", got)
		}
		store.down.Store(true)
		time.Sleep(10 * time.Minute)
		stop()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
}
