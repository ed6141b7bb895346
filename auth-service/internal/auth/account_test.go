package auth_test

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gatehouse.internal/auth-service/internal/auth"
	"gatehouse.internal/shared/contract"
	"gatehouse.internal/shared/fault"
)

func TestLogout_SR5_endsTheSessionAndNoOther(t *testing.T) {
	h := onSQLite(t)
	one, two := h.newUser("ada@example.com"), h.login("ada@example.com")
	c := h.with(one)
	if err := h.Logout(t.Context(), c); err != nil {
		t.Fatalf("logout: %v", err)
	}
	wantKind(t, "repeating it", h.Logout(t.Context(), c), fault.TokenRevoked)
	if n := h.revocations(); n != 1 {
		t.Errorf("%d revocations, want 1: repeating it revokes nothing", n)
	}
	h.dead("the session", one)
	h.alive("the other session", two)
	wantKind(t, "without a token", h.Logout(t.Context(), stranger()), fault.TokenMissing)
	forged := *c.Claims
	forged.SessionID = two.SessionID
	forged.Subject = "somebody else"
	wantKind(t, "with another's session", h.Logout(t.Context(), auth.Caller{Claims: &forged}), fault.TokenRevoked)
}

func TestLogoutByRefreshToken_endsTheSessionAlsoByARetiredToken(t *testing.T) {
	h := onSQLite(t)
	first := h.newUser("ada@example.com")
	second := h.mustRefresh(first.RefreshToken)
	for range 2 {
		if err := h.LogoutByRefreshToken(t.Context(), stranger(), first.RefreshToken); err != nil {
			t.Fatalf("logout: %v", err)
		}
	}
	h.dead("the session", second)
}

func TestLogoutAll_endsEverySession(t *testing.T) {
	h := onSQLite(t)
	one, two := h.newUser("ada@example.com"), h.login("ada@example.com")
	bob := h.newUser("bob@example.com")
	if err := h.LogoutAll(t.Context(), h.with(one)); err != nil {
		t.Fatal(err)
	}
	h.dead("the caller's", one)
	h.dead("the other", two)
	h.alive("another user's", bob)
	h.alive("I6 a token of the same second", h.login("ada@example.com"))
}

func TestRevocations_outliveTheTokensTheyKill(t *testing.T) {
	h := onSQLite(t)
	first := h.newUser("ada@example.com")
	claims := h.with(first).Claims
	h.clock.advance(time.Minute)
	// As late as a token could expire that a lost history has made just now.
	until := h.clock.Now().Add(15*time.Minute + 5*time.Minute + 30*time.Second)
	if err := h.LogoutAll(t.Context(), h.with(first)); err != nil {
		t.Fatal(err)
	}
	var row struct {
		ExpiresAt  int64  `db:"expires_at"`
		Kind       int    `db:"kind"`
		MinVersion uint64 `db:"min_version"`
		Cause      string `db:"cause"`
	}
	err := h.db.GetContext(t.Context(), &row, `SELECT expires_at, kind, min_version, cause FROM revocations`)
	if err != nil || row.ExpiresAt != until.UnixMicro() || row.Kind != 3 || row.MinVersion != claims.Version+1 || row.Cause != "logout_all" {
		t.Errorf("the entry is %+v (%v), want it to expire at %d", row, err, until.UnixMicro())
	}
}

func TestCheck_tellsStaleFromRevoked(t *testing.T) {
	h := onSQLite(t)
	admin, ada := h.with(h.newAdmin("root@example.com")), h.newUser("ada@example.com")
	c := h.with(ada)
	wantKind(t, "without claims", h.Check(t.Context(), nil), fault.TokenMissing)
	if _, err := h.SetRoles(t.Context(), admin, ada.Account.ID, []string{"auditor"}); err != nil {
		t.Fatal(err)
	}
	wantKind(t, "S-R8 older roles", h.Check(t.Context(), c.Claims), fault.TokenStale)
	if v := h.gateway.verdict(t, c.Claims); v != fault.TokenStale {
		t.Errorf("a gateway says %q, want token_stale", v)
	}
	again := h.mustRefresh(ada.RefreshToken)
	h.alive("a refreshed token", again)
	if got := h.with(again).Claims.Roles; !slices.Equal(got, []string{"auditor", "user"}) {
		t.Errorf("the refreshed token has the roles %v", got)
	}
	future := *h.with(again).Claims
	future.Version++
	wantKind(t, "a version of the future", h.Check(t.Context(), &future), fault.TokenRevoked)
	h.store.down.Store(true)
	wantKind(t, "F23 an outage", h.Check(t.Context(), c.Claims), fault.Unavailable)
}

func TestSessions_areListedPageByPageAndEnded(t *testing.T) {
	h := onSQLite(t)
	all := []auth.Tokens{h.newUser("ada@example.com")}
	for range 2 {
		h.clock.advance(time.Second)
		all = append(all, h.login("ada@example.com"))
	}
	c := h.with(all[1])
	var ids []string
	p := auth.PageRequest{Limit: 2}
	for {
		page, err := h.Sessions(t.Context(), c, false, p)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range page.Items {
			ids = append(ids, s.ID)
			if s.Current != (s.ID == all[1].SessionID) || s.Address != "192.0.2.7" || s.UserAgent != "test/1" {
				t.Errorf("session: %+v", s)
			}
		}
		if p.Cursor = page.Next; p.Cursor == "" {
			break
		}
	}
	if diff := cmp.Diff([]string{all[2].SessionID, all[1].SessionID, all[0].SessionID}, ids); diff != "" {
		t.Errorf("sessions (-want +got):\n%s", diff)
	}
	if err := h.EndSession(t.Context(), c, all[0].SessionID); err != nil {
		t.Fatal(err)
	}
	h.dead("the ended session", all[0])
	wantKind(t, "ended again", h.EndSession(t.Context(), c, all[0].SessionID), fault.NotFound)
	bob := h.newUser("bob@example.com")
	wantKind(t, "somebody else's", h.EndSession(t.Context(), c, bob.SessionID), fault.NotFound)
	for _, bad := range []auth.PageRequest{{Limit: 201}, {Limit: -1}, {Cursor: "x"}, {Cursor: "MC4"}, {Cursor: "MC54"}, {Cursor: "eC4w"}} {
		_, err := h.Sessions(t.Context(), c, false, bad)
		wantKind(t, "a bad page", err, fault.ValidationFailed)
	}
	_, err := h.Sessions(t.Context(), stranger(), false, p)
	wantKind(t, "without a token", err, fault.TokenMissing)
}

func TestVerifyEmail_once(t *testing.T) {
	h := onSQLite(t)
	c := h.with(h.newUser("ada@example.com"))
	if err := h.ResendVerification(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	first, second := h.letters("ada@example.com", auth.MailVerifyEmail)[0].Data[auth.DataToken], h.mailed("ada@example.com", auth.MailVerifyEmail)
	if err := h.VerifyEmail(t.Context(), stranger(), first); err != nil {
		t.Fatal(err)
	}
	wantKind(t, "the same token", h.VerifyEmail(t.Context(), stranger(), first), fault.ValidationFailed)
	wantKind(t, "the other token", h.VerifyEmail(t.Context(), stranger(), second), fault.ValidationFailed)
	if err := h.ResendVerification(t.Context(), c); err != nil || len(h.letters("ada@example.com", auth.MailVerifyEmail)) != 2 {
		t.Errorf("a verified address got another letter (%v)", err)
	}
	me, err := h.Me(t.Context(), c)
	if err != nil || !me.EmailVerified {
		t.Errorf("Me: %+v, %v", me, err)
	}
}

func TestChangeEmail_takesEffectWhenConfirmed(t *testing.T) {
	h := onSQLite(t)
	tokens := h.newUser("ada@example.com")
	c := h.with(tokens)
	old := h.mailed("ada@example.com", auth.MailVerifyEmail)
	wantKind(t, "a wrong password", h.ChangeEmail(t.Context(), c, "new@example.com", "wrong wrong wrong 1"), fault.InvalidCredentials)
	wantKind(t, "no address", h.ChangeEmail(t.Context(), c, "new", goodPassword), fault.ValidationFailed)
	wantKind(t, "the same address", h.ChangeEmail(t.Context(), c, "ADA@example.com", goodPassword), fault.ValidationFailed)
	if err := h.ChangeEmail(t.Context(), c, "New@example.com", goodPassword); err != nil {
		t.Fatal(err)
	}
	if me, err := h.Me(t.Context(), c); err != nil || me.Email != "ada@example.com" {
		t.Errorf("before it is confirmed: %+v, %v", me, err)
	}
	if err := h.VerifyEmail(t.Context(), stranger(), h.mailed("new@example.com", auth.MailChangeEmail)); err != nil {
		t.Fatal(err)
	}
	if me, err := h.Me(t.Context(), c); err != nil || me.Email != "new@example.com" || !me.EmailVerified {
		t.Errorf("after it is confirmed: %+v, %v", me, err)
	}
	wantKind(t, "a token for the old address", h.VerifyEmail(t.Context(), stranger(), old), fault.ValidationFailed)
	for _, template := range []string{auth.MailEmailChangeRequested, auth.MailEmailChanged} {
		found := h.letters("ada@example.com", template)
		if len(found) != 1 || found[0].Data[auth.DataNewEmail] != "new@example.com" {
			t.Errorf("the old address got %v of %s", found, template)
		}
	}
}

func TestChangeEmail_toATakenAddressLooksTheSame(t *testing.T) {
	h := onSQLite(t)
	h.register("bob@example.com")
	c := h.with(h.newUser("ada@example.com"))
	if err := h.ChangeEmail(t.Context(), c, "bob@example.com", goodPassword); err != nil {
		t.Fatal(err)
	}
	if len(h.letters("bob@example.com", auth.MailAlreadyRegistered)) != 1 || len(h.letters("bob@example.com", auth.MailChangeEmail)) != 0 {
		t.Error("the owner of the address was not told, or got a link")
	}
	if err := h.ChangeEmail(t.Context(), c, "new@example.com", goodPassword); err != nil {
		t.Fatal(err)
	}
	h.register("new@example.com") // somebody is faster
	wantKind(t, "a link to an address that is taken now",
		h.VerifyEmail(t.Context(), stranger(), h.mailed("new@example.com", auth.MailChangeEmail)), fault.ValidationFailed)
}

func TestDeleteAccount_takesEverything(t *testing.T) {
	h := onSQLite(t)
	tokens := h.newUser("ada@example.com")
	c := h.with(tokens)
	wantKind(t, "a wrong password", h.DeleteAccount(t.Context(), c, "wrong wrong wrong 1"), fault.InvalidCredentials)
	if err := h.DeleteAccount(t.Context(), c, goodPassword); err != nil {
		t.Fatal(err)
	}
	h.dead("the session", tokens)
	_, err := h.Login(t.Context(), stranger(), "ada@example.com", goodPassword)
	wantKind(t, "login", err, fault.InvalidCredentials)
	events := outbox[contract.Event](h, auth.TopicAccount)
	last := events[len(events)-1]
	if last.Type != contract.AccountDeleted || last.Data.Status != contract.StatusDeleted || last.Data.Email != "" || last.Data.Version <= events[len(events)-2].Data.Version {
		t.Errorf("the last event is %+v", last)
	}
	if len(h.letters("ada@example.com", auth.MailAccountDeleted)) != 1 {
		t.Error("no letter tells of it")
	}
	h.newUser("ada@example.com") // the address is free again
	root := h.with(h.newAdmin("root@example.com"))
	wantKind(t, "the last administrator", h.DeleteAccount(t.Context(), root, goodPassword), fault.Conflict)
}

func TestAudit_holdsNoSecret(t *testing.T) {
	h := onSQLite(t)
	tokens := h.newUser("ada@example.com")
	root := h.newAdmin("root@example.com")
	_, _ = h.Login(t.Context(), stranger(), "ada@example.com", "wrong wrong wrong 1")
	_, _ = h.refresh(tokens.RefreshToken)
	_ = h.ForgotPassword(t.Context(), stranger(), "ada@example.com")
	_ = h.ChangeEmail(t.Context(), h.with(tokens), "new@example.com", goodPassword)
	nasty := auth.Caller{Claims: h.with(tokens).Claims, UserAgent: "x\r\nevil: 1\x00\u202e" + strings.Repeat("é", 300), Address: "::1", RequestID: "a\nb"}
	if err := h.Logout(t.Context(), nasty); err != nil {
		t.Fatal(err)
	}
	page, err := h.AuditEvents(t.Context(), h.with(root), auth.AuditQuery{})
	if err != nil || len(page.Items) < 8 {
		t.Fatalf("%d events, %v", len(page.Items), err)
	}
	text, err := json.Marshal(page)
	for _, secret := range []string{"@example.com", "passphrase", "wrong wrong", tokens.RefreshToken, tokens.AccessToken, "evil: 1\x00", "\\n", "\\r", "\u202e"} {
		if err != nil || strings.Contains(string(text), secret) {
			t.Errorf("the trail holds %q (%v)", secret, err)
		}
	}
	for _, e := range page.Items {
		if e.Event == auth.EventLogout && (len(e.UserAgent) > 256 || e.ActorID != tokens.Account.ID || e.SessionID != tokens.SessionID || e.Address != "::1") {
			t.Errorf("the logout is %+v", e)
		}
	}
	mine, err := h.AuditEvents(t.Context(), h.with(root), auth.AuditQuery{AuditFilter: auth.AuditFilter{UserID: tokens.Account.ID, Event: auth.EventLogin}, Page: auth.PageRequest{Limit: 1}})
	if err != nil || len(mine.Items) != 1 || mine.Next == "" {
		t.Fatalf("filtered: %+v, %v", mine, err)
	}
	rest, err := h.AuditEvents(t.Context(), h.with(root), auth.AuditQuery{AuditFilter: auth.AuditFilter{UserID: tokens.Account.ID, Event: auth.EventLogin}, Page: auth.PageRequest{Cursor: mine.Next}})
	if err != nil || len(rest.Items) != 1 || rest.Next != "" || rest.Items[0].ID == mine.Items[0].ID {
		t.Errorf("the next page: %+v, %v", rest, err)
	}
	for _, q := range []auth.AuditQuery{{Page: auth.PageRequest{Limit: 201}}, {Page: auth.PageRequest{Cursor: "?"}}} {
		_, err := h.AuditEvents(t.Context(), h.with(root), q)
		wantKind(t, "a bad page", err, fault.ValidationFailed)
	}
}

func TestRandomness_thatFailsUndoesTheTransaction(t *testing.T) {
	h := onSQLite(t)
	broken := errors.New("no entropy")
	s, err := auth.New(h.config, auth.Parts{Store: h.store, Signer: h.signer, Verifier: h.signer, Revoker: h.gateway,
		Hasher: h.hasher, Codes: h.codes, Now: h.clock.Now, Random: failing{broken}})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Register(t.Context(), stranger(), auth.Registration{Email: "ada@example.com", Password: goodPassword}); !errors.Is(err, broken) {
		t.Errorf("Register: %v, want the cause", err)
	}
	if _, err := h.store.UserByEmail(t.Context(), "ada@example.com"); !fault.Is(err, fault.NotFound) {
		t.Errorf("the account is there: %v", err)
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }
