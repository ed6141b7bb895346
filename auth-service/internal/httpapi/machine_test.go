package httpapi_test

import (
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse.internal/shared/embedded/testenv"
)

type serviceAccount struct {
	ID, Name string
	Roles    []string
	Secrets  []struct {
		ID        string
		Secret    string     `json:"client_secret"`
		ExpiresAt *time.Time `json:"expires_at"`
	}
}

type machineToken struct {
	AccessToken string `json:"access_token"`
	ExpiresIn   int    `json:"expires_in"`
	Scope       string
}

const credentialsGrant = "grant_type=client_credentials"

// issue asks for a token of a service account.
func (w *world) issue(id, secret, form string) answer {
	w.t.Helper()
	return w.call("POST", "/auth/token", form, asForm, basic(url.QueryEscape(id), url.QueryEscape(secret)))
}

// active asks whether a token is good, as the configured client.
func (w *world) active(token string) bool {
	w.t.Helper()
	return decoded[map[string]any](w.call("POST", "/auth/introspect", tokenForm(token), asForm, basic("stranger", clientSecret)).want(200))["active"] == true
}

func TestMachines_RFC6749_clientCredentials(t *testing.T) {
	testenv.EachDatabase(t, func(t *testing.T, database string) {
		w := newWorldOn(t, database)
		admin := bearer(w.admin().AccessToken)
		made := decoded[serviceAccount](w.call("POST", "/admin/service-accounts",
			fields{"name": "billing", "description": "Sends the bills.", "roles": []string{"clerk", "auditor"}}, admin).want(201))
		if len(made.Secrets) != 1 || !strings.HasPrefix(made.Secrets[0].Secret, "ghs_") || strings.Join(made.Roles, " ") != "auditor clerk" {
			t.Fatalf("%+v", made)
		}
		secret := made.Secrets[0].Secret
		w.call("POST", "/admin/service-accounts", fields{"name": "billing"}, admin).wantProblem(409, "conflict")
		shown := w.call("GET", "/admin/service-accounts/"+made.ID, nil, admin).want(200)
		if strings.Contains(string(shown.body), secret) || len(decoded[serviceAccount](shown).Secrets) != 1 {
			t.Errorf("a secret is shown once, not twice: %s", shown.body)
		}

		got := w.issue(made.ID, secret, credentialsGrant).want(200)
		if got.header.Get("Cache-Control") != "no-store" || strings.Contains(string(got.body), "refresh_token") {
			t.Errorf("%v %s", got.header, got.body)
		}
		token := decoded[machineToken](got)
		if token.ExpiresIn != 900 || token.Scope != "auditor clerk" || !w.active(token.AccessToken) {
			t.Errorf("%+v", token)
		}
		if narrow := decoded[machineToken](w.issue(made.ID, secret, credentialsGrant+"&scope=clerk").want(200)); narrow.Scope != "clerk" {
			t.Errorf("%+v", narrow)
		}
		for form, code := range map[string]string{
			"": "invalid_request", "grant_type=password": "unsupported_grant_type", credentialsGrant + "&scope=clerk+admin": "invalid_scope",
		} {
			if a := w.issue(made.ID, secret, form).wantProblem(400, "malformed_request"); decoded[map[string]any](a)["error"] != code {
				t.Errorf("%q: %s", form, a.body)
			}
		}
		for _, bad := range [][2]string{{made.ID, "ghs_x"}, {"other", secret}, {"", ""}, {made.ID, ""}} {
			a := w.issue(bad[0], bad[1], credentialsGrant).wantProblem(401, "invalid_credentials")
			if decoded[map[string]any](a)["error"] != "invalid_client" {
				t.Errorf("%s", a.body)
			}
		}
		// It is no person, and tells about itself alone.
		w.call("GET", "/auth/me", nil, bearer(token.AccessToken)).wantProblem(403, "insufficient_role")
		w.call("POST", "/auth/logout", nil, bearer(token.AccessToken)).wantProblem(403, "insufficient_role")
		own := func(raw string) bool {
			return decoded[map[string]any](w.call("POST", "/auth/introspect", tokenForm(raw), asForm, basic(made.ID, secret)).want(200))["active"] == true
		}
		if !own(token.AccessToken) || own(w.admin().AccessToken) {
			t.Error("RFC 7662: its own token is active to it, and others are not")
		}
		w.call("POST", "/auth/revoke", tokenForm(token.AccessToken), asForm, basic(made.ID, secret)).want(200)
		if w.active(token.AccessToken) || own(token.AccessToken) {
			t.Error("RFC 7009: the token lives")
		}
		if text := w.log.String(); strings.Contains(text, secret) || strings.Contains(text, token.AccessToken) {
			t.Error("the log holds a secret")
		}
	})
}

func TestMachines_secrets_rotate_with_overlap_and_are_revoked_with_their_tokens(t *testing.T) {
	testenv.EachDatabase(t, func(t *testing.T, database string) {
		w := newWorldOn(t, database)
		admin := bearer(w.admin().AccessToken)
		made := decoded[serviceAccount](w.call("POST", "/admin/service-accounts", fields{"name": "billing", "roles": []string{"clerk"}}, admin).want(201))
		at, first := "/admin/service-accounts/"+made.ID, made.Secrets[0]
		token := func(secret string) string {
			t.Helper()
			return decoded[machineToken](w.issue(made.ID, secret, credentialsGrant).want(200)).AccessToken
		}
		type secretText struct {
			ID     string
			Secret string `json:"client_secret"`
		}
		second := decoded[secretText](w.call("POST", at+"/secrets", fields{"retire_others_after": 60}, admin).want(201))
		old, fresh := token(first.Secret), token(second.Secret)
		w.clock.advance(time.Minute)
		w.issue(made.ID, first.Secret, credentialsGrant).wantProblem(401, "invalid_credentials")
		w.clock.advance(31 * time.Second) // the leeway of verifiers
		if w.active(old) || !w.active(fresh) {
			t.Error("no token outlives its secret")
		}
		third := decoded[secretText](w.call("POST", at+"/secrets", nil, admin).want(201))
		other := token(third.Secret)
		w.call("DELETE", at+"/secrets/"+second.ID, nil, admin).want(204)
		w.call("DELETE", at+"/secrets/"+second.ID, nil, admin).wantProblem(404, "not_found")
		w.issue(made.ID, second.Secret, credentialsGrant).wantProblem(401, "invalid_credentials")
		if w.active(fresh) || !w.active(other) {
			t.Error("the tokens of a revoked secret go with it, and no others")
		}
		w.call("PUT", at+"/roles", fields{"roles": []string{"auditor"}}, admin).want(200)
		if w.active(other) {
			t.Error("a token with old roles is active")
		}
		changed := token(third.Secret)
		if !w.active(changed) {
			t.Error("I6: a token that was made after the change is not active")
		}
		for range 4 {
			w.call("POST", at+"/secrets", nil, admin).want(201)
		}
		w.call("POST", at+"/secrets", nil, admin).wantProblem(409, "conflict")
		w.call("DELETE", at, nil, admin).want(204)
		w.call("DELETE", at, nil, admin).wantProblem(404, "not_found")
		w.issue(made.ID, third.Secret, credentialsGrant).wantProblem(401, "invalid_credentials")
		if w.active(changed) {
			t.Error("a token of a deleted account is active")
		}
		var kinds []string
		if err := w.db.SelectContext(t.Context(), &kinds, `SELECT cause FROM revocations WHERE subject IN ($1, $2)`, made.ID, second.ID); err != nil || len(kinds) != 3 {
			t.Errorf("the revocation log has %q (%v): secret, roles and account", kinds, err)
		}
	})
}

func TestMachines_a_secret_that_is_retired_at_once_takes_its_tokens_with_it(t *testing.T) {
	w := newWorld(t)
	admin := bearer(w.admin().AccessToken)
	made := decoded[serviceAccount](w.call("POST", "/admin/service-accounts", fields{"name": "billing", "roles": []string{"clerk"}}, admin).want(201))
	old := decoded[machineToken](w.issue(made.ID, made.Secrets[0].Secret, credentialsGrant).want(200)).AccessToken
	at := "/admin/service-accounts/" + made.ID + "/secrets"
	w.call("POST", at, fields{"retire_others_after": 0}, admin).want(201)
	w.issue(made.ID, made.Secrets[0].Secret, credentialsGrant).wantProblem(401, "invalid_credentials")
	var n int
	if err := w.db.GetContext(t.Context(), &n, `SELECT COUNT(*) FROM revocations WHERE subject = $1`, made.Secrets[0].ID); err != nil || n != 1 {
		t.Errorf("%d revocations of the secret's tokens (%v), want 1", n, err)
	}
	if w.active(old) {
		t.Error("a token of the retired secret is active")
	}
	w.call("DELETE", at+"/%FF", nil, admin).wantProblem(404, "not_found")
}

func TestMachines_F35_no_token_survives_a_deletion_beside_it(t *testing.T) {
	testenv.EachDatabase(t, func(t *testing.T, database string) {
		w := newWorldOn(t, database)
		admin := bearer(w.admin().AccessToken)
		made := decoded[serviceAccount](w.call("POST", "/admin/service-accounts", fields{"name": "billing"}, admin).want(201))
		var (
			mu     sync.Mutex
			issued []string
			all    sync.WaitGroup
		)
		for range 8 {
			all.Go(func() {
				for range 5 {
					if a := w.issue(made.ID, made.Secrets[0].Secret, credentialsGrant); a.status == 200 {
						mu.Lock()
						issued = append(issued, decoded[machineToken](a).AccessToken)
						mu.Unlock()
					}
				}
			})
		}
		all.Go(func() { w.call("DELETE", "/admin/service-accounts/"+made.ID, nil, admin).want(204) })
		all.Wait()
		for _, token := range issued {
			if w.active(token) {
				t.Fatal("a token lives on")
			}
		}
	})
}

func TestMachines_bad_input(t *testing.T) {
	w := newWorld(t)
	w.register(ada)
	admin := bearer(w.admin().AccessToken)
	for _, body := range []fields{
		{"name": "Bill ing"}, {"name": ""}, {"name": strings.Repeat("a", 65)}, {"name": "a", "roles": []string{"admin"}}, {"name": "a", "roles": []string{"No"}},
		{"name": "a", "description": "two\nlines"}, {"name": "a", "expires_in": -1}, {"name": "a", "expires_in": 1 << 60},
	} {
		w.call("POST", "/admin/service-accounts", body, admin).wantProblem(422, "validation_failed")
	}
	w.call("POST", "/admin/service-accounts", fields{"name": "a", "x": 1}, admin).wantProblem(400, "malformed_request")
	w.call("POST", "/admin/service-accounts", fields{"name": "a"}, bearer(w.login(ada, password).AccessToken)).wantProblem(403, "insufficient_role")
	w.call("GET", "/admin/service-accounts/x", nil, admin).wantProblem(404, "not_found")
	for _, name := range []string{"a", "b", "c"} {
		w.clock.advance(time.Second)
		w.call("POST", "/admin/service-accounts", fields{"name": name}, admin).want(201)
	}
	type page struct {
		Items      []serviceAccount
		NextCursor *string `json:"next_cursor"`
	}
	first := decoded[page](w.call("GET", "/admin/service-accounts?limit=2", nil, admin).want(200))
	rest := decoded[page](w.call("GET", "/admin/service-accounts?limit=2&cursor="+*first.NextCursor, nil, admin).want(200))
	if len(first.Items) != 2 || len(rest.Items) != 1 || rest.Items[0].Name != "c" {
		t.Errorf("%+v %+v", first, rest)
	}
}
