package httpapi_test

import (
	"fmt"
	"testing"

	"gatehouse.internal/shared/contract"
)

// trail counts the events of the audit trail of this kind and with this reason.
func (w *world) trail(event, reason string) (n int) {
	w.t.Helper()
	if err := w.db.GetContext(w.t.Context(), &n, `SELECT COUNT(*) FROM audit WHERE event = $1 AND reason = $2`, event, reason); err != nil {
		w.t.Fatal(err)
	}
	return n
}

func TestAPI_S_A1_wrong_client_credentials_are_bounded(t *testing.T) {
	onEachDatabase(t, func(w *world) {
		at := fromAddress("2001:db8::1")
		wrong := func(i int) answer {
			credentials := basic(contract.ClientPeople, fmt.Sprint(i))
			switch i % 3 {
			case 0:
				return w.call("POST", "/auth/introspect", tokenForm("x"), asForm, credentials, at)
			case 1:
				return w.call("POST", "/auth/revoke", tokenForm("x"), asForm, credentials, at)
			}
			return w.call("POST", "/auth/token", credentialsGrant, asForm, credentials, at)
		}
		for i := range 100 {
			wrong(i).wantProblem(401, "invalid_credentials")
		}
		for i := range 6 {
			refused := wrong(i).wantProblem(429, "rate_limited")
			if after := refused.header.Get("Retry-After"); after == "" || after == "0" {
				w.t.Errorf("Retry-After %q", after)
			}
		}
		if n, more := w.trail("client_refused", "bad_credentials"), w.trail("client_refused", "throttled_client"); n != 100 || more != 1 {
			w.t.Errorf("%d and %d events, want 100 and 1", n, more)
		}
		w.call("POST", "/auth/introspect", tokenForm("x"), asForm, basic(contract.ClientPeople, clientSecret), at).want(200)
	})
}

func TestAPI_S_A1_passkeys_of_strangers_do_not_fill_the_trail(t *testing.T) {
	onEachDatabase(t, func(w *world) {
		w.register(ada)
		d := w.device(w.login(ada, password)) // its key is registered nowhere
		for range 130 {
			q := w.ask("/auth/login/passkey/options", nil)
			w.call("POST", "/auth/login/passkey", fields{"passkey_token": q.Token, "credential": d.sign(q)}).wantProblem(401, "invalid_credentials")
		}
		if n, more := w.trail("login", "unknown_passkey"), w.trail("login", "throttled_trail"); n != 100 || more != 1 {
			w.t.Errorf("%d and %d events, want 100 and 1", n, more)
		}
	})
}
