package authtest

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"gatehouse.internal/auth-service/internal/auth"
	"gatehouse.internal/shared/contract"
	"gatehouse.internal/shared/fault"
)

func sessionComesBack(t *testing.T, s *store) {
	want := s.session(1, s.user(1), func(x *auth.Session) { x.Methods = []string{"pwd", "otp"} })
	if got, err := s.Session(t.Context(), want.ID); err != nil || cmp.Diff(want, got, cmpopts.EquateEmpty()) != "" {
		t.Errorf("added: %v (-want +got):\n%s", err, cmp.Diff(want, got, cmpopts.EquateEmpty()))
	}
	want.Generation, want.Retired, want.Refresh = 1<<32-1, want.Refresh, []byte{9}
	want.Methods = []string{"pwd", "otp", "mfa"}
	want.RotatedAt, want.EndedAt, want.EndCause = Start().Add(time.Second), Start().Add(time.Minute), "logout"
	want.Address, want.UserAgent, want.AccessExpiresAt = "2001:db8::1", "test/2", Start().Add(time.Hour)
	s.must(func(ctx context.Context, tx auth.Tx) error { return tx.SaveSession(ctx, want) })
	if got, err := s.Session(t.Context(), want.ID); err != nil || cmp.Diff(want, got) != "" {
		t.Errorf("saved: %v (-want +got):\n%s", err, cmp.Diff(want, got))
	}
}

func liveSessions(t *testing.T, s *store) {
	u := s.user(1)
	for n := range 4 {
		s.session(n, u)
	}
	s.session(5, u, func(x *auth.Session) { x.EndedAt = Start() })
	s.session(6, u, func(x *auth.Session) { x.IdleExpiresAt = Start() })
	s.session(7, u, func(x *auth.Session) { x.ExpiresAt = Start() })
	s.session(8, s.user(2))
	var got []string
	q := auth.LiveQuery{UserID: u.ID, At: Start(), Limit: 3}
	for range 2 {
		page, err := s.LiveSessions(t.Context(), q)
		if err != nil {
			t.Fatal(err)
		}
		for _, x := range page {
			got = append(got, x.ID)
		}
		q.After = got[len(got)-1]
	}
	if diff := cmp.Diff([]string{ID(1003), ID(1002), ID(1001), ID(1000)}, got); diff != "" {
		t.Errorf("live sessions (-want +got):\n%s", diff)
	}
	ended, err := s.LiveSessions(t.Context(), auth.LiveQuery{UserID: u.ID, Ended: true, At: Start(), After: ID(1007), Limit: 2})
	if err != nil || len(ended) != 2 || ended[0].ID != ID(1006) || ended[1].ID != ID(1005) {
		t.Errorf("ended sessions after the newest: %v (%v)", ended, err)
	}
}

func endSessions(t *testing.T, s *store) {
	u, at := s.user(1), Start().Add(time.Minute)
	s.session(1, u)
	s.session(2, u)
	ended := s.session(3, u, func(x *auth.Session) { x.EndedAt, x.EndCause = Start(), "earlier" })
	other := s.session(4, s.user(2))
	s.must(func(ctx context.Context, tx auth.Tx) error {
		n, err := tx.EndSessions(ctx, u.ID, "locked", at)
		if n != 2 {
			t.Errorf("%d sessions ended, want 2", n)
		}
		return err
	})
	for id, cause := range map[string]string{ID(1001): "locked", ID(1002): "locked", ended.ID: "earlier", other.ID: ""} {
		got, err := s.Session(t.Context(), id)
		if err != nil || got.EndCause != cause || got.EndedAt.IsZero() != (cause == "") {
			t.Errorf("session %s ended at %v for %q (%v), want %q", id, got.EndedAt, got.EndCause, err, cause)
		}
	}
}

func latestAccess(t *testing.T, s *store) {
	u, late := s.user(1), Start().Add(3*time.Hour)
	check := func(want time.Time) {
		s.must(func(ctx context.Context, tx auth.Tx) error {
			got, err := tx.LatestAccess(ctx, u.ID)
			if !got.Equal(want) {
				t.Errorf("latest access is %v, want %v", got, want)
			}
			return err
		})
	}
	check(time.Time{})
	s.session(1, u, func(x *auth.Session) { x.AccessExpiresAt, x.EndedAt = late, Start() })
	s.session(2, u)
	check(late)
}

func mailToken(n int, u auth.User, purpose string) auth.MailToken {
	return auth.MailToken{Hash: fmt.Appendf(nil, "hash%d\x00", n), Purpose: purpose, UserID: u.ID, Address: u.Email,
		CreatedAt: Start(), ExpiresAt: Start().Add(time.Hour)}
}

func mailTokenOnce(t *testing.T, s *store) {
	want := mailToken(1, s.user(1), auth.PurposeVerifyEmail)
	s.must(func(ctx context.Context, tx auth.Tx) error { return tx.AddMailToken(ctx, want) })
	if got, err := s.MailToken(t.Context(), want.Hash); err != nil || cmp.Diff(want, got) != "" {
		t.Errorf("%v (-want +got):\n%s", err, cmp.Diff(want, got))
	}
	var taken atomic.Int32
	err := parallel(8, func(int) error {
		return s.InTx(t.Context(), func(tx auth.Tx) error {
			ok, err := tx.TakeMailToken(t.Context(), want.Hash)
			if ok {
				taken.Add(1)
			}
			return err
		})
	})
	if err != nil || taken.Load() != 1 {
		t.Errorf("taken %d times (%v), want once", taken.Load(), err)
	}
}

func mailTokensDropped(t *testing.T, s *store) {
	u := s.user(1)
	drop, keep := mailToken(1, u, auth.PurposeResetPassword), mailToken(2, u, auth.PurposeVerifyEmail)
	s.must(func(ctx context.Context, tx auth.Tx) error {
		return errors.Join(tx.AddMailToken(ctx, drop), tx.AddMailToken(ctx, keep),
			tx.DropMailTokens(ctx, u.ID, auth.PurposeResetPassword))
	})
	_, err := s.MailToken(t.Context(), drop.Hash)
	wantKind(t, "dropped token", err, fault.NotFound)
	if _, err := s.MailToken(t.Context(), keep.Hash); err != nil {
		t.Errorf("token for another purpose: %v", err)
	}
}

func lettersBounded(t *testing.T, s *store) {
	n := 0
	note := func(recipient string, at time.Time) (ok bool) {
		n++
		s.must(func(ctx context.Context, tx auth.Tx) (err error) {
			ok, err = tx.NoteMail(ctx, auth.MailNote{ID: ID(n), Recipient: []byte(recipient), At: at, Since: at.Add(-time.Hour), Most: 2})
			return err
		})
		return ok
	}
	got := []bool{note("a", Start()), note("a", Start()), note("a", Start()), note("b", Start()),
		note("a", Start().Add(time.Hour-time.Microsecond)), note("a", Start().Add(time.Hour))}
	if diff := cmp.Diff([]bool{true, true, false, true, false, true}, got); diff != "" {
		t.Errorf("allowed (-want +got):\n%s", diff)
	}
}

func revokedToken(t *testing.T, s *store) {
	s.must(func(ctx context.Context, tx auth.Tx) error {
		return errors.Join(
			tx.AddRevocation(ctx, auth.Revocation{ID: ID(1), Kind: contract.RevokeToken, Subject: "jti", Cause: "x", ExpiresAt: Start(), CreatedAt: Start()}),
			tx.AddRevocation(ctx, auth.Revocation{ID: ID(2), Kind: contract.RevokeSession, Subject: "sid", Cause: "x", ExpiresAt: Start(), CreatedAt: Start()}),
			tx.AddRevocation(ctx, auth.Revocation{ID: ID(3), Kind: contract.RevokeUser, Subject: "sub", MinVersion: 1<<63 - 1, CreatedAt: Start()}),
			tx.Enqueue(ctx, auth.OutboxMessage{ID: ID(4), Topic: auth.TopicMail, Payload: []byte("{}")}, Start()))
	})
	for id, want := range map[string]bool{"jti": true, "sid": false, "sub": false, "other": false} {
		if got, err := s.TokenRevoked(t.Context(), id); got != want || err != nil {
			t.Errorf("%s is revoked: %v (%v), want %v", id, got, err, want)
		}
	}
}

func auditTrail(t *testing.T, s *store) {
	event := func(n int, change func(*auth.AuditEvent)) auth.AuditEvent {
		e := auth.AuditEvent{ID: ID(n), At: Start().Add(time.Duration(n) * time.Second), Event: "login", Outcome: auth.OutcomeSuccess,
			Reason: "r", ActorID: "ada", TargetID: "ada", SessionID: "s", Address: "192.0.2.1", UserAgent: "ünï", RequestID: "q"}
		change(&e)
		return e
	}
	want := []auth.AuditEvent{
		event(4, func(e *auth.AuditEvent) { e.Event = "logout" }),
		event(3, func(e *auth.AuditEvent) { e.At = Start().Add(2 * time.Second) }), // the same time as the next
		event(2, func(e *auth.AuditEvent) { e.ActorID = "root" }),
		event(1, func(e *auth.AuditEvent) { e.ActorID, e.TargetID = "bob", "bob" }),
	}
	s.must(func(ctx context.Context, tx auth.Tx) error {
		for _, e := range want {
			if err := tx.AddAudit(ctx, e); err != nil {
				return err
			}
		}
		return nil
	})
	for name, c := range map[string]struct {
		filter auth.AuditFilter
		want   []auth.AuditEvent
	}{
		"all":           {auth.AuditFilter{Limit: 9}, want},
		"one page":      {auth.AuditFilter{Limit: 2}, want[:2]},
		"the next page": {auth.AuditFilter{Limit: 2, BeforeAt: want[1].At, BeforeID: want[1].ID}, want[2:]},
		"target":        {auth.AuditFilter{Limit: 9, UserID: "ada"}, want[:3]},
		"actor":         {auth.AuditFilter{Limit: 9, UserID: "root"}, want[2:3]},
		"event":         {auth.AuditFilter{Limit: 9, Event: "logout"}, want[:1]},
		"from":          {auth.AuditFilter{Limit: 9, From: Start().Add(2 * time.Second)}, want[:3]},
		"to":            {auth.AuditFilter{Limit: 9, To: Start().Add(2 * time.Second)}, want[3:]},
		"everything":    {auth.AuditFilter{Limit: 9, UserID: "ada", Event: "login", From: Start(), To: Start().Add(time.Hour), BeforeAt: want[1].At, BeforeID: want[1].ID}, want[2:3]},
	} {
		got, err := s.Audit(t.Context(), c.filter)
		if diff := cmp.Diff(c.want, got); diff != "" || err != nil {
			t.Errorf("%s: %v (-want +got):\n%s", name, err, diff)
		}
	}
}

func pruned(t *testing.T, s *store) {
	u, now := s.user(1), Start()
	old := s.session(1, u, func(x *auth.Session) { x.ExpiresAt = now.Add(-time.Second) })
	kept := s.session(2, u, func(x *auth.Session) { x.ExpiresAt, x.EndedAt = now, now })
	token := mailToken(1, u, auth.PurposeVerifyEmail)
	token.ExpiresAt = now.Add(-time.Second)
	s.must(func(ctx context.Context, tx auth.Tx) error { return tx.AddMailToken(ctx, token) })
	if n, err := s.Prune(t.Context(), now, 10); n != 2 || err != nil {
		t.Errorf("%d rows pruned (%v), want 2", n, err)
	}
	_, err := s.Session(t.Context(), old.ID)
	wantKind(t, "expired session", err, fault.NotFound)
	_, err = s.MailToken(t.Context(), token.Hash)
	wantKind(t, "expired mail token", err, fault.NotFound)
	if _, err := s.Session(t.Context(), kept.ID); err != nil {
		t.Errorf("session that has not expired: %v", err)
	}
}

func endedContext(t *testing.T, s *store) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.User(ctx, ID(1)); err == nil || fault.Is(err, fault.NotFound) {
		t.Errorf("User: got %v, want another error", err)
	}
	if err := s.InTx(ctx, func(auth.Tx) error { return nil }); err == nil {
		t.Error("InTx: got nil, want an error")
	}
}
