package authapp_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse.internal/auth-service/authapp"
	"gatehouse.internal/shared/config"
	"gatehouse.internal/shared/embedded/testenv"
	"gatehouse.internal/shared/httpx"
)

const (
	adminEmail    = "root@example.com"
	adminPassword = "correct horse battery staple 9"
	userPassword  = "a rather long passphrase 77"
)

// settings gives a configuration on embedded parts.
func settings(t testing.TB, mailURL string) authapp.Config {
	t.Helper()
	cfg := authapp.Defaults()
	cfg.DatabaseURL = testenv.SQLite(t)
	cfg.NATSURL, cfg.NATSPrefix = testenv.NATS(t)
	cfg.RedisURL, cfg.RedisPrefix = testenv.Redis(t)
	cfg.Addr, cfg.OpsAddr = "127.0.0.1:0", "127.0.0.1:0"
	cfg.Issuer, cfg.Audience = "https://gateway.example.com", []string{"gatehouse"}
	cfg.PublicURL = "https://gateway.example.com"
	cfg.EncryptionKey = config.Secret(base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{7}, 32)))
	cfg.SMTPURL, cfg.MailFrom = mailURL, "Gatehouse <no-reply@example.com>"
	cfg.AdminEmail, cfg.AdminPassword = adminEmail, adminPassword
	return cfg
}

// logBook is a log that a test can read while it is written.
type logBook struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *logBook) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *logBook) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// running is an app that serves.
type running struct {
	*authapp.App
	t    testing.TB
	log  *logBook
	stop func()
}

// start runs an app until the test ends or stop is called, and waits until it
// is ready.
func start(t testing.TB, cfg authapp.Config) *running {
	t.Helper()
	book := &logBook{}
	app, err := authapp.New(t.Context(), cfg, httpx.Log(book, "debug"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- app.Run(ctx) }()
	stop := sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("stopped with %v", err)
		}
	})
	t.Cleanup(stop)
	r := &running{App: app, t: t, log: book, stop: stop}
	r.await("ready", func() bool { return len(app.NotReady(t.Context())) == 0 })
	return r
}

func (r *running) await(what string, condition func() bool) {
	r.t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !condition() {
		if time.Now().After(deadline) {
			r.t.Fatalf("not %s in time; the log:\n%s", what, r.log)
		}
		<-tick.C
	}
}

// call makes a request and decodes the JSON of its answer into out.
func (r *running) call(method, path, token string, body, out any) int {
	r.t.Helper()
	var reader io.Reader
	if body != nil {
		data, err := json.Marshal(body)
		if err != nil {
			r.t.Fatal(err)
		}
		reader = bytes.NewReader(data)
	}
	req, err := http.NewRequestWithContext(r.t.Context(), method, "http://"+r.Addr()+path, reader)
	if err != nil {
		r.t.Fatal(err)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	if out != nil {
		if err := json.NewDecoder(res.Body).Decode(out); err != nil {
			r.t.Fatalf("%s %s: %v", method, path, err)
		}
	}
	return res.StatusCode
}

type tokens struct {
	AccessToken  string `json:"access_token"`
	RefreshToken string `json:"refresh_token"`
}

func (r *running) login(email, password string) tokens {
	r.t.Helper()
	var out tokens
	if status := r.call("POST", "/auth/login", "", map[string]string{"email": email, "password": password}, &out); status != 200 {
		r.t.Fatalf("login of %s: status %d", email, status)
	}
	return out
}

func TestApp_walks_from_registration_to_logout_and_survives_a_restart(t *testing.T) {
	t.Run("embedded", func(t *testing.T) {
		mails := startMailbox(t)
		walk(t, mails, settings(t, mails.url))
	})
	t.Run("real", func(t *testing.T) {
		mails := startMailbox(t)
		cfg := settings(t, mails.url)
		cfg.DatabaseURL = testenv.Postgres(t)
		cfg.NATSURL, cfg.NATSPrefix = testenv.RealNATS(t)
		cfg.RedisURL, cfg.RedisPrefix = testenv.RealRedis(t)
		walk(t, mails, cfg)
	})
}

func walk(t *testing.T, mails *mailbox, cfg authapp.Config) {
	t.Helper()
	app := start(t, cfg)
	if !app.CreatedAdministrator() {
		t.Error("the first start created no administrator")
	}

	status := app.call("POST", "/auth/register", "", map[string]string{"email": "ada@example.com", "password": userPassword}, nil)
	if status != 202 {
		t.Fatalf("register: status %d", status)
	}
	mailToken := mails.token(t, "ada@example.com")
	if status := app.call("POST", "/auth/email/verify", "", map[string]string{"token": mailToken}, nil); status != 204 {
		t.Fatalf("verify: status %d", status)
	}
	first, second := app.login("ada@example.com", userPassword), app.login("ada@example.com", userPassword)
	if status := app.call("POST", "/auth/logout", first.AccessToken, nil, nil); status != 204 {
		t.Fatalf("logout: status %d", status)
	}
	app.stop()

	app = start(t, cfg)
	if app.CreatedAdministrator() {
		t.Error("the second start created an administrator again")
	}
	var problem struct{ Code string }
	if status := app.call("GET", "/auth/me", first.AccessToken, nil, &problem); status != 401 || problem.Code != "token_revoked" {
		t.Errorf("a token revoked before the restart: %d %s", status, problem.Code)
	}
	var me struct {
		Email         string
		EmailVerified bool `json:"email_verified"`
	}
	if status := app.call("GET", "/auth/me", second.AccessToken, nil, &me); status != 200 || !me.EmailVerified {
		t.Errorf("a live token after the restart: %d %+v", status, me)
	}
	if status := app.call("POST", "/auth/refresh", "", map[string]string{"refresh_token": second.RefreshToken}, nil); status != 200 {
		t.Errorf("a refresh token after the restart: status %d", status)
	}
	admin := app.login(adminEmail, adminPassword)
	for _, path := range []string{"/admin/keys", "/admin/audit", "/admin/nodes"} {
		if status := app.call("GET", path, admin.AccessToken, nil, nil); status != 200 {
			t.Errorf("%s: status %d", path, status)
		}
	}
}

func TestApp_S_A1_the_log_holds_no_secret_and_no_address(t *testing.T) {
	mails := startMailbox(t)
	app := start(t, settings(t, mails.url))
	app.call("POST", "/auth/register", "", map[string]string{"email": "ada@example.com", "password": userPassword, "first_name": "Adalovelace"}, nil)
	mailToken := mails.token(t, "ada@example.com")
	app.call("POST", "/auth/email/verify", "", map[string]string{"token": "x" + mailToken}, nil)
	app.call("GET", "/auth/email/verify?token="+mailToken, "", nil, nil)
	app.call("POST", "/auth/email/verify", "", map[string]string{"token": mailToken}, nil)
	app.call("POST", "/auth/login", "", map[string]string{"email": "ada@example.com", "password": "not the passphrase"}, nil)
	signedIn := app.login("ada@example.com", userPassword)
	app.call("POST", "/auth/refresh", "", map[string]string{"refresh_token": signedIn.RefreshToken}, nil)
	app.call("POST", "/auth/refresh", "", map[string]string{"refresh_token": signedIn.RefreshToken + "x"}, nil)
	app.call("GET", "/auth/me?access_token="+signedIn.AccessToken, "", nil, nil)
	app.call("GET", "/auth/me", signedIn.AccessToken+"x", nil, nil)
	app.call("POST", "/auth/logout", signedIn.AccessToken, nil, nil)
	app.stop()

	text := app.log.String()
	for _, secret := range []string{
		userPassword, "not the passphrase", adminPassword, mailToken, "ada@example.com", adminEmail, "Adalovelace",
		signedIn.AccessToken, signedIn.AccessToken[strings.LastIndexByte(signedIn.AccessToken, '.'):], signedIn.RefreshToken,
	} {
		if strings.Contains(text, secret) {
			t.Errorf("the log holds %q", secret)
		}
	}
	if !strings.Contains(text, `"route":"/auth/login"`) {
		t.Errorf("the log misses the requests:\n%s", text)
	}
}

func TestApp_ops(t *testing.T) {
	app := start(t, settings(t, "smtp://127.0.0.1:1"))
	app.login(adminEmail, adminPassword)
	for path, want := range map[string]string{
		"/livez": `"ok"`, "/readyz": `"ready"`, "/metrics": `gatehouse_auth_logins_total{kind="success"} 1`,
	} {
		res, err := http.Get("http://" + app.OpsAddr() + path)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(res.Body)
		_ = res.Body.Close()
		if err != nil || res.StatusCode != http.StatusOK || !strings.Contains(string(body), want) {
			t.Errorf("%s: %d, %v, without %s in\n%s", path, res.StatusCode, err, want, body)
		}
	}
	app.await("counting the outbox, and keeping the audit trail", func() bool {
		res, err := http.Get("http://" + app.OpsAddr() + "/metrics")
		if err != nil {
			return false
		}
		defer func() { _ = res.Body.Close() }()
		body, _ := io.ReadAll(res.Body)
		return strings.Contains(string(body), "gatehouse_auth_outbox_parked 0") && strings.Contains(string(body), "\ngatehouse_auth_audit_unkept_seconds ")
	})
}

func TestNew_gives_back_what_it_opened_when_it_fails(t *testing.T) {
	cfg := settings(t, "smtp://127.0.0.1:1")
	app := start(t, cfg)
	cfg.Addr = app.Addr()
	cfg.DatabaseURL = testenv.SQLite(t)
	if _, err := authapp.New(t.Context(), cfg, slog.New(slog.DiscardHandler)); err == nil {
		t.Fatal("a taken address is accepted")
	}
	cfg.Addr = "127.0.0.1:0"
	if again := start(t, cfg); !again.CreatedAdministrator() && len(again.NotReady(t.Context())) > 0 {
		t.Error("the second try does not work")
	}
}

func TestNew_says_why_the_first_administrator_is_refused(t *testing.T) {
	cfg := settings(t, "smtp://127.0.0.1:1")
	cfg.AdminPassword = "short"
	_, err := authapp.New(t.Context(), cfg, slog.New(slog.DiscardHandler))
	if err == nil || !strings.Contains(err.Error(), "at least 15 characters") {
		t.Errorf("got %v", err)
	}
	if strings.Contains(fmt.Sprint(err), `"short"`) {
		t.Error("the error repeats the password")
	}
}
