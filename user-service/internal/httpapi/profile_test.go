package httpapi

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gatehouse.internal/shared/contract"
	"gatehouse.internal/shared/fault"
	"gatehouse.internal/shared/token/tokentest"
	"gatehouse.internal/user-service/internal/user"
	"gatehouse.internal/user-service/internal/user/usertest"
)

const patchType = "application/merge-patch+json"

// patch is a merge patch by account 1.
func (f *fixture) patch(body string, headers ...string) answer {
	f.t.Helper()
	return f.do(call{method: "PATCH", path: "/users/me", body: body, token: f.token(1), headers: append([]string{"Content-Type", patchType}, headers...)})
}

// show reads the profile of account 1.
func (f *fixture) show(headers ...string) answer {
	f.t.Helper()
	return f.do(call{method: "GET", path: "/users/me", token: f.token(1), headers: headers})
}

func TestAPI_showProfile(t *testing.T) {
	f := newFixture(t)
	f.register(1)
	at := usertest.At.Add(time.Second).Format(time.RFC3339Nano)
	a := f.show()
	want := map[string]any{
		"id": usertest.ID(1), "email": "ada@example.com", "first_name": "Ada", "last_name": "Lovelace", "display_name": nil,
		"locale": nil, "time_zone": nil, "avatar_url": nil, "created_at": at, "updated_at": at,
	}
	if diff := cmp.Diff(a.json, want); a.status != http.StatusOK || diff != "" {
		t.Fatalf("%d (-got +want):\n%s", a.status, diff)
	}
	tag := a.header.Get("ETag")
	if len(tag) < 10 || !strings.HasPrefix(tag, `"`) || a.header.Get("Cache-Control") != "private, no-cache" {
		t.Errorf("ETag %s, Cache-Control %s", tag, a.header.Get("Cache-Control"))
	}
	for condition, status := range map[string]int{
		tag: 304, "W/" + tag: 304, `"other", ` + tag: 304, `"a,b" , W/` + tag + `,"c"`: 304, "*": 304,
		"": 200, `"other"`: 200, strings.Trim(tag, `"`): 200, `"` + tag: 200, "W/": 200,
		tag + "x": 200, tag + " garbage": 200, `"x"` + tag: 200, "*, " + tag: 200, ",,": 200, "," + tag + ", ": 304,
	} {
		got := f.show("If-None-Match", condition)
		if got.status != status || got.header.Get("ETag") != tag || status == 304 && got.body != "" {
			t.Errorf("If-None-Match: %s answers %d, ETag %s, %q", condition, got.status, got.header.Get("ETag"), got.body)
		}
	}
}

func TestAPI_showProfile_notYet(t *testing.T) {
	f := newFixture(t)
	a := f.show()
	f.wantProblem(a, http.StatusServiceUnavailable, "service_unavailable")
	if got := a.header.Get("Retry-After"); got != "1" {
		t.Errorf("Retry-After: %s", got)
	}
	f.wantProblem(f.patch(`{"first_name":"x"}`), http.StatusServiceUnavailable, "service_unavailable")
	f.users.Patience = 10 * time.Second
	first := make(chan answer, 1)
	go func() { first <- f.show() }()
	f.register(1)
	if a := <-first; a.status != http.StatusOK {
		t.Errorf("the one who waited gets %d %s", a.status, a.body)
	}
}

func TestAPI_profiles_are_for_people(t *testing.T) {
	f := newFixture(t)
	f.users.Patience = time.Hour // nobody is waited for
	claims := tokentest.Claims(time.Now())
	claims.Subject = usertest.ID(1)
	claims.ClientID = claims.Subject
	program := f.issuer.Token(claims)
	for _, method := range []string{"GET", "PATCH"} {
		a := f.do(call{method: method, path: "/users/me", body: `{"first_name":"x"}`, token: program, headers: []string{"Content-Type", patchType}})
		f.wantProblem(a, http.StatusForbidden, "insufficient_role")
	}
	claims.Roles = append(claims.Roles, contract.RoleAdmin)
	if a := f.do(call{method: "GET", path: "/admin/users", token: f.issuer.Token(claims)}); a.status != http.StatusOK {
		t.Errorf("what is not about a person answers %d %s", a.status, a.body)
	}
}

func TestAPI_showProfile_gone(t *testing.T) {
	f := newFixture(t)
	f.register(1)
	if err := f.users.Observe(t.Context(), contract.Event{Type: contract.AccountDeleted, Data: contract.Account{ID: usertest.ID(1)}}); err != nil {
		t.Fatal(err)
	}
	f.wantProblem(f.show(), http.StatusNotFound, "not_found")
	f.wantProblem(f.patch(`{"first_name":"x"}`), http.StatusNotFound, "not_found")
}

func TestAPI_editProfile(t *testing.T) {
	f := newFixture(t)
	f.register(1)
	before := f.show()
	a := f.patch(`{"display_name":"Countess","first_name":null,"locale":"en-gb","time_zone":"Europe/London","avatar_url":"https://example.com/a"}`)
	if a.status != http.StatusOK || a.header.Get("ETag") == before.header.Get("ETag") {
		t.Fatalf("%d %s", a.status, a.body)
	}
	for field, want := range map[string]any{
		"display_name": "Countess", "first_name": nil, "last_name": "Lovelace", "locale": "en-GB", "time_zone": "Europe/London",
		"avatar_url": "https://example.com/a", "created_at": before.json["created_at"],
	} {
		if got := a.json[field]; got != want {
			t.Errorf("%s is %v, want %v", field, got, want)
		}
	}
	if again := f.show(); again.body != a.body || again.header.Get("ETag") != a.header.Get("ETag") {
		t.Errorf("read again: %s, was %s", again.body, a.body)
	}
	t.Run("an empty patch changes nothing", func(t *testing.T) {
		if got := f.patch(`{}`); got.status != http.StatusOK || got.body != a.body {
			t.Errorf("%d %s", got.status, got.body)
		}
	})
	t.Run("plain JSON is taken as a merge patch", func(t *testing.T) {
		got := f.do(call{method: "PATCH", path: "/users/me", body: `{"display_name":null}`, token: f.token(1), headers: []string{"Content-Type", "application/json; charset=UTF-8"}})
		if got.status != http.StatusOK || got.json["display_name"] != nil {
			t.Errorf("%d %s", got.status, got.body)
		}
	})
}

func TestAPI_editProfile_ifMatch(t *testing.T) {
	for _, c := range []struct {
		name   string
		header func(tag string) []string
		status int
	}{
		{"the current tag", func(tag string) []string { return []string{"If-Match", tag} }, 200},
		{"one of several", func(tag string) []string { return []string{"If-Match", `"x", ` + tag} }, 200},
		{"in several fields", func(tag string) []string { return []string{"If-Match", `"x"`, "If-Match", tag} }, 200},
		{"any", func(string) []string { return []string{"If-Match", "*"} }, 200},
		{"an empty element", func(tag string) []string { return []string{"If-Match", `"x", ,` + tag + " ,"} }, 200},
		{"an empty field beside another", func(tag string) []string { return []string{"If-Match", "", "If-Match", tag} }, 200},
		{"an empty field", func(string) []string { return []string{"If-Match", ""} }, 412},
		{"a field of commas", func(string) []string { return []string{"If-Match", " , ,"} }, 412},
		{"a letter behind the tag", func(tag string) []string { return []string{"If-Match", tag + "x"} }, 412},
		{"a word behind the tag", func(tag string) []string { return []string{"If-Match", tag + " garbage"} }, 412},
		{"a word behind a comma", func(tag string) []string { return []string{"If-Match", tag + ", garbage"} }, 412},
		{"a word before the tag", func(tag string) []string { return []string{"If-Match", "garbage, " + tag} }, 412},
		{"no comma between tags", func(tag string) []string { return []string{"If-Match", `"x"` + tag} }, 412},
		{"an open quote behind the tag", func(tag string) []string { return []string{"If-Match", tag + `, "x`} }, 412},
		{"a space in a tag", func(tag string) []string { return []string{"If-Match", tag + `, "x y"`} }, 412},
		{"any, and a tag", func(tag string) []string { return []string{"If-Match", "*, " + tag} }, 412},
		{"any, twice", func(string) []string { return []string{"If-Match", "*", "If-Match", "*"} }, 412},
		{"another tag", func(string) []string { return []string{"If-Match", `"x"`} }, 412},
		{"the tag as a weak one", func(tag string) []string { return []string{"If-Match", "W/" + tag} }, 412},
		{"the tag without its quotes", func(tag string) []string { return []string{"If-Match", strings.Trim(tag, `"`)} }, 412},
		{"nothing that is a tag", func(string) []string { return []string{"If-Match", "?"} }, 412},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFixture(t)
			f.register(1)
			before := f.show()
			a := f.patch(`{"first_name":"Augusta"}`, c.header(before.header.Get("ETag"))...)
			if c.status == http.StatusOK {
				if a.status != c.status || a.json["first_name"] != "Augusta" {
					t.Errorf("%d %s", a.status, a.body)
				}
				return
			}
			f.wantProblem(a, c.status, "precondition_failed")
			if after := f.show(); after.body != before.body {
				t.Errorf("now %s", after.body)
			}
		})
	}
}

func TestAPI_editProfile_refuses(t *testing.T) {
	f := newFixture(t)
	f.register(1)
	before := f.show()
	for _, c := range []struct {
		name, body string
		status     int
		code       string
		fields     []string
	}{
		{"nothing", ``, 400, "malformed_request", nil},
		{"no JSON", `{"first_name":`, 400, "malformed_request", nil},
		{"two documents", `{}{}`, 400, "malformed_request", nil},
		{"an array", `[]`, 400, "malformed_request", nil},
		{"a text", `"x"`, 400, "malformed_request", nil},
		{"null", `null`, 400, "malformed_request", nil},
		{"what is not UTF-8", "{\"first_name\":\"\xff\"}", 400, "malformed_request", nil},
		{"an unknown field", `{"admin":true}`, 400, "malformed_request", []string{"admin"}},
		{"a field in capitals", `{"First_Name":"x"}`, 400, "malformed_request", []string{"First_Name"}},
		{"a field given twice", `{"first_name":"a","first_name":"b"}`, 400, "malformed_request", []string{"first_name"}},
		{"a number for a text", `{"first_name":1}`, 400, "malformed_request", []string{"first_name"}},
		{"an object for a text", `{"locale":{}}`, 400, "malformed_request", []string{"locale"}},
		{"an array for a text", `{"time_zone":[]}`, 400, "malformed_request", []string{"time_zone"}},
		{"a truth for a text", `{"avatar_url":true}`, 400, "malformed_request", []string{"avatar_url"}},
		{"a new id", `{"id":"x"}`, 422, "validation_failed", []string{"id"}},
		{"every field that is not the person's", `{"id":null,"email":"x","created_at":1,"updated_at":{},"first_name":"x"}`, 422, "validation_failed", []string{"id", "email", "created_at", "updated_at"}},
		{"a control character", `{"first_name":"a\u0000b","last_name":"fine"}`, 422, "validation_failed", []string{"first_name"}},
		{"half a surrogate pair is one unknown character", `{"first_name":"` + strings.Repeat(`\ud800`, 101) + `"}`, 422, "validation_failed", []string{"first_name"}},
		{"every rule at once", `{"first_name":"\n","locale":"?","time_zone":"Mars/Base","avatar_url":"http://x"}`, 422, "validation_failed", []string{"locale", "time_zone", "avatar_url"}},
		{"too much", `{"first_name":"` + strings.Repeat("a", 2<<20) + `"}`, 413, "payload_too_large", nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			f.in(t).wantProblem(f.patch(c.body), c.status, c.code, c.fields...)
		})
	}
	for _, contentType := range []string{"", "text/plain", "application/x-www-form-urlencoded", "application/json-patch+json", "application/json; charset=latin1"} {
		a := f.do(call{method: "PATCH", path: "/users/me", body: `{"first_name":"x"}`, token: f.token(1), headers: []string{"Content-Type", contentType}})
		f.wantProblem(a, http.StatusUnsupportedMediaType, "unsupported_media_type")
		if a.header.Get("Accept-Patch") == "" {
			t.Errorf("%s is refused without saying what is not", contentType)
		}
	}
	if after := f.show(); after.body != before.body {
		t.Errorf("something changed: %s", after.body)
	}
}

func TestAPI_refusesCallers(t *testing.T) {
	f := newFixture(t)
	f.register(1)
	good := f.token(1)
	other := newFixture(t).token(1)
	for _, path := range []string{"/users/me", "/admin/users", "/admin/users/" + usertest.ID(1)} {
		for _, c := range []struct {
			name    string
			headers []string
			status  int
			code    string
		}{
			{"no token", nil, 401, "token_missing"},
			{"headers of the gateway alone", []string{"X-User-Id", usertest.ID(1), "X-User-Roles", "admin"}, 401, "token_missing"},
			{"another scheme", []string{"Authorization", "Basic YTpi"}, 401, "token_missing"},
			{"a token in a cookie", []string{"Cookie", "__Host-access=" + good}, 401, "token_missing"},
			{"no real token", []string{"Authorization", "Bearer x"}, 401, "token_invalid"},
			{"a token that was tampered with", []string{"Authorization", "Bearer " + good[:len(good)-4] + "AAAA"}, 401, "token_invalid"},
			{"another issuer's token", []string{"Authorization", "Bearer " + other}, 401, "token_invalid"},
			{"two tokens", []string{"Authorization", "Bearer " + good, "Authorization", "Bearer " + good}, 400, "malformed_request"},
		} {
			t.Run(path+" "+c.name, func(t *testing.T) {
				a := f.do(call{method: "GET", path: path, headers: c.headers})
				f.wantProblem(a, c.status, c.code)
				if got := a.header.Get("WWW-Authenticate"); c.status == 401 && !strings.HasPrefix(got, "Bearer") {
					t.Errorf("WWW-Authenticate: %s", got)
				}
			})
		}
	}
	f.wantProblem(f.do(call{method: "GET", path: "/users/me?access_token=" + good}), 401, "token_missing")
	for _, path := range []string{"/admin/users", "/admin/users/" + usertest.ID(1)} {
		a := f.do(call{method: "GET", path: path, token: good, headers: []string{"X-User-Roles", "admin"}})
		f.wantProblem(a, http.StatusForbidden, "insufficient_role")
	}
	for _, c := range []call{
		{method: "POST", path: "/users/me"}, {method: "DELETE", path: "/users/me"}, {method: "PUT", path: "/admin/users"},
		{method: "DELETE", path: "/admin/users/" + usertest.ID(1)},
	} {
		c.token = f.token(1, "admin")
		a := f.do(c)
		f.wantProblem(a, http.StatusMethodNotAllowed, "method_not_allowed")
		if !strings.Contains(a.header.Get("Allow"), "GET") {
			t.Errorf("%s %s: Allow: %s", c.method, c.path, a.header.Get("Allow"))
		}
	}
	f.wantProblem(f.do(call{method: "GET", path: "/users/you", token: good}), http.StatusNotFound, "route_not_found")
}

func TestAPI_storeAway(t *testing.T) {
	f := newFixture(t)
	f.register(1)
	f.store.SetDown(fault.Wrap(fault.Unavailable, "The database cannot be reached right now.", errSecret))
	for _, c := range []call{
		{method: "GET", path: "/users/me"},
		{method: "PATCH", path: "/users/me", body: `{"first_name":"x"}`, headers: []string{"Content-Type", patchType}},
		{method: "GET", path: "/admin/users"},
		{method: "GET", path: "/admin/users/" + usertest.ID(1)},
	} {
		c.token = f.token(1, "admin")
		a := f.do(c)
		f.wantProblem(a, http.StatusServiceUnavailable, "service_unavailable")
		if strings.Contains(a.body, "hunter2") || a.header.Get("Retry-After") == "" {
			t.Errorf("%s %s: %v %s", c.method, c.path, a.header, a.body)
		}
	}
}

// errSecret is a cause that no caller may see.
var errSecret = secretError{}

type secretError struct{}

func (secretError) Error() string { return "password hunter2 refused" }

func TestAPI_log(t *testing.T) {
	f := newFixture(t)
	f.register(1, func(a *contract.Account) { a.Email = "secret@example.com" })
	f.show()
	f.patch(`{"first_name":"Sekretessa"}`)
	f.patch(`{"first_name":"Sekretessa\n"`)
	f.do(call{method: "GET", path: "/admin/users?query=secret@example.com", token: f.token(1, "admin")})
	text := f.log.String()
	for _, secret := range []string{"secret@", "Sekretessa", f.token(1)[:30], "eyJ"} {
		if strings.Contains(text, secret) {
			t.Errorf("the log holds %q:\n%s", secret, text)
		}
	}
	if !strings.Contains(text, usertest.ID(1)) || strings.Count(text, "\n") != 4 {
		t.Errorf("not one record for each request with its caller:\n%s", text)
	}
}

func TestCursor(t *testing.T) {
	want := user.Cursor{CreatedAt: usertest.At, ID: usertest.ID(1)}
	if got, ok := decodeCursor(encodeCursor(want)); !ok || got != want {
		t.Errorf("%+v, %v", got, ok)
	}
	for _, text := range []string{"", "x", "AA", "====", encodeCursor(user.Cursor{}), strings.Repeat("A", 1000), encodeCursor(want) + "="} {
		if got, ok := decodeCursor(text); ok {
			t.Errorf("%.20q is taken for %+v", text, got)
		}
	}
}
