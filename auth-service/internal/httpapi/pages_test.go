package httpapi_test

import (
	"html"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"gatehouse.internal/auth-service/internal/auth"
	"gatehouse.internal/shared/contract"
)

// form gives where the form of a page posts to and its hidden token.
func (a answer) form() (action, token string) {
	a.t.Helper()
	text := string(a.body)
	post := regexp.MustCompile(`<form method="post" action="([^"]*)">`).FindStringSubmatch(text)
	hidden := regexp.MustCompile(`name="token" value="([^"]*)"`).FindStringSubmatch(text)
	if post == nil || hidden == nil {
		a.t.Fatalf("no form in %s", text)
	}
	return html.UnescapeString(post[1]), html.UnescapeString(hidden[1])
}

func TestAPI_the_page_to_verify_an_address_changes_nothing_until_its_button_is_pressed(t *testing.T) {
	w := newWorld(t)
	w.call("POST", "/auth/register", fields{"email": ada, "password": password}).want(202)
	mailed := w.mailToken(ada, auth.MailVerifyEmail)
	for range 3 { // a scanner, a preview, and the reader
		w.call("GET", "/auth/email/verify?token="+url.QueryEscape(mailed), nil).want(200)
	}
	if w.login(ada, password).User.EmailVerified {
		t.Fatal("S-C5 a GET has verified the address")
	}
	shown := w.call("GET", "/auth/email/verify?token="+url.QueryEscape(mailed), nil).want(200)
	if got := shown.header.Get("Content-Type"); !strings.HasPrefix(got, "text/html") {
		t.Errorf("Content-Type %q", got)
	}
	policy := shown.header.Get("Content-Security-Policy")
	if !strings.Contains(policy, "default-src 'none'") || !strings.Contains(policy, "form-action 'self'") || strings.Contains(policy, "unsafe") {
		t.Errorf("Content-Security-Policy %q", policy)
	}
	if shown.header.Get("Referrer-Policy") != "no-referrer" || shown.header.Get("Cache-Control") != "no-store" {
		t.Errorf("headers %v", shown.header)
	}
	action, token := shown.form()
	if token != mailed {
		t.Fatalf("the page holds the token %q, the mail %q", token, mailed)
	}
	w.call("POST", action, url.Values{"token": {token}}.Encode(), asForm).want(200)
	if !w.login(ada, password).User.EmailVerified {
		t.Error("the button did not verify the address")
	}
	again := w.call("POST", action, url.Values{"token": {token}}.Encode(), asForm).want(422)
	if !strings.Contains(string(again.body), "does not work") {
		t.Errorf("a used link: %s", again.body)
	}
	w.call("POST", action, fields{"token": token}).wantProblem(415, "unsupported_media_type")
	w.call("POST", "/auth/email/verify", url.Values{"token": {token}}.Encode(), asForm).wantProblem(415, "unsupported_media_type")
	w.inTrouble(unavailable(), func() answer {
		return w.call("POST", action, url.Values{"token": {token}}.Encode(), asForm)
	}).wantProblem(503, "service_unavailable")
}

func TestAPI_the_page_for_a_new_password(t *testing.T) {
	w := newWorld(t)
	w.register(ada)
	w.call("POST", "/auth/password/forgot", fields{"email": ada}).want(202)
	action, token := w.call("GET", "/auth/password/reset?token="+url.QueryEscape(w.mailToken(ada, auth.MailResetPassword)), nil).want(200).form()
	post := func(next string) answer {
		return w.call("POST", action, url.Values{"token": {token}, "new_password": {next}}.Encode(), asForm)
	}
	weak := post("short").want(422)
	if !strings.Contains(string(weak.body), "at least 15 characters") {
		t.Errorf("the page does not say why: %s", weak.body)
	}
	if _, kept := weak.form(); kept != token {
		t.Error("the page has lost the token")
	}
	if done := post(nextPassword).want(200); done.setCookies()[contract.CookieDevice] == nil {
		t.Errorf("the browser is not known after a reset: %q", done.header.Values("Set-Cookie"))
	}
	w.login(ada, nextPassword)
	post(nextPassword).want(422)
}

func TestAPI_pages_show_a_token_as_text_only(t *testing.T) {
	w := newWorld(t)
	for _, path := range []string{"/auth/email/verify", "/auth/password/reset"} {
		a := w.call("GET", path+"?token="+url.QueryEscape(`"><script>alert(1)</script>`), nil).want(200)
		if strings.Contains(string(a.body), "<script") {
			t.Errorf("%s runs what is in its link: %s", path, a.body)
		}
	}
}
