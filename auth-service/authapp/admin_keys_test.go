package authapp_test

import (
	"context"
	"net/http"
	"testing"

	"gatehouse.internal/shared/embedded/testenv"
	"gatehouse.internal/shared/sqldb"
)

func TestApp_S_A1_a_signing_key_is_changed_only_with_its_event(t *testing.T) {
	testenv.EachDatabase(t, func(t *testing.T, url string) {
		cfg := settings(t, "smtp://127.0.0.1:1")
		cfg.DatabaseURL = url
		app := start(t, cfg)
		admin := app.login(adminEmail, adminPassword)
		var rotated, revoked map[string]any
		if status := app.call("POST", "/admin/keys/rotate", admin.AccessToken, nil, &rotated); status != http.StatusCreated {
			t.Fatalf("rotate: %d", status)
		}
		kid, _ := rotated["kid"].(string)
		db, err := sqldb.Open(t.Context(), url)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = db.Close() }()
		exec := func(query string) {
			t.Helper()
			if _, err := db.ExecContext(context.WithoutCancel(t.Context()), query); err != nil {
				t.Fatal(err)
			}
		}
		// Without a trail to write to, nothing is changed.
		exec(`ALTER TABLE audit RENAME TO audit_away`)
		if status := app.call("POST", "/admin/keys/"+kid+"/revoke", admin.AccessToken, nil, nil); status < 500 {
			t.Errorf("revoked without a trace: %d", status)
		}
		exec(`ALTER TABLE audit_away RENAME TO audit`)
		state := ""
		if err := db.GetContext(t.Context(), &state, `SELECT state FROM signing_keys WHERE key_id = $1`, kid); err != nil || state != "active" {
			t.Errorf("the key is %s (%v)", state, err)
		}
		for range 2 { // the second time there is nothing to do
			if status := app.call("POST", "/admin/keys/"+kid+"/revoke", app.login(adminEmail, adminPassword).AccessToken, nil, &revoked); status != http.StatusOK {
				t.Fatalf("revoke: %d", status)
			}
		}
		for _, event := range []string{"signing_key_rotated", "signing_key_revoked"} {
			var rows []struct {
				Actor  string `db:"actor_id"`
				Reason string `db:"reason"`
			}
			if err := db.SelectContext(t.Context(), &rows, `SELECT actor_id, reason FROM audit WHERE event = $1`, event); err != nil {
				t.Fatal(err)
			}
			if len(rows) != 1 || rows[0].Reason != kid || rows[0].Actor == "" {
				t.Errorf("%s: %+v, want one of %s", event, rows, kid)
			}
		}
	})
}
