package httpapi_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"gatehouse.internal/auth-service/internal/auth"
	"gatehouse.internal/auth-service/internal/httpapi"
	"gatehouse.internal/auth-service/internal/keys"
	"gatehouse.internal/auth-service/internal/keys/keystest"
	"gatehouse.internal/auth-service/internal/passkey"
	"gatehouse.internal/auth-service/internal/sqlstore"
	"gatehouse.internal/auth-service/internal/totp"
	"gatehouse.internal/shared/contract"
	"gatehouse.internal/shared/embedded/testenv"
	"gatehouse.internal/shared/httpx"
	"gatehouse.internal/shared/sqldb"
	"gatehouse.internal/shared/token"
)

const (
	issuer        = "https://gateway.example.com"
	ada           = "ada@example.com"
	root          = "root@example.com"
	password      = "a rather long passphrase 77"
	nextPassword  = "quite another sentence 1815"
	adminPassword = "correct horse battery staple 9"
	clientSecret  = "s3cret of the client"
)

// world is the API over HTTP on real rules, a real store and real keys.
type world struct {
	t     *testing.T
	url   string
	db    *sqldb.DB
	store *troubledStore
	clock *clock
	log   *book
	by    []string // who changed which signing key
}

func newWorld(t *testing.T) *world {
	t.Helper()
	return newWorldOn(t, testenv.SQLite(t))
}

// newWorldOn takes a database and, if need be, other settings and parts of the
// rules.
func newWorldOn(t *testing.T, databaseURL string, change ...func(*auth.Config, *auth.Parts)) *world {
	t.Helper()
	w := &world{t: t, clock: &clock{now: time.Now().UTC().Truncate(time.Second)}, log: &book{}}
	log := httpx.Log(w.log, "debug")
	var err error
	if w.db, err = sqldb.Open(t.Context(), databaseURL); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.db.Close() })
	store, err := sqlstore.New(t.Context(), w.db)
	if err != nil {
		t.Fatal(err)
	}
	w.store = &troubledStore{Store: store}
	manager, err := keys.Open(t.Context(), keys.Options{
		Store: keystest.NewMemory(), EncryptionKey: make([]byte, keys.EncryptionKeySize),
		TokenLifetime: time.Hour, Now: w.clock.Now, Log: log,
	})
	if err != nil {
		t.Fatal(err)
	}
	verifier, err := token.NewVerifier(token.Settings{Issuer: issuer, Audience: "gatehouse"}, manager, w.clock.Now)
	if err != nil {
		t.Fatal(err)
	}
	ceremonies, err := passkey.New(issuer)
	if err != nil {
		t.Fatal(err)
	}
	secret := sha256.Sum256([]byte(clientSecret))
	config := auth.Config{
		Issuer: issuer, Audience: []string{"gatehouse"}, RefreshGrace: time.Minute, RefreshKey: make([]byte, 32),
		FactorKeys: [][]byte{make([]byte, 32)},
		Clients: []auth.Client{
			{ID: contract.ClientPeople, SecretHash: secret[:]}, {ID: "stranger", SecretHash: secret[:]},
		},
	}
	parts := auth.Parts{
		Store: w.store, Signer: manager, Verifier: verifier, Revoker: gateways{}, Hasher: quickHasher{}, Now: w.clock.Now,
		Codes: totp.Codes{Issuer: "gateway.example.com"}, Ceremonies: ceremonies,
	}
	for _, c := range change {
		c(&config, &parts)
	}
	service, err := auth.New(config, parts)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := service.EnsureAdministrator(t.Context(), root, adminPassword); err != nil {
		t.Fatal(err)
	}
	handler, err := httpapi.New(httpapi.Config{
		Service: service, Tokens: verifier, Keys: keyring{manager, &w.by}, RoleTables: store, Nodes: gateways{},
		Issuer: issuer, PublicURL: "https://gateway.example.com/", AllowedOrigins: []string{"https://app.example.com"},
		TrustedProxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, Log: log, Registry: prometheus.NewRegistry(),
	})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	w.url = server.URL
	return w
}

// in gives the same world to a subtest.
func (w *world) in(t *testing.T) *world {
	inner := *w
	inner.t = t
	return &inner
}

// answer is what came back.
type answer struct {
	t      *testing.T
	status int
	header http.Header
	body   []byte
}

// option changes a request before it is sent.
type option func(r *http.Request)

func bearer(token string) option {
	return func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) }
}

func header(name, value string) option {
	return func(r *http.Request) { r.Header.Add(name, value) }
}

func basic(id, secret string) option {
	return func(r *http.Request) { r.SetBasicAuth(id, secret) }
}

// call sends a body: nil for none, a string as it is, anything else as JSON.
func (w *world) call(method, path string, body any, options ...option) answer {
	w.t.Helper()
	var reader io.Reader
	switch b := body.(type) {
	case nil:
	case string:
		reader = strings.NewReader(b)
	default:
		data, err := json.Marshal(b)
		if err != nil {
			w.t.Fatal(err)
		}
		reader = bytes.NewReader(data)
	}
	r, err := http.NewRequestWithContext(w.t.Context(), method, w.url+path, reader)
	if err != nil {
		w.t.Fatal(err)
	}
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	for _, o := range options {
		o(r)
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		w.t.Fatalf("%s %s: %v", method, path, err)
	}
	defer func() { _ = res.Body.Close() }()
	data, err := io.ReadAll(res.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return answer{t: w.t, status: res.StatusCode, header: res.Header, body: data}
}

// want fails the test for another status.
func (a answer) want(status int) answer {
	a.t.Helper()
	if a.status != status {
		a.t.Fatalf("status %d and not %d: %s", a.status, status, a.body)
	}
	return a
}

// wantProblem fails the test for anything but the problem document.
func (a answer) wantProblem(status int, code string) answer {
	a.t.Helper()
	var p struct {
		Type, Title, Detail, Code string
		Status                    int
		RequestID                 string `json:"request_id"`
	}
	if err := json.Unmarshal(a.body, &p); err != nil {
		a.t.Errorf("status %d with no problem document: %s", a.status, a.body)
		return a
	}
	if a.status != status || p.Code != code || p.Status != a.status {
		a.t.Errorf("status %d, code %q, want %d %q: %s", a.status, p.Code, status, code, a.body)
	}
	if got := a.header.Get("Content-Type"); got != "application/problem+json" {
		a.t.Errorf("content type %q", got)
	}
	if p.RequestID == "" || p.RequestID != a.header.Get("X-Request-Id") {
		a.t.Errorf("request id %q in the body, %q in the header", p.RequestID, a.header.Get("X-Request-Id"))
	}
	if challenge := a.header.Get("WWW-Authenticate"); (a.status == 401) != strings.Contains(strings.Join(a.header.Values("WWW-Authenticate"), " "), "Bearer") {
		a.t.Errorf("status %d with WWW-Authenticate %q", a.status, challenge)
	}
	return a
}

func decoded[T any](a answer) T {
	a.t.Helper()
	var out T
	if err := json.Unmarshal(a.body, &out); err != nil {
		a.t.Fatalf("%v: %s", err, a.body)
	}
	return out
}

type tokens struct {
	AccessToken      string `json:"access_token"`
	TokenType        string `json:"token_type"`
	ExpiresIn        int    `json:"expires_in"`
	RefreshToken     string `json:"refresh_token"`
	RefreshExpiresIn int    `json:"refresh_expires_in"`
	SessionID        string `json:"session_id"`
	User             struct {
		ID, Email     string
		EmailVerified bool `json:"email_verified"`
		Roles         []string
	}
}

func (w *world) register(email string) {
	w.t.Helper()
	w.call("POST", "/auth/register", fields{"email": email, "password": password}).want(202)
	w.call("POST", "/auth/email/verify", fields{"token": w.mailToken(email, auth.MailVerifyEmail)}).want(204)
}

func (w *world) login(email, secret string) tokens {
	w.t.Helper()
	return decoded[tokens](w.call("POST", "/auth/login", fields{"email": email, "password": secret}).want(200))
}

func (w *world) admin() tokens {
	w.t.Helper()
	return w.login(root, adminPassword)
}

// mailToken gives the token of the newest letter of a kind to the address.
func (w *world) mailToken(email, template string) string {
	w.t.Helper()
	var payloads [][]byte
	if err := w.db.Select(&payloads, `SELECT payload FROM outbox WHERE topic = 'mail' ORDER BY id DESC`); err != nil {
		w.t.Fatal(err)
	}
	for _, p := range payloads {
		var m auth.Mail
		if err := json.Unmarshal(p, &m); err != nil {
			w.t.Fatal(err)
		}
		if m.To == email && m.Template == template {
			return m.Data[auth.DataToken]
		}
	}
	w.t.Fatalf("no letter %s to %s", template, email)
	return ""
}

type fields map[string]any

// withoutID makes answers comparable.
func withoutID(body []byte) string {
	return regexp.MustCompile(`"request_id":"[^"]*"`).ReplaceAllString(string(body), `"request_id":"…"`)
}
