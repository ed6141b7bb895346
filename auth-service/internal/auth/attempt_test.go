package auth_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gatehouse.internal/auth-service/internal/auth"
	"gatehouse.internal/shared/embedded/testenv"
	"gatehouse.internal/shared/fault"
)

// fakeThrottle counts, and nothing becomes free again by itself.
type fakeThrottle struct {
	mu    sync.Mutex
	taken map[string]int
	told  map[string]bool
	limit map[string]auth.Limit // by the name of a bound
	asked func()                // called by whatever asks a server in production
}

func (f *fakeThrottle) Take(_ context.Context, bounds []auth.Bound) auth.Verdict {
	if f.asked != nil {
		f.asked()
	}
	return f.TakeHere(bounds)
}

func (f *fakeThrottle) TakeHere(bounds []auth.Bound) auth.Verdict {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, b := range bounds {
		f.limit[b.Name] = b.Limit
		if f.taken[b.Key] >= b.Tries {
			fresh := !f.told[b.Key]
			f.told[b.Key] = true
			return auth.Verdict{Bound: b, RetryAfter: 90 * time.Second, Fresh: fresh}
		}
	}
	for _, b := range bounds {
		f.taken[b.Key]++
	}
	return auth.Verdict{Allowed: true}
}

func (f *fakeThrottle) Return(_ context.Context, bounds []auth.Bound) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, b := range bounds {
		f.taken[b.Key]--
	}
}

func (f *fakeThrottle) Used(_ context.Context, bounds []auth.Bound) []int {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []int
	for _, b := range bounds {
		out = append(out, f.taken[b.Key])
	}
	return out
}

func (f *fakeThrottle) Forget(_ context.Context, bounds []auth.Bound) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, b := range bounds {
		delete(f.taken, b.Key)
	}
}

// counted tells how many tries of passwords are taken up under each kind of
// bound.
func (f *fakeThrottle) counted() map[string]int {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := map[string]int{}
	for key, n := range f.taken {
		kind, _, _ := strings.Cut(key, ":")
		if n > 0 && kind != auth.BoundSender && kind != auth.BoundTrail && kind != auth.BoundRefresh && kind != auth.BoundChanges {
			out[kind] += n
		}
	}
	return out
}

func limited(c *auth.Config) { c.Limits = auth.DefaultLimits() }

// from calls from another network address, with the device token of t.
func from(address string, t auth.Tokens) auth.Caller {
	c := stranger()
	c.Address, c.Device = address, t.DeviceToken
	return c
}

const wrong = "wrong wrong wrong 1"

func (h *harness) tryLogin(c auth.Caller, email, password string) error {
	h.t.Helper()
	h.clock.advance(time.Millisecond)
	_, err := h.Login(h.t.Context(), c, email, password)
	return err
}

func TestLogin_SW5_boundsWrongPasswordsAlikeForEveryAddress(t *testing.T) {
	for _, email := range []string{"ada@example.com", "nobody@example.com", "not an address"} {
		t.Run(email, func(t *testing.T) {
			h := onSQLite(t, limited)
			h.register("ada@example.com")
			for i := range 10 {
				wantKind(t, "guess", h.tryLogin(stranger(), email, wrong), fault.InvalidCredentials)
				if got := h.tries.counted(); got[auth.BoundPair] != i+1 || got[auth.BoundAccount] != i+1 || got[auth.BoundAddress] != i+1 {
					t.Fatalf("after %d guesses %v are counted", i+1, got)
				}
			}
			hashes := h.hasher.calls.Load()
			err := h.tryLogin(stranger(), email, goodPassword)
			wantKind(t, "guess 11", err, fault.RateLimited)
			if f, ok := errors.AsType[*fault.Error](err); !ok || f.RetryAfter != 90*time.Second {
				t.Errorf("guess 11: %v, want 90 s to wait", err)
			}
			if h.hasher.calls.Load() != hashes {
				t.Error("a refused guess costs a hash")
			}
			wantKind(t, "guess 12", h.tryLogin(stranger(), email, wrong), fault.RateLimited)
			want := []string{"login failure throttled_account_and_address", "login failure " + reasonFor(email)}
			if diff := cmp.Diff(want, h.audited(2)); diff != "" {
				t.Errorf("audit trail (-want +got):\n%s", diff)
			}
		})
	}
}

func reasonFor(email string) string {
	if email == "ada@example.com" {
		return "wrong_password"
	}
	return "unknown_address"
}

func TestLogin_SW5_parallelWrongPasswordsCountEach(t *testing.T) {
	testenv.EachDatabase(t, func(t *testing.T, url string) {
		h := newHarness(t, url, limited)
		h.register("ada@example.com")
		var guessed, refused atomic.Int32
		var wg sync.WaitGroup
		for range 40 {
			wg.Go(func() {
				_, err := h.Login(t.Context(), stranger(), "ada@example.com", wrong)
				switch fault.KindOf(err) {
				case fault.InvalidCredentials:
					guessed.Add(1)
				case fault.RateLimited:
					refused.Add(1)
				default:
					t.Errorf("got %v", err)
				}
			})
		}
		wg.Wait()
		if guessed.Load() != 10 || refused.Load() != 30 {
			t.Errorf("%d of 40 guesses at once were answered and %d refused, want 10 and 30", guessed.Load(), refused.Load())
		}
	})
}

func TestLogin_SW5_anAttackerCannotLockTheOwnerOut(t *testing.T) {
	h := onSQLite(t, limited)
	mine := h.newUser("ada@example.com")
	for i := range 100 { // from everywhere
		wantKind(t, "guess", h.tryLogin(from(spread(i), auth.Tokens{}), "ada@example.com", wrong), fault.InvalidCredentials)
	}
	wantKind(t, "guess 101", h.tryLogin(from("203.0.113.250", auth.Tokens{}), "ada@example.com", wrong), fault.RateLimited)
	wantKind(t, "the right password from a new device", h.tryLogin(from("203.0.113.251", auth.Tokens{}), "ada@example.com", goodPassword), fault.RateLimited)
	if err := h.tryLogin(from("203.0.113.251", mine), "ADA@example.com", goodPassword); err != nil {
		t.Errorf("the owner on a known device: %v", err)
	}
	for range 10 {
		wantKind(t, "a stolen device token", h.tryLogin(from("198.51.100.1", mine), "ada@example.com", wrong), fault.InvalidCredentials)
	}
	wantKind(t, "its eleventh guess", h.tryLogin(from("198.51.100.1", mine), "ada@example.com", wrong), fault.RateLimited)
	wantKind(t, "another account from that device", h.tryLogin(from("198.51.100.2", mine), "bob@example.com", wrong), fault.InvalidCredentials)
}

// spread gives an address of a network of its own to every tenth guess.
func spread(i int) string {
	if i%20 < 10 {
		return "2001:db8:0:" + string(rune('a'+i/20)) + "::" + string(rune('1'+i%10))
	}
	return "198.51.100." + string(rune('1'+i/20))
}

func TestLogin_onlyWrongPasswordsStayCounted(t *testing.T) {
	h := onSQLite(t, limited)
	admin, ada := h.with(h.newAdmin("root@example.com")), h.newUser("ada@example.com")
	nothing := func(what string) {
		t.Helper()
		if got := h.tries.counted(); len(got) > 0 {
			t.Errorf("%s is counted: %v", what, got)
		}
	}
	nothing("a right password")
	h.hasher.err = fault.New(fault.Overloaded, "")
	wantKind(t, "a flood", h.tryLogin(stranger(), "ada@example.com", wrong), fault.Overloaded)
	h.hasher.err = nil
	nothing("a refusal by the queue")
	h.store.down.Store(true)
	wantKind(t, "an outage", h.tryLogin(stranger(), "ada@example.com", wrong), fault.Unavailable)
	h.store.down.Store(false)
	nothing("an outage")
	if err := h.LockUser(t.Context(), admin, ada.Account.ID); err != nil {
		t.Fatal(err)
	}
	wantKind(t, "locked", h.tryLogin(stranger(), "ada@example.com", goodPassword), fault.AccountLocked)
	nothing("the right password of a locked account")
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := h.Login(gone, stranger(), "ada@example.com", wrong); err == nil || len(h.tries.counted()) == 0 {
		t.Errorf("a caller who hangs up pays nothing: %v, %v", err, h.tries.counted())
	}
}

func TestConfirm_SW5_isBoundedBySession(t *testing.T) {
	h := onSQLite(t, limited)
	thief, owner := h.newUser("ada@example.com"), h.login("ada@example.com")
	for range 10 {
		wantKind(t, "guess", h.DeleteAccount(t.Context(), h.with(thief), wrong), fault.InvalidCredentials)
	}
	_, err := h.ChangePassword(t.Context(), h.with(thief), goodPassword, otherPassword)
	wantKind(t, "guess 11, elsewhere", err, fault.RateLimited)
	wantKind(t, "guess 12, elsewhere", h.ChangeEmail(t.Context(), h.with(thief), "eve@example.com", goodPassword), fault.RateLimited)
	if _, err := h.ChangePassword(t.Context(), h.with(owner), goodPassword, otherPassword); err != nil {
		t.Errorf("the owner's other session: %v", err)
	}
	if !slices.Contains(h.audited(99), "password_changed failure throttled_confirmation") {
		t.Errorf("not in the audit trail: %v", h.audited(99))
	}
}

func TestLogin_deviceTokens(t *testing.T) {
	h := onSQLite(t, limited)
	first := h.newUser("ada@example.com")
	known := func(email, token string) bool {
		t.Helper()
		before := h.tries.counted()[auth.BoundDevice]
		c := stranger()
		c.Device = token
		_ = h.tryLogin(c, email, wrong)
		return h.tries.counted()[auth.BoundDevice] > before
	}
	if !known("ada@example.com", first.DeviceToken) || known("bob@example.com", first.DeviceToken) {
		t.Error("a token is good for the account that signed in, and for no other")
	}
	for i := range first.DeviceToken {
		forged := []byte(first.DeviceToken)
		forged[i] ^= 1
		if known("ada@example.com", string(forged)) {
			t.Fatalf("a token with a changed character %d is believed", i)
		}
	}
	emails := []string{"ada@example.com"}
	token := first.DeviceToken
	for _, name := range []string{"b", "c", "d", "e", "f", "g", "h", "i"} {
		h.register(name + "@example.com")
		c := stranger()
		c.Device = token
		h.clock.advance(time.Millisecond)
		out, err := h.Login(t.Context(), c, name+"@example.com", goodPassword)
		if err != nil {
			t.Fatal(err)
		}
		token = out.DeviceToken
		emails = append(emails, name+"@example.com")
	}
	for i, email := range emails {
		if got := known(email, token); got != (i > 0) {
			t.Errorf("%s, number %d of 9 on the device, is known: %v", email, i, got)
		}
	}
	h.clock.advance(auth.DeviceTTL)
	if known("i@example.com", token) {
		t.Error("a token is good for ever")
	}
	if strings.Contains(first.DeviceToken, "ada") || len(token) > 200 {
		t.Errorf("token %q", token)
	}
}

func TestLogin_lockedAndUnverifiedDoNoOtherWork(t *testing.T) {
	h := onSQLite(t, limited)
	admin := h.with(h.newAdmin("root@example.com"))
	for _, email := range []string{"locked@example.com", "unverified@example.com", "verified@example.com"} {
		h.register(email)
	}
	if err := h.VerifyEmail(t.Context(), stranger(), h.mailed("verified@example.com", auth.MailVerifyEmail)); err != nil {
		t.Fatal(err)
	}
	if err := h.LockUser(t.Context(), admin, h.login("locked@example.com").Account.ID); err != nil {
		t.Fatal(err)
	}
	for _, email := range []string{"locked@example.com", "unverified@example.com", "verified@example.com", "unknown@example.com"} {
		for _, password := range []string{wrong, ""} {
			before := h.hasher.calls.Load()
			err := h.tryLogin(stranger(), email, password)
			if n := h.hasher.calls.Load() - before; n != 1 || !fault.Is(err, fault.InvalidCredentials) || err.Error() != wrongCredentials(t, h) {
				t.Errorf("S-W6 %s with %q: %d hashes and %v", email, password, n, err)
			}
		}
	}
}

// wrongCredentials is what the error for an unknown account says.
func wrongCredentials(t *testing.T, h *harness) string {
	t.Helper()
	err := h.tryLogin(from("192.0.2.99", auth.Tokens{}), "somebody.else@example.com", wrong)
	if err == nil {
		t.Fatal("no error")
	}
	return err.Error()
}

func TestLetters_areBoundedBySender(t *testing.T) {
	h := onSQLite(t, func(c *auth.Config) { c.Limits.Sender = auth.Limit{Tries: 3, Per: time.Hour} })
	ask := func(c auth.Caller, email string) error { return h.ForgotPassword(t.Context(), c, email) }
	h.register("ada@example.com")
	for _, email := range []string{"ada@example.com", "nobody@example.com"} {
		wantKind(t, email, ask(stranger(), email), "")
	}
	wantKind(t, "a fourth letter", ask(stranger(), "ada@example.com"), fault.RateLimited)
	r := auth.Registration{Email: "bob@example.com", Password: goodPassword}
	wantKind(t, "a fourth letter, by registering", h.Register(t.Context(), stranger(), r), fault.RateLimited)
	wantKind(t, "one from elsewhere", ask(from("198.51.100.7", auth.Tokens{}), "ada@example.com"), "")
	ada := h.with(h.login("ada@example.com"))
	for range 3 {
		wantKind(t, "a link of one's own", h.ResendVerification(t.Context(), ada), "")
	}
	wantKind(t, "a fourth one", h.ResendVerification(t.Context(), ada), fault.RateLimited)
	wantKind(t, "a fourth one, to a new address", h.ChangeEmail(t.Context(), ada, "new@example.com", goodPassword), fault.RateLimited)
}

func TestForgotPassword_SW6_doesTheSameWorkForEveryAddress(t *testing.T) {
	h := onSQLite(t)
	h.register("ada@example.com")
	for _, email := range []string{"ada@example.com", "nobody@example.com"} {
		before, woken := len(outbox[auth.Mail](h, auth.TopicMail)), h.woken.Load()
		if err := h.ForgotPassword(t.Context(), stranger(), email); err != nil {
			t.Fatal(err)
		}
		if n := len(outbox[auth.Mail](h, auth.TopicMail)) - before; n != 1 || h.woken.Load() == woken {
			t.Errorf("%s: %d messages in the outbox, want 1", email, n)
		}
	}
	for range 9 {
		_ = h.ForgotPassword(t.Context(), stranger(), "nobody@example.com")
	}
	if got := len(h.letters("", auth.MailNothing)); got != 5 {
		t.Errorf("%d blank letters, want as many as a recipient gets", got)
	}
}

func TestAttempts_showAndClear(t *testing.T) {
	testenv.EachDatabase(t, func(t *testing.T, url string) {
		h := newHarness(t, url, limited)
		admin, ada := h.with(h.newAdmin("root@example.com")), h.newUser("ada@example.com")
		for range 3 {
			wantKind(t, "guess", h.tryLogin(from("2001:db8::7", auth.Tokens{}), "ada@example.com", wrong), fault.InvalidCredentials)
		}
		wantKind(t, "guess at nobody", h.tryLogin(from("2001:db8::7", auth.Tokens{}), "nobody@example.com", wrong), fault.InvalidCredentials)
		used := func(of auth.Suspect) (map[string]int, int) {
			t.Helper()
			got, err := h.Attempts(t.Context(), admin, of)
			if err != nil {
				t.Fatal(err)
			}
			out := map[string]int{}
			for _, u := range got.Bounds {
				out[u.Bound] = u.Used
			}
			return out, len(got.Failures)
		}
		for _, c := range []struct {
			of       auth.Suspect
			want     map[string]int
			failures int
		}{
			{auth.Suspect{UserID: ada.Account.ID}, map[string]int{auth.BoundAccount: 3}, 3},
			{auth.Suspect{Address: "2001:db8::7"}, map[string]int{auth.BoundAddress: 4, auth.BoundSender: 0}, 4},
			{auth.Suspect{UserID: ada.Account.ID, Address: "2001:db8::8"}, map[string]int{auth.BoundAccount: 3, auth.BoundPair: 3, auth.BoundAddress: 4, auth.BoundSender: 0}, 0},
		} {
			got, failures := used(c.of)
			if diff := cmp.Diff(c.want, got); diff != "" || failures != c.failures {
				t.Errorf("%+v: %d failures, want %d (-want +got):\n%s", c.of, failures, c.failures, diff)
			}
		}
		h.clock.advance(time.Millisecond)
		if err := h.ClearAttempts(t.Context(), admin, auth.Suspect{UserID: ada.Account.ID}); err != nil {
			t.Fatal(err)
		}
		if got, _ := used(auth.Suspect{UserID: ada.Account.ID}); got[auth.BoundAccount] != 0 {
			t.Errorf("cleared, but %v", got)
		}
		if got := h.audited(1)[0]; got != "attempts_cleared success" {
			t.Errorf("audited as %q", got)
		}
		_, err := h.Attempts(t.Context(), h.with(ada), auth.Suspect{UserID: ada.Account.ID})
		wantKind(t, "a user", err, fault.InsufficientRole)
		for of, kind := range map[auth.Suspect]fault.Kind{{}: fault.ValidationFailed, {Address: "x"}: fault.ValidationFailed, {UserID: "nobody"}: fault.NotFound} {
			_, err := h.Attempts(t.Context(), admin, of)
			wantKind(t, "a suspect that is none", err, kind)
		}
	})
}

func TestResetPassword_SW5_letsTheOwnerInDuringAnAttack(t *testing.T) {
	h := onSQLite(t, limited)
	h.register("ada@example.com")
	flood := func() {
		t.Helper()
		for i := range 100 {
			wantKind(t, "guess", h.tryLogin(from(spread(i), auth.Tokens{}), "ada@example.com", wrong), fault.InvalidCredentials)
		}
		wantKind(t, "guess 101", h.tryLogin(stranger(), "ada@example.com", wrong), fault.RateLimited)
	}
	flood()
	wantKind(t, "asking for a link", h.ForgotPassword(t.Context(), stranger(), "ada@example.com"), "")
	device, err := h.ResetPassword(t.Context(), stranger(), h.mailed("ada@example.com", auth.MailResetPassword), otherPassword)
	if err != nil {
		t.Fatal(err)
	}
	if got := h.tries.counted()[auth.BoundAccount]; got != 0 {
		t.Errorf("%d tries stay used up", got)
	}
	for i := range 50 { // the attack goes on
		_ = h.tryLogin(from(spread(i*2), auth.Tokens{}), "ada@example.com", wrong)
	}
	c := stranger()
	c.Device = device
	if err := h.tryLogin(c, "ada@example.com", otherPassword); err != nil {
		t.Errorf("the owner: %v", err)
	}
}
