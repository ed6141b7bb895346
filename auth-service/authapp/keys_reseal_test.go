package authapp_test

import (
	"bytes"
	"encoding/base64"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"gatehouse.internal/auth-service/authapp"
	"gatehouse.internal/shared/config"
	"gatehouse.internal/shared/embedded/testenv"
	"gatehouse.internal/shared/sqldb"
)

// enrol sets an authenticator app up for the session and returns its secret.
func (r *running) enrol(session tokens) string {
	r.t.Helper()
	var e struct{ Secret string }
	if status := r.call("POST", "/auth/mfa/totp", session.AccessToken, nil, &e); status != 200 {
		r.t.Fatalf("begin an app: status %d", status)
	}
	code, err := totp.GenerateCode(e.Secret, time.Now())
	if err != nil {
		r.t.Fatal(err)
	}
	if status := r.call("POST", "/auth/mfa/totp/confirm", session.AccessToken, map[string]string{"code": code}, nil); status != 200 {
		r.t.Fatalf("confirm the app: status %d", status)
	}
	return e.Secret
}

// exec changes the database of the settings.
func exec(t *testing.T, cfg authapp.Config, query string, args ...any) {
	t.Helper()
	db, err := sqldb.Open(t.Context(), cfg.DatabaseURL)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	if _, err := db.ExecContext(t.Context(), query, args...); err != nil {
		t.Fatal(err)
	}
}

func TestCommand_keys_reseal_says_when_the_old_key_may_go(t *testing.T) {
	testenv.EachDatabase(t, func(t *testing.T, url string) {
		cfg := settings(t, "smtp://127.0.0.1:1")
		cfg.DatabaseURL = url
		app := start(t, cfg)
		session := app.login(adminEmail, adminPassword)
		secret := app.enrol(session)
		app.stop()
		if out, err := runOn(t, cfg, "keys", "reseal"); err != nil || !strings.Contains(out, "secrets of second factors: 1, encrypted anew: 0") {
			t.Errorf("with one key: %v\n%s", err, out)
		}
		one := cfg.EncryptionKey
		cfg.EncryptionKey, cfg.EncryptionKeyOthers = config.Secret(base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{9}, 32))), one
		out, err := runOn(t, cfg, "keys", "reseal")
		for _, want := range []string{
			"signing keys: 3, encrypted anew: 3\n", "secrets of second factors: 1, encrypted anew: 1\n", "audit trail: sealed\n",
			"has not started with this AUTH_ENCRYPTION_KEY yet",
		} {
			if !strings.Contains(out, want) {
				t.Errorf("the command does not say %q:\n%s", want, out)
			}
		}
		if err == nil || !strings.Contains(err.Error(), "needed still") {
			t.Errorf("it ends with %v", err)
		}
		app = start(t, cfg)
		if status := app.call("POST", "/auth/refresh", "", map[string]string{"refresh_token": session.RefreshToken}, &session); status != 200 {
			t.Fatalf("a refresh token: %d", status)
		}
		app.stop()
		exec(t, cfg, `INSERT INTO audit_erasures (user_id, pseudonym, created_at) SELECT 'gone', 'erased-x', since FROM encryption_key`)
		// It was refreshed within the hour in which another replica may have had the old key.
		if out, err := runOn(t, cfg, "keys", "reseal"); err == nil || !strings.Contains(out, "refresh tokens: 1 sessions were not refreshed since ") ||
			!strings.Contains(out, "audit trail: 1 accounts that were deleted before") {
			t.Errorf("right after the exchange: %v\n%s", err, out)
		}
		exec(t, cfg, `DELETE FROM audit_erasures`)
		exec(t, cfg, `UPDATE encryption_key SET since = since - 7200000000`)
		if out, err := runOn(t, cfg, "keys", "reseal"); err != nil || !strings.Contains(out, "nothing hangs on AUTH_ENCRYPTION_KEY_OTHERS any more") {
			t.Errorf("in the end: %v\n%s", err, out)
		}
		cfg.EncryptionKeyOthers = ""
		app = start(t, cfg) // without the old key
		var asked struct {
			Token string `json:"mfa_token"`
		}
		if status := app.call("POST", "/auth/login", "", map[string]string{"email": adminEmail, "password": adminPassword}, &asked); status != 403 {
			t.Fatalf("the first step: %d", status)
		}
		code, err := totp.GenerateCode(secret, time.Now().Add(30*time.Second)) // the one of now is used
		if err != nil {
			t.Fatal(err)
		}
		if status := app.call("POST", "/auth/login/mfa", "", map[string]string{"mfa_token": asked.Token, "code": code}, nil); status != 200 {
			t.Errorf("the second step: %d", status)
		}
		app.stop()
		cfg.EncryptionKey = one
		if _, err := authapp.New(t.Context(), cfg, slog.New(slog.DiscardHandler)); err == nil {
			t.Error("the old key opens what there is")
		}
		if _, err := runOn(t, cfg, "keys", "reseal"); err == nil {
			t.Error("the command takes a key that opens nothing")
		}
		if _, err := runOn(t, cfg, "keys", "reseal", "x"); err == nil {
			t.Error("an unknown argument is accepted")
		}
	})
}

func TestCommand_users_reset_mfa_lets_the_last_administrator_in(t *testing.T) {
	testenv.EachDatabase(t, func(t *testing.T, url string) {
		mails := startMailbox(t)
		cfg := settings(t, mails.url)
		cfg.DatabaseURL, cfg.MFARequiredRoles = url, []string{"admin"}
		app := start(t, cfg)
		session := app.login(adminEmail, adminPassword)
		app.enrol(session)
		if status := app.call("POST", "/auth/login", "", map[string]string{"email": adminEmail, "password": adminPassword}, nil); status != 403 {
			t.Fatalf("a sign-in without the factor: %d", status)
		}
		if strings.HasPrefix(url, "sqlite:") {
			app.stop() // a file belongs to one process
		}
		out, err := runOn(t, cfg, "users", "reset-mfa", adminEmail)
		if err != nil || !strings.Contains(out, "has no second factor any more") || strings.Contains(out, adminEmail) {
			t.Fatalf("%v\n%s", err, out)
		}
		if strings.HasPrefix(url, "sqlite:") {
			app = start(t, cfg)
		}
		app.await("telling the gateways", func() bool {
			var waiting int
			db, err := sqldb.Open(t.Context(), url)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = db.Close() }()
			err = db.GetContext(t.Context(), &waiting, `SELECT COUNT(*) FROM revocations WHERE number IS NULL`)
			return err == nil && waiting == 0
		})
		if status := app.call("GET", "/auth/me", session.AccessToken, nil, nil); status != 401 {
			t.Errorf("a token from before: %d", status)
		}
		app.login(adminEmail, adminPassword)
		app.await("telling the owner", func() bool { return mails.has(adminEmail, "An administrator removed") })
		if out, err := runOn(t, cfg, "users", "reset-mfa", adminEmail); err != nil || !strings.Contains(out, "nothing was changed") {
			t.Errorf("again: %v\n%s", err, out)
		}
		for _, args := range [][]string{{}, {""}, {"nobody@example.com"}, {adminEmail, "more"}} {
			if _, err := runOn(t, cfg, append([]string{"users", "reset-mfa"}, args...)...); err == nil {
				t.Errorf("%q is accepted", args)
			}
		}
	})
}
