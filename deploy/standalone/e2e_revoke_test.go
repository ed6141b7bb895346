package main

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// asProgram posts a form with a program's own credentials, and gives status and
// answer.
func (d *deployment) asProgram(t *testing.T, path, id, secret string, form url.Values) (int, map[string]any) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, d.urls[0]+path, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	request.SetBasicAuth(id, secret)
	response, err := d.client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	var answer map[string]any
	_ = json.NewDecoder(response.Body).Decode(&answer) // RFC 7009 has none
	return response.StatusCode, answer
}

// A token that a program has revoked (RFC 7009) is refused by every node as soon
// as the revoking call is answered, whatever the hint said. Another program can
// neither revoke it nor learn whether it is good.
func TestE2E_S_V1_S_V2_a_revoked_token_is_refused_on_every_node_at_once(t *testing.T) {
	d := e2e(t)
	root := d.admin(t)
	program := func(name string) (id, secret string) {
		made := d.want(t, call{method: "POST", path: "/admin/service-accounts", token: root.access,
			body: map[string]any{"name": name, "roles": []string{}}}, http.StatusCreated, "")
		secrets, _ := made.json["secrets"].([]any)
		first, _ := secrets[0].(map[string]any)
		secret, _ = first["client_secret"].(string)
		return made.text("id"), secret
	}
	id, secret := program("revoking")
	otherID, otherSecret := program("another")
	for _, hint := range []string{"", "access_token", "refresh_token", "nonsense"} {
		status, granted := d.asProgram(t, "/auth/token", id, secret, url.Values{"grant_type": {"client_credentials"}})
		token, _ := granted["access_token"].(string)
		if status != http.StatusOK || token == "" {
			t.Fatalf("a token: %d", status)
		}
		use := call{method: "GET", path: "/api/echo/x", token: token}
		d.everyNode(t, use, http.StatusOK, "")
		form := url.Values{"token": {token}}
		if hint != "" {
			form.Set("token_type_hint", hint)
		}
		if status, _ := d.asProgram(t, "/auth/revoke", otherID, otherSecret, form); status/100 == 2 {
			t.Errorf("another program revokes it: %d", status)
		}
		d.everyNode(t, use, http.StatusOK, "")
		began := time.Now()
		for range 2 { // revoking it again is no error
			if status, _ := d.asProgram(t, "/auth/revoke", id, secret, form); status != http.StatusOK {
				t.Errorf("hint %q: %d", hint, status)
			}
			d.everyNode(t, use, http.StatusUnauthorized, "token_revoked")
		}
		t.Logf("revoked and refused everywhere %v after the call", time.Since(began))
	}
	if status, _ := d.asProgram(t, "/auth/revoke", id, secret, url.Values{"token": {"garbage"}}); status != http.StatusOK {
		t.Errorf("an unknown token: %d, want 200 (RFC 7009 section 2.2)", status)
	}
	if status, _ := d.asProgram(t, "/auth/revoke", id, "wrong", url.Values{"token": {"garbage"}}); status != http.StatusUnauthorized {
		t.Errorf("wrong credentials: %d", status)
	}
	d.want(t, call{method: "GET", path: "/auth/revoke?token=x"}, http.StatusMethodNotAllowed, "method_not_allowed")
	for _, made := range []string{id, otherID} {
		d.want(t, call{method: "DELETE", path: "/admin/service-accounts/" + made, token: root.access}, http.StatusNoContent, "")
	}
}
