package httpapi

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse.internal/shared/authn"
	"gatehouse.internal/shared/contract"
	"gatehouse.internal/shared/httpx"
	"gatehouse.internal/shared/token"
	"gatehouse.internal/shared/token/tokentest"
	"gatehouse.internal/user-service/internal/user"
	"gatehouse.internal/user-service/internal/user/usertest"
)

// fixture is the API over a store in memory, served over HTTP.
type fixture struct {
	t      *testing.T
	url    string
	issuer *tokentest.Issuer
	store  *usertest.Memory
	users  *user.Service
	log    *lockedBuffer
}

// lockedBuffer is a log that several requests write to.
type lockedBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	f := &fixture{t: t, issuer: tokentest.New(t, token.AlgEdDSA), store: new(usertest.Memory), log: new(lockedBuffer)}
	f.users = &user.Service{Store: f.store, Now: time.Now, Patience: 20 * time.Millisecond}
	e := httpx.New(httpx.Options{Log: slog.New(slog.NewJSONHandler(f.log, nil)), Service: "user-service"})
	api := &API{Users: f.users, Auth: &authn.Authenticator{Tokens: f.issuer.Verifier(t, time.Now)}}
	api.Register(e)
	server := httptest.NewServer(e)
	t.Cleanup(server.Close)
	f.url = server.URL
	return f
}

// in gives the fixture for a part of the test, which fails in its place.
func (f *fixture) in(t *testing.T) *fixture {
	part := *f
	part.t = t
	return &part
}

// register makes the nth account known.
func (f *fixture) register(n int, change ...func(*contract.Account)) {
	f.t.Helper()
	a := contract.Account{
		ID: usertest.ID(n), Version: 1, Email: "ada@example.com", EmailVerified: true, Roles: []string{"user"}, Status: contract.StatusActive,
		FirstName: "Ada", LastName: "Lovelace", CreatedAt: usertest.At.Add(time.Duration(n) * time.Second),
	}
	for _, c := range change {
		c(&a)
	}
	err := f.users.Observe(f.t.Context(), contract.Event{
		ID: usertest.ID(1000 + n), Type: contract.AccountRegistered, Subject: a.ID, Time: a.CreatedAt, Data: a,
	})
	if err != nil {
		f.t.Fatal(err)
	}
}

// token returns a good access token of the nth account.
func (f *fixture) token(n int, roles ...string) string {
	claims := tokentest.Claims(time.Now())
	claims.Subject, claims.Roles = usertest.ID(n), append([]string{contract.RoleUser}, roles...)
	return f.issuer.Token(claims)
}

// call is one request: its headers are given as name, value, name, value.
type call struct {
	method, path, body, token string
	headers                   []string
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   string
	json   map[string]any
}

func (f *fixture) do(c call) answer {
	f.t.Helper()
	req, err := http.NewRequestWithContext(f.t.Context(), c.method, f.url+c.path, strings.NewReader(c.body))
	if err != nil {
		f.t.Fatal(err)
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	for i := 0; i < len(c.headers); i += 2 {
		req.Header.Add(c.headers[i], c.headers[i+1])
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		f.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		f.t.Fatal(err)
	}
	a := answer{status: res.StatusCode, header: res.Header, body: string(text)}
	if len(text) > 0 {
		if err := json.Unmarshal(text, &a.json); err != nil {
			f.t.Fatalf("%s %s answers %d with %q", c.method, c.path, a.status, text)
		}
	}
	return a
}

// wantProblem fails the test unless the answer is a problem document with this
// status and code that is about these fields.
func (f *fixture) wantProblem(a answer, status int, code string, fields ...string) {
	f.t.Helper()
	if a.status != status || a.json["code"] != code || a.json["status"] != float64(status) || a.header.Get("Content-Type") != "application/problem+json" {
		f.t.Errorf("%d %s (%s), want %d %s", a.status, a.body, a.header.Get("Content-Type"), status, code)
		return
	}
	got := []string{}
	problems, _ := a.json["errors"].([]any)
	for _, p := range problems {
		got = append(got, p.(map[string]any)["field"].(string))
	}
	if strings.Join(got, " ") != strings.Join(fields, " ") {
		f.t.Errorf("errors are about %v, want %v: %s", got, fields, a.body)
	}
	if id := a.header.Get("X-Request-Id"); id == "" || a.json["request_id"] != id {
		f.t.Errorf("request id %q in the header, %v in the body", id, a.json["request_id"])
	}
}
