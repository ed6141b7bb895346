package auth_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"gatehouse.internal/auth-service/internal/auth"
	"gatehouse.internal/shared/fault"
)

// written counts the events of the audit trail that begin so.
func (h *harness) written(prefix string) int {
	h.t.Helper()
	n := 0
	for _, e := range h.audited(10_000) {
		if strings.HasPrefix(e, prefix) {
			n++
		}
	}
	return n
}

func TestRefuse_S_A1_wrongClientCredentialsDoNotFillTheTrail(t *testing.T) {
	h := onSQLite(t, limited)
	root := h.with(h.newAdmin("root@example.com"))
	account, secret, err := h.CreateServiceAccount(t.Context(), root, auth.NewServiceAccount{Name: "billing"})
	if err != nil {
		t.Fatal(err)
	}
	ask := func(c auth.Caller, i int) error {
		if i%2 == 0 {
			_, err := h.AuthenticateClient(t.Context(), c, "gatehouse", fmt.Sprint(i))
			return err
		}
		_, err := h.IssueMachineToken(t.Context(), c, account.ID, fmt.Sprint(i), nil)
		return err
	}
	for i := range 100 {
		wantKind(t, "wrong credentials", ask(stranger(), i), fault.InvalidCredentials)
	}
	for i := range 50 {
		err := ask(stranger(), i)
		if f, ok := errors.AsType[*fault.Error](err); !ok || f.Kind != fault.RateLimited || f.RetryAfter != 90*time.Second {
			t.Fatalf("wrong credentials beyond the bound: %v, want rate_limited with 90 s to wait", err)
		}
	}
	if n := h.written("client_refused failure bad_credentials"); n != 100 {
		t.Errorf("%d events tell of wrong credentials, want 100", n)
	}
	if n := h.written("client_refused failure throttled_client"); n != 1 {
		t.Errorf("%d events tell of those beyond, want 1 in a minute", n)
	}
	if _, err := h.AuthenticateClient(t.Context(), stranger(), "gatehouse", "s1"); err != nil {
		t.Errorf("a client with the right secret beside them: %v", err)
	}
	if _, err := h.IssueMachineToken(t.Context(), stranger(), account.ID, secret.Text, nil); err != nil {
		t.Errorf("a service account with the right secret beside them: %v", err)
	}
	wantKind(t, "from elsewhere", ask(from("198.51.100.7", auth.Tokens{}), 0), fault.InvalidCredentials)
}

func TestRefresh_S_A1_replaysOfAnEndedSessionDoNotFillTheTrail(t *testing.T) {
	h := onSQLite(t, limited)
	first, other := h.newUser("ada@example.com"), h.login("ada@example.com")
	if err := h.Logout(t.Context(), h.with(first)); err != nil {
		t.Fatal(err)
	}
	for range 50 {
		_, err := h.refresh(first.RefreshToken)
		wantKind(t, "a replay", err, fault.InvalidRefreshToken) // however many: the session is over
	}
	if n := h.written("refresh failure session_over"); n != 10 {
		t.Errorf("%d events tell of replays, want 10", n)
	}
	if n := h.written("refresh failure throttled_trail"); n != 1 {
		t.Errorf("%d events tell of those beyond, want 1 in a minute", n)
	}
	if err := h.Logout(t.Context(), h.with(other)); err != nil {
		t.Fatal(err)
	}
	_, err := h.refresh(other.RefreshToken)
	wantKind(t, "a replay of another session", err, fault.InvalidRefreshToken)
	if n := h.written("refresh failure session_over"); n != 11 {
		t.Errorf("the replay of another session is not written: %d", n)
	}
}

func TestCompleteLogin_S_A1_wrongCodesDoNotFillTheTrail(t *testing.T) {
	h := onSQLite(t, func(c *auth.Config) { c.Limits.Account = auth.Limit{Tries: 20, Per: 24 * time.Hour} })
	a, codes := h.enrol(h.newUser("ada@example.com"))
	for i := range 40 {
		answer := a.wrong()
		if i%2 == 0 {
			answer = "not a recovery code"
		}
		if _, err := h.secondStep(h.firstStep("ada@example.com"), answer); err == nil {
			t.Fatal("a wrong code signs in")
		}
	}
	if n := h.written("login failure"); n != 21 {
		t.Errorf("%d events tell of wrong codes, want 20 and one in a minute", n)
	}
	if n := h.written("mfa_challenged"); n != 21 {
		t.Errorf("%d events tell of first steps, want 20 and one in a minute", n)
	}
	h.mustSecondStep("ada@example.com", codes[0])
	if n := h.written("login success"); n != 2 {
		t.Errorf("%d events tell of sign-ins, want 2: the first and this one", n)
	}
}

func TestFactors_changesAreBoundedBySession(t *testing.T) {
	h := onSQLite(t, func(c *auth.Config) { c.Limits.Sender = auth.Limit{Tries: 4, Per: time.Hour} })
	h.register("ada@example.com")
	thief, owner := h.login("ada@example.com"), h.login("ada@example.com")
	change := func(by auth.Tokens, i int) error {
		switch i % 4 {
		case 0:
			_, err := h.EnrolTOTP(t.Context(), h.with(by), "")
			return err
		case 1:
			_, err := h.NewRecoveryCodes(t.Context(), h.with(by), auth.Proof{Password: goodPassword})
			return err
		case 2:
			_, err := h.RenamePasskey(t.Context(), h.with(by), "none", "name")
			return err
		}
		return h.ExportAccount(t.Context(), h.with(by), func(auth.ExportedAccount) error { return nil })
	}
	for i := range 4 {
		if err := change(thief, i); fault.Is(err, fault.RateLimited) {
			t.Fatalf("change %d: %v", i, err)
		}
	}
	events := len(h.audited(10_000))
	for i := range 8 {
		wantKind(t, "a change beyond the bound", change(thief, i), fault.RateLimited)
	}
	if n := len(h.audited(10_000)) - events; n != 1 {
		t.Errorf("%d events tell of changes beyond the bound, want 1 in a minute", n)
	}
	wantKind(t, "the owner's session", change(owner, 0), "")
}

// A stranger registers somebody else's address, whose owner must not pay for
// what the stranger does with the account.
func TestLetters_toAnAddressThatNobodyConfirmedAreBounded(t *testing.T) {
	visit := func(h *harness, i int) {
		t.Helper()
		c := stranger()
		c.UserAgent = fmt.Sprintf("browser/%d", i)
		if err := h.tryLogin(c, "ada@example.com", goodPassword); err != nil {
			t.Fatal(err)
		}
	}
	letters := func(h *harness) (n int) {
		for _, m := range outbox[auth.Mail](h, auth.TopicMail) {
			if m.To == "ada@example.com" {
				n++
			}
		}
		return n
	}
	h := onSQLite(t)
	session := h.newUser("ada@example.com")
	for i := range 20 {
		visit(h, i)
	}
	for range 5 {
		h.enrol(session)
		if err := h.RemoveTOTP(t.Context(), h.with(session), auth.Proof{Password: goodPassword}); err != nil {
			t.Fatal(err)
		}
	}
	if n := letters(h); n != 6 {
		t.Errorf("%d letters went to an address that nobody has confirmed, want 5 and the link", n)
	}

	h = onSQLite(t)
	h.register("ada@example.com")
	if err := h.VerifyEmail(t.Context(), stranger(), h.mailed("ada@example.com", auth.MailVerifyEmail)); err != nil {
		t.Fatal(err)
	}
	for i := range 20 {
		visit(h, i)
	}
	if n := len(h.letters("ada@example.com", auth.MailNewDevice)); n != 19 {
		t.Errorf("%d letters tell the owner of new devices, want 19", n)
	}
}

func TestRecordBounded_asksNobodyWithinATransaction(t *testing.T) {
	h := onSQLite(t, limited)
	over, ada := h.newUser("eve@example.com"), h.newUser("ada@example.com")
	if err := h.Logout(t.Context(), h.with(over)); err != nil {
		t.Fatal(err)
	}
	a, _ := h.enrol(ada)
	asked := 0
	h.tries.asked = func() {
		asked++
		if h.store.running.Load() > 0 {
			t.Error("a transaction waits for what counts tries, and holds its locks meanwhile")
		}
	}
	_, err := h.refresh(over.RefreshToken)
	wantKind(t, "a replay", err, fault.InvalidRefreshToken)
	if _, err := h.secondStep(h.firstStep("ada@example.com"), a.wrong()); err == nil {
		t.Error("a wrong code signs in")
	}
	_, err = h.PasskeyLogin(t.Context(), stranger(), "unknown", []byte("{}"))
	if err == nil {
		t.Error("an unknown passkey signs in")
	}
	if asked == 0 {
		t.Error("nothing was counted")
	}
}

func TestRecordBounded_aTransactionThatRunsAgainCountsOnce(t *testing.T) {
	h := onSQLite(t, limited)
	over := h.newUser("ada@example.com")
	if err := h.Logout(t.Context(), h.with(over)); err != nil {
		t.Fatal(err)
	}
	h.store.again.Store(true)
	for range 12 {
		_, err := h.refresh(over.RefreshToken)
		wantKind(t, "a replay", err, fault.InvalidRefreshToken)
	}
	if n, m := h.written("refresh failure session_over"), h.written("refresh failure throttled_trail"); n != 10 || m != 1 {
		t.Errorf("%d events tell of replays and %d of those beyond, want 10 and 1", n, m)
	}
}
