package httpapi_test

import (
	"net/url"
	"strings"
	"testing"

	"gatehouse.internal/auth-service/internal/auth"
	"gatehouse.internal/shared/embedded/testenv"
)

// press fills in the form of a page and sends it.
func (w *world) press(page answer, password string) answer {
	w.t.Helper()
	action, token := page.form()
	values := url.Values{"token": {token}, "new_password": {password}}
	if strings.Contains(string(page.body), `name="sure" value="1"`) {
		values.Set("sure", "1")
	}
	return w.call("POST", action, values.Encode(), asForm)
}

func TestAPI_the_page_to_verify_an_address_has_its_reader_say_which_password_holds(t *testing.T) {
	testenv.EachDatabase(t, func(t *testing.T, databaseURL string) {
		w := newWorldOn(t, databaseURL)
		w.call("POST", "/auth/register", fields{"email": ada, "password": nextPassword}).want(202) // somebody else
		shown := w.call("GET", "/auth/email/verify?token="+url.QueryEscape(w.mailToken(ada, auth.MailVerifyEmail)), nil).want(200)
		if !strings.Contains(string(shown.body), "new_password") {
			t.Fatalf("the page asks for no password: %s", shown.body)
		}
		refused := w.press(shown, password).want(422)
		if !strings.Contains(string(refused.body), "registered with another password") {
			t.Errorf("the page does not say what is wrong: %s", refused.body)
		}
		if weak := w.press(refused, "short").want(422); !strings.Contains(string(weak.body), "at least 15 characters") {
			t.Errorf("the page does not say why: %s", weak.body)
		}
		w.press(refused, password).want(200)
		w.call("POST", "/auth/login", fields{"email": ada, "password": nextPassword}).wantProblem(401, "invalid_credentials")
		if !w.login(ada, password).User.EmailVerified {
			t.Error("the address is not verified")
		}
	})
}

func TestAPI_an_address_registered_twice_is_confirmed_with_a_password_alone(t *testing.T) {
	w := newWorld(t)
	for _, secret := range []string{nextPassword, password, nextPassword} {
		w.call("POST", "/auth/register", fields{"email": ada, "password": secret}).want(202)
	}
	token := w.mailToken(ada, auth.MailVerifyEmail)
	a := w.call("POST", "/auth/email/verify", fields{"token": token}).wantProblem(422, "validation_failed")
	if !strings.Contains(string(a.body), `"new_password"`) {
		t.Errorf("nothing says what is missing: %s", a.body)
	}
	shown := w.call("GET", "/auth/email/verify?token="+url.QueryEscape(token), nil).want(200)
	if !strings.Contains(string(shown.body), "registered more than once") {
		t.Errorf("the page does not say what is up: %s", shown.body)
	}
	w.press(shown, "").want(422)
	w.call("POST", "/auth/email/verify", fields{"token": token, "new_password": password}).want(204)
	w.call("POST", "/auth/login", fields{"email": ada, "password": nextPassword}).wantProblem(401, "invalid_credentials")
	w.login(ada, password)
}

func TestAPI_the_page_for_a_changed_address_asks_for_no_password(t *testing.T) {
	w := newWorld(t)
	w.register(ada)
	s := w.login(ada, password)
	w.call("PUT", "/auth/email", fields{"new_email": "new@example.com", "current_password": password}, bearer(s.AccessToken)).want(202)
	shown := w.call("GET", "/auth/email/verify?token="+url.QueryEscape(w.mailToken("new@example.com", auth.MailChangeEmail)), nil).want(200)
	if strings.Contains(string(shown.body), "new_password") {
		t.Errorf("the page asks for a password: %s", shown.body)
	}
	w.press(shown, "").want(200)
	w.login("new@example.com", password)
}
