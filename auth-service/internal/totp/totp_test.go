package totp_test

import (
	"encoding/base32"
	"net/url"
	"testing"
	"time"

	"gatehouse.internal/auth-service/internal/totp"
)

// TestMatch_RFC6238_vectors takes the last six digits of the eight of appendix B.
func TestMatch_RFC6238_vectors(t *testing.T) {
	secret := []byte("12345678901234567890")
	for _, c := range []struct {
		at   int64
		code string
	}{
		{59, "287082"}, {1111111109, "081804"}, {1111111111, "050471"}, {1234567890, "005924"}, {2000000000, "279037"}, {20000000000, "353130"},
	} {
		if step, ok := (totp.Codes{}).Match(secret, c.code, time.Unix(c.at, 0), 0); !ok || step != c.at/30 {
			t.Errorf("%d: %s belongs to step %d (%v), want %d", c.at, c.code, step, ok, c.at/30)
		}
	}
}

func TestMatch_takesACodeOnceAndWithinOneStep(t *testing.T) {
	secret, at := []byte("12345678901234567890"), time.Unix(1111111111, 0)
	const code, step = "050471", 1111111111 / 30
	for _, c := range []struct {
		name string
		at   time.Time
		last int64
		want bool
	}{
		{"now", at, 0, true},
		{"one step late", at.Add(30 * time.Second), 0, true},
		{"one step early", at.Add(-30 * time.Second), 0, true},
		{"two steps late", at.Add(60 * time.Second), 0, false},
		{"two steps early", at.Add(-60 * time.Second), 0, false},
		{"used before", at, step, false},
		{"older than one that was used", at, step + 1, false},
		{"newer than one that was used", at, step - 1, true},
	} {
		if _, ok := (totp.Codes{}).Match(secret, code, c.at, c.last); ok != c.want {
			t.Errorf("%s: %v, want %v", c.name, ok, c.want)
		}
	}
	for _, code := range []string{"", "50471", "0050471", "05047a", " 050471"} {
		if _, ok := (totp.Codes{}).Match(secret, code, at, 0); ok {
			t.Errorf("%q is accepted", code)
		}
	}
}

func TestEnrolment_spellsTheSecretForApps(t *testing.T) {
	secret := []byte("12345678901234567890")
	got, err := totp.Codes{Issuer: "gateway.example.com"}.Enrolment("ada+x@example.com", secret)
	if err != nil {
		t.Fatal(err)
	}
	if want := base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(secret); got.Secret != want {
		t.Errorf("secret %q, want %q", got.Secret, want)
	}
	u, err := url.Parse(got.URL)
	if err != nil || u.Scheme != "otpauth" || u.Host != "totp" || u.Path != "/gateway.example.com:ada+x@example.com" ||
		u.Query().Get("secret") != got.Secret || u.Query().Get("issuer") != "gateway.example.com" ||
		u.Query().Get("digits") != "6" || u.Query().Get("period") != "30" {
		t.Errorf("URL %q (%v)", got.URL, err)
	}
}
