package auth_test

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse.internal/auth-service/internal/auth"
	"gatehouse.internal/auth-service/internal/auth/authtest"
	"gatehouse.internal/auth-service/internal/passkey"
	"gatehouse.internal/auth-service/internal/sqlstore"
	"gatehouse.internal/auth-service/internal/totp"
	"gatehouse.internal/shared/contract"
	"gatehouse.internal/shared/embedded/testenv"
	"gatehouse.internal/shared/fault"
	"gatehouse.internal/shared/sqldb"
)

const (
	goodPassword  = "a rather long passphrase 77"
	otherPassword = "quite another sentence 1815"
	grace         = time.Minute
)

// harness is a Service on a real database, with everything else within reach.
type harness struct {
	*auth.Service
	t       testing.TB
	db      *sqldb.DB
	store   *faultyStore
	clock   *clock
	hasher  *fakeHasher
	signer  *fakeSigner
	gateway *gateway
	codes   auth.OneTimeCodes
	woken   atomic.Int32
	config  auth.Config
	tries   *fakeThrottle
}

func newHarness(t testing.TB, url string, change ...func(*auth.Config)) *harness {
	t.Helper()
	db, err := sqldb.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	store, err := sqlstore.New(t.Context(), db)
	if err != nil {
		t.Fatal(err)
	}
	h := &harness{t: t, db: db, store: &faultyStore{Store: store}, clock: &clock{now: authtest.Start()}, hasher: &fakeHasher{version: "1"}}
	h.signer = &fakeSigner{clock: h.clock}
	h.gateway = &gateway{db: db}
	h.codes = totp.Codes{Issuer: "gateway.test"}
	h.tries = &fakeThrottle{taken: map[string]int{}, told: map[string]bool{}, limit: map[string]auth.Limit{}}
	h.config = auth.Config{
		Issuer: "https://issuer.test", Audience: []string{"api"}, RefreshGrace: grace, RefreshKey: []byte(strings.Repeat("k", 32)),
		FactorKeys: [][]byte{[]byte(strings.Repeat("f", 32))},
		Clients: []auth.Client{
			{ID: "gatehouse", SecretHash: hashOf("s1")}, {ID: "other", SecretHash: hashOf("s2")},
			{ID: "operator", SecretHash: hashOf("s3"), AnyClient: true},
		},
	}
	for _, c := range change {
		c(&h.config)
	}
	ceremonies, err := passkey.New("https://issuer.test")
	if err != nil {
		t.Fatal(err)
	}
	h.Service, err = auth.New(h.config, auth.Parts{
		Store: h.store, Signer: h.signer, Verifier: h.signer, Revoker: h.gateway, Hasher: h.hasher, Codes: h.codes, Ceremonies: ceremonies,
		Throttle: h.tries, Now: h.clock.Now, WakeOutbox: func() { h.woken.Add(1) },
	})
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func onSQLite(t testing.TB, change ...func(*auth.Config)) *harness {
	t.Helper()
	return newHarness(t, testenv.SQLite(t), change...)
}

func hashOf(secret string) []byte {
	sum := sha256.Sum256([]byte(secret))
	return sum[:]
}

// stranger calls without a token.
func stranger() auth.Caller {
	return auth.Caller{Address: "192.0.2.7", UserAgent: "test/1", RequestID: "req-1"}
}

// with calls with the access token of t.
func (h *harness) with(t auth.Tokens) auth.Caller {
	h.t.Helper()
	c := stranger()
	var err error
	if c.Claims, err = h.signer.Verify(h.t.Context(), t.AccessToken); err != nil {
		h.t.Fatalf("access token: %v", err)
	}
	return c
}

// register makes an account.
func (h *harness) register(email string) {
	h.t.Helper()
	h.clock.advance(time.Millisecond)
	r := auth.Registration{Email: email, Password: goodPassword, FirstName: "Ada", LastName: "L"}
	if err := h.Register(h.t.Context(), stranger(), r); err != nil {
		h.t.Fatalf("register: %v", err)
	}
}

func (h *harness) login(email string) auth.Tokens {
	h.t.Helper()
	h.clock.advance(time.Millisecond)
	out, err := h.Login(h.t.Context(), stranger(), email, goodPassword)
	if err != nil {
		h.t.Fatalf("login: %v", err)
	}
	return out
}

// newUser registers and signs in.
func (h *harness) newUser(email string) auth.Tokens {
	h.t.Helper()
	h.register(email)
	return h.login(email)
}

// newAdmin makes an account an administrator and signs in.
func (h *harness) newAdmin(email string) auth.Tokens {
	h.t.Helper()
	h.register(email)
	err := h.store.InTx(h.t.Context(), func(tx auth.Tx) error {
		u, err := tx.UserByEmail(h.t.Context(), email)
		if err != nil {
			return err
		}
		u.Roles = []string{contract.RoleAdmin, contract.RoleUser}
		return tx.SaveUser(h.t.Context(), u)
	})
	if err != nil {
		h.t.Fatal(err)
	}
	return h.login(email)
}

// outbox gives the payloads under a topic, oldest first.
func outbox[T any](h *harness, topic string) []T {
	h.t.Helper()
	var payloads [][]byte
	if err := h.db.SelectContext(h.t.Context(), &payloads, `SELECT payload FROM outbox WHERE topic = $1 ORDER BY created_at, id`, topic); err != nil {
		h.t.Fatal(err)
	}
	out := make([]T, len(payloads))
	for i, p := range payloads {
		if err := json.Unmarshal(p, &out[i]); err != nil {
			h.t.Fatal(err)
		}
	}
	return out
}

// letters gives the letters to an address with a template.
func (h *harness) letters(to, template string) []auth.Mail {
	h.t.Helper()
	var found []auth.Mail
	for _, m := range outbox[auth.Mail](h, auth.TopicMail) {
		if m.To == to && m.Template == template {
			found = append(found, m)
		}
	}
	return found
}

// mailed gives the token of the newest letter.
func (h *harness) mailed(to, template string) string {
	h.t.Helper()
	found := h.letters(to, template)
	if len(found) == 0 {
		h.t.Fatalf("no letter %s", template)
	}
	token := found[len(found)-1].Data[auth.DataToken]
	if token == "" {
		h.t.Fatalf("letter %s has no token", template)
	}
	return token
}

// events gives the types of account events, oldest first.
func (h *harness) events() []string {
	var types []string
	for _, e := range outbox[contract.Event](h, auth.TopicAccount) {
		types = append(types, e.Type)
	}
	return types
}

// audited tells the newest audit events as "event outcome reason".
func (h *harness) audited(n int) []string {
	h.t.Helper()
	events, err := h.store.Audit(h.t.Context(), auth.AuditFilter{Limit: n})
	if err != nil {
		h.t.Fatal(err)
	}
	var out []string
	for _, e := range events {
		out = append(out, strings.TrimSpace(fmt.Sprintf("%s %s %s", e.Event, e.Outcome, e.Reason)))
	}
	return out
}

// dead fails unless access and refresh token are good for nothing.
func (h *harness) dead(what string, tokens auth.Tokens) {
	h.t.Helper()
	c := h.with(tokens)
	if v := h.gateway.verdict(h.t, c.Claims); v != fault.TokenRevoked {
		h.t.Errorf("%s: a gateway says %q, want token_revoked", what, v)
	}
	if err := h.Check(h.t.Context(), c.Claims); !fault.Is(err, fault.TokenRevoked) {
		h.t.Errorf("%s: Check says %v, want token_revoked", what, err)
	}
	if _, err := h.Refresh(h.t.Context(), stranger(), tokens.RefreshToken); !fault.Is(err, fault.InvalidRefreshToken) {
		h.t.Errorf("%s: Refresh says %v, want invalid_refresh_token", what, err)
	}
}

// alive fails unless the access token is good everywhere.
func (h *harness) alive(what string, tokens auth.Tokens) {
	h.t.Helper()
	c := h.with(tokens)
	if v := h.gateway.verdict(h.t, c.Claims); v != "" {
		h.t.Errorf("%s: a gateway says %q", what, v)
	}
	if err := h.Check(h.t.Context(), c.Claims); err != nil {
		h.t.Errorf("%s: Check says %v", what, err)
	}
}

// wantKind fails unless err is of the kind; "" is no error.
func wantKind(t testing.TB, what string, err error, kind fault.Kind) {
	t.Helper()
	if fault.KindOf(err) != kind {
		t.Errorf("%s: got %v, want %q", what, err, kind)
	}
}
