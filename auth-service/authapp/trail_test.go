package authapp_test

import (
	"bytes"
	"encoding/base64"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gatehouse.internal/auth-service/authapp"
	"gatehouse.internal/shared/config"
	"gatehouse.internal/shared/embedded/testenv"
	"gatehouse.internal/shared/sqldb"
)

// verifyTrail runs the command on the database of the settings.
func verifyTrail(t *testing.T, cfg authapp.Config, args ...string) (string, error) {
	t.Helper()
	return runOn(t, cfg, append([]string{"audit", "verify"}, args...)...)
}

// runOn runs a command with the settings.
func runOn(t *testing.T, cfg authapp.Config, args ...string) (string, error) {
	t.Helper()
	var out bytes.Buffer
	environ := []string{
		"DATABASE_URL=" + cfg.DatabaseURL, "AUTH_ENCRYPTION_KEY=" + string(cfg.EncryptionKey), "NATS_URL=" + cfg.NATSURL, "REDIS_URL=" + cfg.RedisURL,
		"AUTH_ISSUER=" + cfg.Issuer, "AUTH_AUDIENCE=gatehouse", "AUTH_PUBLIC_URL=" + cfg.PublicURL,
		"AUTH_SMTP_URL=" + cfg.SMTPURL, "AUTH_MAIL_FROM=" + cfg.MailFrom,
	}
	if cfg.EncryptionKeyOthers != "" {
		environ = append(environ, "AUTH_ENCRYPTION_KEY_OTHERS="+string(cfg.EncryptionKeyOthers))
	}
	err := authapp.Main(t.Context(), args, environ, &out, io.Discard)
	return out.String(), err
}

func TestCommand_audit_verify_names_what_was_altered_and_finds_an_end_that_is_missing(t *testing.T) {
	testenv.EachDatabase(t, func(t *testing.T, url string) {
		cfg := settings(t, "smtp://127.0.0.1:1")
		cfg.DatabaseURL = url
		app := start(t, cfg)
		app.login(adminEmail, adminPassword)
		app.await("telling the head of the trail", func() bool { return strings.Contains(app.log.String(), "head of the audit trail") })
		app.stop()
		logFile := filepath.Join(t.TempDir(), "log")
		if err := os.WriteFile(logFile, []byte("not JSON\n"+app.log.String()), 0o600); err != nil {
			t.Fatal(err)
		}
		if out, err := verifyTrail(t, cfg, "-log", logFile); err != nil || !strings.Contains(out, "of 1 told heads found") {
			t.Fatalf("%v\n%s", err, out)
		}
		db, err := sqldb.Open(t.Context(), url)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = db.Close() }()
		if _, err := db.ExecContext(t.Context(), `UPDATE audit SET outcome = 'failure' WHERE number = 1`); err != nil {
			t.Fatal(err)
		}
		if out, err := verifyTrail(t, cfg); err == nil || !strings.Contains(out, "entry 1 ") {
			t.Errorf("an altered entry: %v\n%s", err, out)
		}
		for _, statement := range []string{`DELETE FROM audit`, `UPDATE audit_chain SET head_number = 0, head_hash = ''`} {
			if _, err := db.ExecContext(t.Context(), statement); err != nil {
				t.Fatal(err)
			}
		}
		if out, err := verifyTrail(t, cfg, "-log", logFile); err == nil || !strings.Contains(out, "its end was removed") {
			t.Errorf("a trail that was emptied: %v\n%s", err, out)
		}
	})
}

func TestCommand_users_announce_tells_of_every_account(t *testing.T) {
	cfg := settings(t, "smtp://127.0.0.1:1")
	app := start(t, cfg)
	app.stop()
	out, err := runOn(t, cfg, "users", "announce")
	if err != nil || !strings.HasPrefix(out, "1 accounts are announced") {
		t.Errorf("%v\n%s", err, out)
	}
	if _, err := runOn(t, cfg, "users", "announce", "x"); err == nil {
		t.Error("an unknown argument is accepted")
	}
}

func TestCommand_audit_verify_refuses(t *testing.T) {
	cfg := settings(t, "smtp://127.0.0.1:1")
	for _, args := range [][]string{
		{"-anchor", "5"}, {"-anchor", "x:" + strings.Repeat("0", 64)}, {"-log", filepath.Join(t.TempDir(), "none")}, {"-x"}, {"more"},
	} {
		if _, err := verifyTrail(t, cfg, args...); err == nil {
			t.Errorf("%q is accepted", args)
		}
	}
	cfg.EncryptionKey = "short"
	if _, err := verifyTrail(t, cfg); err == nil {
		t.Error("settings that cannot work are accepted")
	}
}

func TestApp_replaces_its_encryption_key(t *testing.T) {
	cfg := settings(t, "smtp://127.0.0.1:1")
	one, two := cfg.EncryptionKey, config.Secret(base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{9}, 32)))
	tokens := tokens{}
	for _, step := range []struct{ key, others config.Secret }{{one, ""}, {one, two}, {two, one}, {two, ""}} {
		cfg.EncryptionKey, cfg.EncryptionKeyOthers = step.key, step.others
		app := start(t, cfg)
		if tokens.RefreshToken == "" {
			tokens = app.login(adminEmail, adminPassword)
		}
		if status := app.call("GET", "/auth/me", tokens.AccessToken, nil, nil); status != 200 {
			t.Errorf("an access token: %d", status)
		}
		if status := app.call("POST", "/auth/refresh", "", map[string]string{"refresh_token": tokens.RefreshToken}, &tokens); status != 200 {
			t.Fatalf("a refresh token: %d", status)
		}
		app.await("telling the head of the trail", func() bool { return strings.Contains(app.log.String(), "head of the audit trail") })
		app.stop()
		if out, err := verifyTrail(t, cfg); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
	}
	cfg.EncryptionKey = one
	if _, err := authapp.New(t.Context(), cfg, slog.New(slog.DiscardHandler)); err == nil {
		t.Error("the key that was given up opens what there is")
	}
}

func TestCommand_audit_verify_notes_when_nobody_kept_the_trail(t *testing.T) {
	cfg := settings(t, "smtp://127.0.0.1:1")
	app := start(t, cfg)
	app.await("keeping the trail", func() bool { return strings.Contains(app.log.String(), "head of the audit trail") })
	app.stop()
	db, err := sqldb.Open(t.Context(), cfg.DatabaseURL)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	if _, err := db.ExecContext(t.Context(), `UPDATE audit_chain SET kept_at = 0, kept_seal = ''`); err != nil {
		t.Fatal(err)
	}
	if out, err := verifyTrail(t, cfg); err != nil || strings.Contains(out, "note: ") {
		t.Errorf("before the service runs again: %v\n%s", err, out)
	}
	app = start(t, cfg)
	app.await("telling of the gap", func() bool {
		out, err := verifyTrail(t, cfg)
		return err == nil && strings.Contains(out, "note: entry ") && strings.Contains(out, "kept_last_unknown")
	})
}
