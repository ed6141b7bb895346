package httpapi_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"gatehouse.internal/shared/contract"
)

func asForm(r *http.Request) { r.Header.Set("Content-Type", "application/x-www-form-urlencoded") }

func tokenForm(token string) string { return url.Values{"token": {token}}.Encode() }

func TestAPI_S_V4_introspection(t *testing.T) {
	w := newWorld(t)
	w.register(ada)
	s := w.login(ada, password)
	client := basic(contract.ClientPeople, clientSecret)
	introspect := func(form string) answer { return w.call("POST", "/auth/introspect", form, asForm, client) }

	access := decoded[map[string]any](introspect(tokenForm(s.AccessToken) + "&token_type_hint=refresh_token&unknown=1").want(200))
	if access["active"] != true || access["sub"] != s.User.ID || access["sid"] != s.SessionID || access["token_type"] != "Bearer" ||
		access["iss"] != issuer || access["exp"] == nil || access["client_id"] != contract.ClientPeople {
		t.Errorf("access token: %v", access)
	}
	refresh := decoded[map[string]any](introspect(tokenForm(s.RefreshToken)).want(200))
	if refresh["active"] != true || refresh["token_use"] != "refresh_token" {
		t.Errorf("refresh token: %v", refresh)
	}
	w.call("POST", "/auth/logout", nil, bearer(s.AccessToken)).want(204)
	for _, dead := range []string{s.AccessToken, s.RefreshToken, "garbage", strings.Repeat("a", 20<<10)} {
		if got := strings.TrimSpace(string(introspect(tokenForm(dead)).want(200).body)); got != `{"active":false}` {
			t.Errorf("a dead token: %s", got)
		}
	}
	introspect("").wantProblem(400, "malformed_request")
	introspect("token=a&token=b").wantProblem(400, "malformed_request")
	introspect("token=%zz").wantProblem(400, "malformed_request")
	introspect(tokenForm(strings.Repeat("a", 70<<10))).wantProblem(413, "payload_too_large")
	w.call("POST", "/auth/introspect", fields{"token": "x"}, client).wantProblem(415, "unsupported_media_type")
	w.call("GET", "/auth/introspect?token="+s.AccessToken, nil, client).wantProblem(405, "method_not_allowed")
}

func TestAPI_S_V1_clients_must_sign_in(t *testing.T) {
	w := newWorld(t)
	w.register(ada)
	s := w.login(ada, password)
	for _, path := range []string{"/auth/introspect", "/auth/revoke"} {
		for _, credentials := range [][]option{
			nil, {basic("nobody", clientSecret)}, {basic(contract.ClientPeople, "wrong")}, {basic("", "")},
			{header("Authorization", "Basic !!!")}, {bearer(s.AccessToken)}, {basic("%zz", clientSecret)},
		} {
			a := w.call("POST", path, tokenForm(s.AccessToken), append(credentials, asForm)...).wantProblem(401, "invalid_credentials")
			if !strings.Contains(strings.Join(a.header.Values("WWW-Authenticate"), ", "), "Basic realm=") {
				t.Errorf("WWW-Authenticate %q", a.header.Values("WWW-Authenticate"))
			}
		}
		w.call("POST", path, tokenForm("x"), asForm, basic(contract.ClientPeople, clientSecret), header("Authorization", "Basic eDp5")).
			wantProblem(400, "malformed_request")
	}
	w.call("GET", "/auth/me", nil, bearer(s.AccessToken)).want(200)
}

func TestAPI_S_V1_revocation(t *testing.T) {
	w := newWorld(t)
	w.register(ada)
	revoke := func(token string, client option) answer {
		return w.call("POST", "/auth/revoke", tokenForm(token), asForm, client)
	}
	own, foreign := basic(contract.ClientPeople, clientSecret), basic("stranger", clientSecret)

	s := w.login(ada, password)
	revoke(s.AccessToken, foreign).wantProblem(401, "invalid_credentials")
	revoke(s.RefreshToken, foreign).wantProblem(401, "invalid_credentials")
	w.call("GET", "/auth/me", nil, bearer(s.AccessToken)).want(200)

	revoke(s.AccessToken, own).want(200)
	w.call("GET", "/auth/me", nil, bearer(s.AccessToken)).wantProblem(401, "token_revoked")
	revoke(s.AccessToken, own).want(200)
	next := decoded[tokens](w.call("POST", "/auth/refresh", fields{"refresh_token": s.RefreshToken}).want(200))

	revoke(next.RefreshToken, own).want(200)
	w.call("GET", "/auth/me", nil, bearer(next.AccessToken)).wantProblem(401, "token_revoked")
	w.call("POST", "/auth/refresh", fields{"refresh_token": next.RefreshToken}).wantProblem(401, "invalid_refresh_token")

	revoke("garbage", own).want(200)
	s = w.login(ada, password)
	a := w.inTrouble(unavailable(), func() answer { return revoke(s.AccessToken, own) }).wantProblem(503, "service_unavailable")
	if a.header.Get("Retry-After") == "" {
		t.Error("S-V3 503 without Retry-After")
	}
}
