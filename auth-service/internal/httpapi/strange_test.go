package httpapi_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"gatehouse.internal/shared/contract"
	"gatehouse.internal/shared/embedded/testenv"
)

// TestAPI_strange_text_is_never_our_failure sends to every endpoint texts that
// databases, parsers and logs are known to stumble over.
func TestAPI_strange_text_is_never_our_failure(t *testing.T) {
	texts := []string{
		"\x00", "a\x00b@example.com", "\ufffd", "\u202e", "\r\nSet-Cookie: a=b", strings.Repeat("a", 60<<10), strings.Repeat("😀", 10<<10),
		"' OR 1=1 --", "%s%n", "ada@example.com\x00", " ada@example.com ", "\"a b\"@example.com", "a@[127.0.0.1]", "ÄDA@EXAMPLE.COM", "-1", "null",
	}
	testenv.EachDatabase(t, func(t *testing.T, url string) {
		w := newWorldOn(t, url)
		w.register(ada)
		callers := map[string][]option{
			"": nil, "user": {bearer(w.login(ada, password).AccessToken)}, "admin": {bearer(w.admin().AccessToken)},
		}
		for _, e := range endpoints() {
			for name := range e.good {
				for _, text := range texts {
					body := fields{}
					for k, v := range e.good {
						body[k] = v
					}
					body[name] = text
					if name == "roles" {
						body[name] = []string{text}
					}
					if a := w.call(e.method, e.path, body, callers[e.caller]...); a.status >= 500 {
						t.Errorf("%s %s with %s %.20q: %d %s", e.method, e.path, name, text, a.status, a.body)
					}
				}
			}
		}
		w.strangeElsewhere(t, texts, callers["admin"])
	})
}

// strangeElsewhere sends the texts in queries, forms, credentials and headers.
func (w *world) strangeElsewhere(t *testing.T, texts []string, admin []option) {
	client := basic(contract.ClientPeople, clientSecret)
	for _, text := range texts {
		if len(text) > 16<<10 {
			text = text[:16<<10] // the server bounds headers
		}
		query := url.QueryEscape(text)
		for _, a := range []answer{
			w.call("GET", "/admin/audit?event="+query, nil, admin...),
			w.call("GET", "/admin/audit?user="+query, nil, admin...),
			w.call("GET", "/admin/audit?cursor="+query, nil, admin...),
			w.call("GET", "/auth/sessions?cursor="+query, nil, admin...),
			w.call("GET", "/auth/email/verify?token="+query, nil),
			w.call("POST", "/auth/email/verify?page=1", tokenForm(text), asForm),
			w.call("POST", "/auth/introspect", tokenForm(text), asForm, client),
			w.call("POST", "/auth/revoke", tokenForm(text), asForm, client),
			w.call("POST", "/auth/introspect", tokenForm("x"), asForm, basic(text, text)),
			w.call("POST", "/auth/login", fields{"email": ada, "password": password}, strangeHeaders(text)),
		} {
			if a.status >= 500 {
				t.Errorf("%.20q: %d %s", text, a.status, a.body)
			}
		}
	}
	if n := len(w.sessionsOf(admin)); n == 0 {
		t.Error("the administrator has no session any more")
	}
}

// strangeHeaders puts a text where headers are kept, as far as HTTP lets it.
func strangeHeaders(text string) option {
	text = strings.NewReplacer("\x00", "\xff", "\r", "", "\n", "").Replace(text)
	return func(r *http.Request) {
		r.Header.Set("User-Agent", text)
		r.Header.Set("X-Request-Id", text)
		r.Header.Set("X-Forwarded-For", text)
	}
}

func (w *world) sessionsOf(caller []option) []session {
	w.t.Helper()
	return decoded[page[session]](w.call("GET", "/auth/sessions", nil, caller...).want(200)).Items
}
