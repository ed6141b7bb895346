package auth_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gatehouse.internal/auth-service/internal/auth"
	"gatehouse.internal/shared/contract"
	"gatehouse.internal/shared/fault"
)

func TestRegister_thenVerifyThenLogin(t *testing.T) {
	h := onSQLite(t)
	h.register("Ada@Example.com")
	registered := h.clock.Now()
	h.clock.advance(time.Second)
	if err := h.VerifyEmail(t.Context(), stranger(), h.mailed("ada@example.com", auth.MailVerifyEmail)); err != nil {
		t.Fatalf("verify: %v", err)
	}
	h.clock.advance(time.Second)
	out, err := h.Login(t.Context(), stranger(), "ADA@example.COM", goodPassword)
	if err != nil {
		t.Fatalf("login: %v", err)
	}
	want := auth.Account{ID: out.Account.ID, Email: "ada@example.com", EmailVerified: true, Roles: []string{"user"},
		Status: contract.StatusActive, CreatedAt: registered, LastLoginAt: h.clock.Now()}
	if diff := cmp.Diff(want, out.Account); diff != "" {
		t.Errorf("account (-want +got):\n%s", diff)
	}
	c := h.with(out).Claims
	got := contract.Claims{Issuer: c.Issuer, Audience: c.Audience, ClientID: c.ClientID, Subject: c.Subject, SessionID: c.SessionID,
		IssuedAt: c.IssuedAt, NotBefore: c.NotBefore, ExpiresAt: c.ExpiresAt, Roles: c.Roles, Version: c.Version,
		EmailVerified: c.EmailVerified, Methods: c.Methods}
	at := h.clock.Now().Truncate(time.Second)
	u, err := h.store.User(t.Context(), out.Account.ID)
	if err != nil || u.Version != 1 {
		t.Errorf("version %d (%v), want 1", u.Version, err)
	}
	if diff := cmp.Diff(contract.Claims{Issuer: "https://issuer.test", Audience: []string{"api"}, ClientID: "gatehouse",
		Subject: out.Account.ID, SessionID: out.SessionID, IssuedAt: at, NotBefore: at, ExpiresAt: at.Add(15 * time.Minute),
		Roles: []string{"user"}, Version: max(1, u.LeastVersion), EmailVerified: true, Methods: []string{"pwd"}}, got); diff != "" {
		t.Errorf("claims (-want +got):\n%s", diff)
	}
	for name, id := range map[string]string{"user": c.Subject, "session": c.SessionID, "token": c.TokenID} {
		if len(id) != 36 || id[14] != '7' {
			t.Errorf("the %s id %q is not a UUIDv7", name, id)
		}
	}
	if diff := cmp.Diff([]string{"account.registered", "account.email_verified", "account.signed_in"}, h.events()); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	versions := []int64{}
	for _, e := range outbox[contract.Event](h, auth.TopicAccount) {
		versions = append(versions, e.Data.Version)
	}
	if diff := cmp.Diff([]int64{1, 2, 3}, versions); diff != "" {
		t.Errorf("versions of the account (-want +got):\n%s", diff)
	}
	if h.woken.Load() != 3 {
		t.Errorf("the outbox was woken %d times, want 3", h.woken.Load())
	}
}

func TestLogin_SW6_tellsNothingAboutAccounts(t *testing.T) {
	h := onSQLite(t)
	h.register("ada@example.com")
	if err := h.VerifyEmail(t.Context(), stranger(), h.mailed("ada@example.com", auth.MailVerifyEmail)); err != nil {
		t.Fatal(err)
	}
	work := func(call func() error) (int32, error) {
		before := h.hasher.calls.Load()
		err := call()
		return h.hasher.calls.Load() - before, err
	}
	login := func(email string) func() error {
		return func() error {
			_, err := h.Login(t.Context(), stranger(), email, "not the right password")
			return err
		}
	}
	known, knownErr := work(login("ada@example.com"))
	for _, email := range []string{"nobody@example.com", "not an address", "", strings.Repeat("x", 1000)} {
		unknown, err := work(login(email))
		if unknown != known || cmp.Diff(err.Error(), knownErr.Error()) != "" || !fault.Is(err, fault.InvalidCredentials) {
			t.Errorf("%q: %d hashes and %v; a known address: %d and %v", email, unknown, err, known, knownErr)
		}
	}
	register := func(email string) func() error {
		return func() error {
			return h.Register(t.Context(), stranger(), auth.Registration{Email: email, Password: goodPassword})
		}
	}
	again, err := work(register("ADA@example.com"))
	fresh, freshErr := work(register("new@example.com"))
	if again != fresh || err != nil || freshErr != nil {
		t.Errorf("register: %d hashes (%v) for a known address, %d (%v) for a new one", again, err, fresh, freshErr)
	}
	if got := len(h.letters("ada@example.com", auth.MailAlreadyRegistered)); got != 1 {
		t.Errorf("the owner got %d letters, want 1", got)
	}
	if _, err := h.Login(t.Context(), stranger(), "ada@example.com", goodPassword); err != nil {
		t.Errorf("the owner's password changed: %v", err)
	}
	for _, email := range []string{"ada@example.com", "nobody@example.com", "not an address"} {
		if err := h.ForgotPassword(t.Context(), stranger(), email); err != nil {
			t.Errorf("forgot %q: %v", email, err)
		}
	}
}

func TestLogin_lockedIsToldOnlyAfterTheRightPassword(t *testing.T) {
	h := onSQLite(t)
	admin, ada := h.with(h.newAdmin("root@example.com")), h.newUser("ada@example.com")
	if err := h.LockUser(t.Context(), admin, ada.Account.ID); err != nil {
		t.Fatal(err)
	}
	_, err := h.Login(t.Context(), stranger(), "ada@example.com", "wrong wrong wrong 1")
	wantKind(t, "wrong password", err, fault.InvalidCredentials)
	_, err = h.Login(t.Context(), stranger(), "ada@example.com", goodPassword)
	wantKind(t, "right password", err, fault.AccountLocked)
}

func TestLogin_SW4_upgradesTheHash(t *testing.T) {
	h := onSQLite(t)
	h.register("ada@example.com")
	h.hasher.version = "2"
	h.login("ada@example.com")
	u, err := h.store.UserByEmail(t.Context(), "ada@example.com")
	if err != nil || !strings.HasPrefix(u.PasswordHash, "2$") {
		t.Errorf("the stored hash is %q (%v), want one of version 2", u.PasswordHash, err)
	}
	before := h.hasher.calls.Load()
	h.login("ada@example.com")
	if got := h.hasher.calls.Load() - before; got != 1 {
		t.Errorf("%d hashes once the parameters are the same, want 1", got)
	}
}

func TestLogin_aFloodIsOverloadedAndAnOutageUnavailable(t *testing.T) {
	h := onSQLite(t)
	h.register("ada@example.com")
	h.hasher.err = fault.New(fault.Overloaded, "")
	_, err := h.Login(t.Context(), stranger(), "ada@example.com", goodPassword)
	wantKind(t, "Login", err, fault.Overloaded)
	wantKind(t, "Register", h.Register(t.Context(), stranger(), auth.Registration{Email: "b@example.com", Password: goodPassword}), fault.Overloaded)
	h.hasher.err = nil
	h.store.down.Store(true)
	_, err = h.Login(t.Context(), stranger(), "ada@example.com", goodPassword)
	wantKind(t, "F23 Login", err, fault.Unavailable)
	h.store.down.Store(false)
	h.store.rollBack.Store(true)
	_, err = h.Login(t.Context(), stranger(), "ada@example.com", "wrong wrong wrong 1")
	wantKind(t, "F23 Login that cannot be recorded", err, fault.Unavailable)
}

func TestRegister_refusesWhatIsNotFit(t *testing.T) {
	h := onSQLite(t)
	long := strings.Repeat("x", 101)
	for name, c := range map[string]struct {
		r      auth.Registration
		kind   fault.Kind
		fields []string
	}{
		"no address":         {auth.Registration{Password: goodPassword}, fault.ValidationFailed, []string{"email"}},
		"no domain":          {auth.Registration{Email: "ada", Password: goodPassword}, fault.ValidationFailed, []string{"email"}},
		"one label":          {auth.Registration{Email: "ada@localhost", Password: goodPassword}, fault.ValidationFailed, []string{"email"}},
		"a display name":     {auth.Registration{Email: "Ada <ada@example.com>", Password: goodPassword}, fault.ValidationFailed, []string{"email"}},
		"a quoted local":     {auth.Registration{Email: `"a b"@example.com`, Password: goodPassword}, fault.ValidationFailed, []string{"email"}},
		"a header":           {auth.Registration{Email: "ada@example.com\r\nBcc: x@example.com", Password: goodPassword}, fault.ValidationFailed, []string{"email"}},
		"an address literal": {auth.Registration{Email: "ada@[192.0.2.1]", Password: goodPassword}, fault.ValidationFailed, []string{"email"}},
		"a numeric domain":   {auth.Registration{Email: "ada@192.0.2.1", Password: goodPassword}, fault.ValidationFailed, []string{"email"}},
		"a bad label":        {auth.Registration{Email: "ada@-x.example.com", Password: goodPassword}, fault.ValidationFailed, []string{"email"}},
		"not ASCII":          {auth.Registration{Email: "ädä@example.com", Password: goodPassword}, fault.ValidationFailed, []string{"email"}},
		"too long":           {auth.Registration{Email: "a@" + strings.Repeat("x.", 130) + "com", Password: goodPassword}, fault.ValidationFailed, []string{"email"}},
		"a long local part":  {auth.Registration{Email: strings.Repeat("a", 65) + "@example.com", Password: goodPassword}, fault.ValidationFailed, []string{"email"}},
		"names":              {auth.Registration{Email: "a@example.com", Password: goodPassword, FirstName: long, LastName: "a\x00b"}, fault.ValidationFailed, []string{"first_name", "last_name"}},
		"a turned name":      {auth.Registration{Email: "a@example.com", Password: goodPassword, FirstName: "Ada\u202eecalevoL"}, fault.ValidationFailed, []string{"first_name"}},
		"an unseen name":     {auth.Registration{Email: "a@example.com", Password: goodPassword, LastName: "\ufeffLovelace"}, fault.ValidationFailed, []string{"last_name"}},
		"everything":         {auth.Registration{Password: "short", FirstName: long}, fault.ValidationFailed, []string{"email", "first_name", "password"}},
		"S-W1 short":         {auth.Registration{Email: "a@example.com", Password: "fourteen chars"}, fault.WeakPassword, []string{"password"}},
		"S-W3 common":        {auth.Registration{Email: "a@example.com", Password: "1qaz2wsx3edc4rfv"}, fault.WeakPassword, []string{"password"}},
		"S-W3 own words":     {auth.Registration{Email: "ada.lovelace@example.com", Password: "ada.lovelace@example.com"}, fault.WeakPassword, []string{"password"}},
	} {
		err := h.Register(t.Context(), stranger(), c.r)
		wantKind(t, name, err, c.kind)
		if diff := cmp.Diff(c.fields, fieldNames(err)); diff != "" {
			t.Errorf("%s: fields (-want +got):\n%s", name, diff)
		}
	}
	if got := h.hasher.calls.Load(); got != 0 {
		t.Errorf("%d hashes were worked out for bad requests", got)
	}
}

func fieldNames(err error) []string {
	var names []string
	if f, ok := errors.AsType[*fault.Error](err); ok {
		for _, x := range f.Fields {
			names = append(names, x.Field)
		}
	}
	return names
}

func TestMail_aRecipientGetsFiveLettersOfAKindAnHour(t *testing.T) {
	h := onSQLite(t)
	c := h.with(h.newUser("ada@example.com"))
	for range 9 {
		if err := h.ResendVerification(t.Context(), c); err != nil {
			t.Fatalf("resend: %v", err)
		}
		if err := h.ForgotPassword(t.Context(), stranger(), "ada@example.com"); err != nil {
			t.Fatalf("forgot: %v", err)
		}
		h.register("ada@example.com")
	}
	count := func() int { return len(outbox[auth.Mail](h, auth.TopicMail)) }
	if got := count(); got != 10 {
		t.Errorf("%d letters went out, want 5 to confirm the address and 5 for a new password", got)
	}
	h.clock.advance(time.Hour)
	if err := h.ForgotPassword(t.Context(), stranger(), "ada@example.com"); err != nil || count() != 11 {
		t.Errorf("an hour later %d letters (%v), want 11", count(), err)
	}
}
