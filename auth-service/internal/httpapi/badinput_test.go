package httpapi_test

import (
	"encoding/json"
	"flag"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const someID = "01930000-0000-7000-8000-000000000001"

// endpoint is one that takes a body.
type endpoint struct {
	method, path string
	good         fields // a well-formed body
	optional     bool   // whether the body may be missing
	caller       string // "", "user" or "admin"
}

func endpoints() []endpoint {
	return []endpoint{
		{method: "POST", path: "/auth/register", good: fields{"email": "new@example.com", "password": password, "first_name": "A", "last_name": "B"}},
		{method: "POST", path: "/auth/login", good: fields{"email": ada, "password": password}},
		{method: "POST", path: "/auth/login/mfa", good: fields{"mfa_token": "x", "code": "123456"}},
		{method: "POST", path: "/auth/login/passkey/options", good: fields{}, optional: true},
		{method: "POST", path: "/auth/login/passkey", good: fields{"passkey_token": "x", "credential": fields{}}},
		{method: "POST", path: "/auth/login/mfa/passkey", good: fields{"mfa_token": "x"}},
		{method: "POST", path: "/auth/mfa/step-up/options", good: fields{}, optional: true, caller: "user"},
		{method: "POST", path: "/auth/passkey-options", good: fields{"password": password, "code": "123456"}, caller: "user"},
		{method: "POST", path: "/auth/passkeys", good: fields{"passkey_token": "x", "name": "x", "credential": fields{}}, caller: "user"},
		{method: "POST", path: "/auth/mfa/totp", good: fields{}, optional: true, caller: "user"},
		{method: "POST", path: "/auth/mfa/totp/confirm", good: fields{"code": "123456"}, caller: "user"},
		{method: "DELETE", path: "/auth/mfa/totp", good: fields{"password": password, "code": "123456"}, caller: "user"},
		{method: "POST", path: "/auth/mfa/recovery-codes", good: fields{"password": password, "code": "123456"}, caller: "user"},
		{method: "POST", path: "/auth/mfa/step-up", good: fields{"code": "123456"}, caller: "user"},
		{method: "DELETE", path: "/admin/users/" + someID + "/mfa", good: fields{}, optional: true, caller: "admin"},
		{method: "POST", path: "/auth/refresh", good: fields{"refresh_token": "x"}, optional: true},
		{method: "POST", path: "/auth/logout", good: fields{"refresh_token": "x"}, optional: true},
		{method: "POST", path: "/auth/password/forgot", good: fields{"email": ada}},
		{method: "POST", path: "/auth/password/reset", good: fields{"token": "x", "new_password": nextPassword}},
		{method: "POST", path: "/auth/email/verify", good: fields{"token": "x"}},
		{method: "POST", path: "/auth/email/resend", good: fields{}, optional: true, caller: "user"},
		{method: "PUT", path: "/auth/email", good: fields{"new_email": "b@example.com", "current_password": password}, caller: "user"},
		{method: "PUT", path: "/auth/password", good: fields{"current_password": password, "new_password": nextPassword}, caller: "user"},
		{method: "DELETE", path: "/auth/me", good: fields{"password": password}, caller: "user"},
		{method: "POST", path: "/auth/logout/all", good: fields{}, optional: true, caller: "user"},
		{method: "DELETE", path: "/auth/sessions", good: fields{}, optional: true, caller: "user"},
		{method: "DELETE", path: "/auth/sessions/" + someID, good: fields{}, optional: true, caller: "user"},
		{method: "PUT", path: "/admin/users/" + someID + "/roles", good: fields{"roles": []string{"user"}}, caller: "admin"},
		{method: "POST", path: "/admin/users/" + someID + "/lock", good: fields{}, optional: true, caller: "admin"},
		{method: "POST", path: "/admin/users/" + someID + "/unlock", good: fields{}, optional: true, caller: "admin"},
		{method: "POST", path: "/admin/users/" + someID + "/logout", good: fields{}, optional: true, caller: "admin"},
		{method: "DELETE", path: "/admin/users/" + someID, good: fields{}, optional: true, caller: "admin"},
		{method: "DELETE", path: "/admin/sessions/" + someID, good: fields{}, optional: true, caller: "admin"},
		{method: "DELETE", path: "/admin/attempts?ip=192.0.2.1", good: fields{}, optional: true, caller: "admin"},
		{method: "POST", path: "/admin/keys/rotate", good: fields{}, optional: true, caller: "admin"},
	}
}

func TestAPI_refuses_bad_bodies(t *testing.T) {
	w := newWorld(t)
	w.register(ada)
	callers := map[string][]option{
		"": nil, "user": {bearer(w.login(ada, password).AccessToken)}, "admin": {bearer(w.admin().AccessToken)},
	}
	before := w.fingerprint()
	for _, e := range endpoints() {
		t.Run(e.method+" "+e.path, func(t *testing.T) {
			w := w.in(t)
			as := callers[e.caller]
			w.call(e.method, e.path, `{"email":`, as...).wantProblem(400, "malformed_request")
			w.call(e.method, e.path, `{} {}`, as...).wantProblem(400, "malformed_request")
			w.call(e.method, e.path, `null`, as...).wantProblem(400, "malformed_request")
			w.call(e.method, e.path, `[]`, as...).wantProblem(400, "malformed_request")
			w.call(e.method, e.path, "\"\xff\"", as...).wantProblem(400, "malformed_request")
			w.call(e.method, e.path, `{"admin":true}`, as...).wantProblem(400, "malformed_request")
			w.call(e.method, e.path, `{"x":"`+strings.Repeat("a", 70<<10)+`"}`, as...).wantProblem(413, "payload_too_large")
			w.call(e.method, e.path, `{}`, append(as, func(r *http.Request) { r.Header.Set("Content-Type", "text/plain") })...).
				wantProblem(415, "unsupported_media_type")
			w.call(e.method, e.path, `a=b`, append(as, func(r *http.Request) { r.Header.Set("Content-Type", "application/x-www-form-urlencoded") })...).
				wantProblem(415, "unsupported_media_type")
			for name, value := range e.good {
				wrong := fields{}
				for k, v := range e.good {
					wrong[k] = v
				}
				wrong[name] = 5
				w.call(e.method, e.path, wrong, as...).wantProblem(400, "malformed_request")
				data, _ := json.Marshal(value)
				w.call(e.method, e.path, `{"`+name+`":`+string(data)+`,"`+name+`":`+string(data)+`}`, as...).wantProblem(400, "malformed_request")
				w.call(e.method, e.path, `{"`+strings.ToUpper(name)+`":`+string(data)+`}`, as...).wantProblem(400, "malformed_request")
			}
			if !e.optional {
				w.call(e.method, e.path, nil, as...).wantProblem(415, "unsupported_media_type")
				w.call(e.method, e.path, ``, as...).wantProblem(400, "malformed_request")
				w.call(e.method, e.path, `{}`, as...).wantProblem(422, "validation_failed")
			}
		})
	}
	if diff := cmp.Diff(before, w.fingerprint()); diff != "" {
		t.Errorf("bad input has changed something:\n%s", diff)
	}
}

func TestAPI_refuses_missing_and_wrong_credentials(t *testing.T) {
	w := newWorld(t)
	w.register(ada)
	user := w.login(ada, password).AccessToken
	protected := []endpoint{
		{method: "GET", path: "/auth/me"}, {method: "GET", path: "/auth/sessions"},
		{method: "GET", path: "/admin/users/" + someID + "/sessions", caller: "admin"},
		{method: "GET", path: "/admin/audit", caller: "admin"}, {method: "GET", path: "/admin/keys", caller: "admin"},
		{method: "GET", path: "/admin/nodes", caller: "admin"},
	}
	for _, e := range endpoints() {
		if e.caller != "" {
			protected = append(protected, e)
		}
	}
	before := w.fingerprint()
	for _, e := range protected {
		t.Run(e.method+" "+e.path, func(t *testing.T) {
			w := w.in(t)
			var body any
			if e.good != nil {
				body = e.good
			}
			a := w.call(e.method, e.path, body).wantProblem(401, "token_missing")
			if strings.Contains(a.header.Get("WWW-Authenticate"), "error") {
				t.Error("S-B3 an error code without a token")
			}
			a = w.call(e.method, e.path, body, bearer(user[:len(user)-3]+"abc")).wantProblem(401, "token_invalid")
			if !strings.Contains(a.header.Get("WWW-Authenticate"), `error="invalid_token"`) {
				t.Error("S-B3 no error code with a bad token")
			}
			w.call(e.method, e.path, body, bearer(user), header("Authorization", "Bearer "+user)).wantProblem(400, "malformed_request")
			w.call(e.method, e.path+"?access_token="+user, body).wantProblem(401, "token_missing")
			if e.caller == "admin" {
				w.call(e.method, e.path, body, bearer(user)).wantProblem(403, "insufficient_role")
			}
		})
	}
	if diff := cmp.Diff(before, w.fingerprint()); diff != "" {
		t.Errorf("a refused request has changed something:\n%s", diff)
	}
}

func TestAPI_refuses_other_methods_and_paths(t *testing.T) {
	w := newWorld(t)
	for _, e := range endpoints() {
		a := w.call("PATCH", e.path, nil).wantProblem(405, "method_not_allowed")
		if !strings.Contains(a.header.Get("Allow"), e.method) {
			t.Errorf("%s: Allow %q misses %s", e.path, a.header.Get("Allow"), e.method)
		}
	}
	for _, path := range []string{"/", "/auth", "/auth/nothing", "/admin/users/" + someID + "/fly", "/auth/mfa/u2f", "/.well-known/openid-configuration"} {
		w.call("GET", path, nil).wantProblem(404, "route_not_found")
	}
}

func TestAPI_refuses_ids_that_are_none(t *testing.T) {
	w := newWorld(t)
	admin := bearer(w.admin().AccessToken)
	for _, id := range []string{"x", "%00", strings.ToUpper(someID[:35]) + "F", "{" + someID + "}", strings.Repeat("9", 5000), "%ff"} {
		w.call("DELETE", "/auth/sessions/"+id, nil, admin).wantProblem(404, "not_found")
		w.call("DELETE", "/admin/sessions/"+id, nil, admin).wantProblem(404, "not_found")
		w.call("POST", "/admin/users/"+id+"/lock", nil, admin).wantProblem(404, "not_found")
		w.call("GET", "/admin/users/"+id+"/sessions", nil, admin).wantProblem(404, "not_found")
	}
	w.call("POST", "/admin/users/"+someID+"/lock", nil, admin).wantProblem(404, "not_found")
	w.call("DELETE", "/admin/sessions/"+someID, nil, admin).wantProblem(404, "not_found")
}

func TestAPI_refuses_bad_queries(t *testing.T) {
	w := newWorld(t)
	admin := bearer(w.admin().AccessToken)
	for _, query := range []string{"limit=0", "limit=201", "limit=x", "limit=-1", "cursor=%00", "cursor=zzz", "cursor=" + strings.Repeat("a", 600)} {
		w.call("GET", "/auth/sessions?"+query, nil, admin).wantProblem(422, "validation_failed")
		w.call("GET", "/admin/audit?"+query, nil, admin).wantProblem(422, "validation_failed")
	}
	for _, query := range []string{"from=yesterday", "to=2026-13-01T00:00:00Z", "event=%00", "user=a%20b"} {
		w.call("GET", "/admin/audit?"+query, nil, admin).wantProblem(422, "validation_failed")
	}
	w.call("DELETE", "/admin/sessions/"+someID+"?wait=perhaps", nil, admin).wantProblem(422, "validation_failed")
}

// A filter that cannot be read, or is given twice, must not be left out: the
// answer would be the whole trail.
func TestAPI_queries_never_fail_open(t *testing.T) {
	w := newWorld(t)
	admin := bearer(w.admin().AccessToken)
	lists := []string{"/admin/audit", "/auth/sessions", "/admin/users/" + someID + "/sessions"}
	for _, query := range []string{"event=%zz", "user=nope;x=1", "limit=1;cursor=x", "%", "a=%2", "limit=0&event=%zz"} {
		for _, path := range lists {
			w.call("GET", path+"?"+query, nil, admin).wantProblem(400, "malformed_request")
		}
		w.call("DELETE", "/admin/sessions/"+someID+"?"+query, nil, admin).wantProblem(400, "malformed_request")
	}
	for query, name := range map[string]string{
		"limit=": "limit", "limit": "limit", "limit=1&limit=2": "limit", "limit=1&limit=1": "limit", "cursor=&cursor=": "cursor",
	} {
		for _, path := range lists {
			r := w.call("GET", path+"?"+query, nil, admin)
			r.wantProblem(422, "validation_failed")
			if !strings.Contains(string(r.body), `"field":"`+name+`"`) {
				t.Errorf("%s?%s: %s", path, query, r.body)
			}
		}
	}
	for query, name := range map[string]string{
		"user=" + someID + "&user=": "user", "event=login&event=logout": "event", "from=&from=2026-01-02T15:04:05Z": "from",
		"to=2026-01-02T15:04:05Z&to=2026-01-02T15:04:05Z": "to",
	} {
		r := w.call("GET", "/admin/audit?"+query, nil, admin)
		r.wantProblem(422, "validation_failed")
		if !strings.Contains(string(r.body), `"field":"`+name+`"`) {
			t.Errorf("%s: %s", query, r.body)
		}
	}
	w.call("DELETE", "/admin/sessions/"+someID+"?wait=1&wait=0", nil, admin).wantProblem(422, "validation_failed")
	w.call("GET", "/admin/audit?unknown=1&unknown=2&limit=1", nil, admin).want(200) // as in the user-service
}

// fingerprint counts the rows that a refused request must not change. Failed
// sign-ins are noted in the audit trail, so that is left out.
func (w *world) fingerprint() map[string]int {
	w.t.Helper()
	out := map[string]int{}
	for _, query := range []string{
		"SELECT count(*) FROM users", "SELECT count(*) FROM sessions WHERE ended_at = 0 OR ended_at IS NULL",
		"SELECT COALESCE(sum(version), 0) FROM users", "SELECT count(*) FROM revocations", "SELECT count(*) FROM outbox",
	} {
		var n int
		if err := w.db.Get(&n, query); err != nil {
			w.t.Fatal(err)
		}
		out[query] = n
	}
	return out
}

var update = flag.Bool("update", false, "write the golden files anew")

func TestAPI_problem_documents(t *testing.T) {
	w := newWorld(t)
	w.register(ada)
	user := w.login(ada, password).AccessToken
	for name, a := range map[string]answer{
		"malformed_json":      w.call("POST", "/auth/login", `{"email":`),
		"unknown_field":       w.call("POST", "/auth/login", fields{"email": ada, "password": "x", "admin": true}),
		"wrong_type":          w.call("POST", "/auth/login", fields{"email": 5, "password": "x"}),
		"missing_fields":      w.call("POST", "/auth/login", `{}`),
		"wrong_password":      w.call("POST", "/auth/login", fields{"email": ada, "password": "wrong wrong wrong 1"}),
		"weak_password":       w.call("POST", "/auth/register", fields{"email": "x@example.com", "password": "abc"}),
		"bad_registration":    w.call("POST", "/auth/register", fields{"email": "x", "password": password, "first_name": "\u0000"}),
		"bad_refresh_token":   w.call("POST", "/auth/refresh", fields{"refresh_token": strings.Repeat("x", 80)}),
		"token_missing":       w.call("GET", "/auth/me", nil),
		"token_invalid":       w.call("GET", "/auth/me", nil, bearer("x.y.z")),
		"insufficient_role":   w.call("GET", "/admin/audit", nil, bearer(user)),
		"route_not_found":     w.call("GET", "/auth/nothing", nil),
		"method_not_allowed":  w.call("GET", "/auth/login", nil),
		"wrong_content_type":  w.call("POST", "/auth/login", `{}`, func(r *http.Request) { r.Header.Set("Content-Type", "text/plain") }),
		"too_large":           w.call("POST", "/auth/login", `{"email":"`+strings.Repeat("a", 70<<10)+`"}`),
		"bad_mail_token":      w.call("POST", "/auth/email/verify", fields{"token": "x"}),
		"client_refused":      w.call("POST", "/auth/introspect", "token=x", basic("x", "y")),
		"last_administrator":  w.demoteRoot(),
		"service_unavailable": w.inTrouble(unavailable(), func() answer { return w.call("POST", "/auth/login", fields{"email": ada, "password": password}) }),
	} {
		var pretty map[string]any
		if err := json.Unmarshal([]byte(withoutID(a.body)), &pretty); err != nil {
			t.Errorf("%s: %v: %s", name, err, a.body)
			continue
		}
		got, err := json.MarshalIndent(pretty, "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		golden(t, name+".json", append(got, '\n'))
	}
}

func (w *world) demoteRoot() answer {
	w.t.Helper()
	admin := w.admin()
	return w.call("PUT", "/admin/users/"+admin.User.ID+"/roles", fields{"roles": []string{"user"}}, bearer(admin.AccessToken))
}

// inTrouble makes a call while the store fails.
func (w *world) inTrouble(trouble error, call func() answer) answer {
	w.store.fail(trouble)
	defer w.store.fail(nil)
	return call()
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	path := filepath.Join("testdata", "problems", name)
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", name, diff)
	}
}
