package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/webauthn"
	"github.com/chromedp/chromedp"
)

// browserTimeout bounds one test in the browser.
const browserTimeout = 3 * time.Minute

// site is the whole system behind one origin, with a page of its own, and a
// browser. Its name is localhost, so that the browser takes it for secure.
type site struct {
	t      *testing.T
	d      *deployment
	origin string
	tab    context.Context
}

// sitePage is what the site's own front end would load: a call that refreshes once
// and tries again, as clients with cookies do.
const sitePage = `<!doctype html><title>site</title><script>
const post = (path, body) => fetch(path, {method: 'POST', headers: {'Content-Type': 'application/json', 'X-Token-Transport': 'cookie'}, body: JSON.stringify(body ?? {})});
const api = async (path) => {
  let r = await fetch(path);
  if (r.status === 401 && (await post('/auth/refresh')).ok) r = await fetch(path);
  return r.status;
};
</script>`

// servePage serves one page at an address until the test ends.
func servePage(t *testing.T, addr, content string) *httptest.Server {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	s := &httptest.Server{Listener: listener, Config: &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = fmt.Fprint(w, content)
	})}}
	s.Start()
	t.Cleanup(s.Close)
	return s
}

// findBrowser is the browser of this machine. Without one the test is skipped,
// unless every service is required.
func findBrowser(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"chromium-headless-shell", "chromium", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	const missing = "the browser is unavailable: Debian has it as chromium-headless-shell"
	if os.Getenv("GATEHOUSE_REQUIRE_SERVICES") != "" {
		t.Fatal(missing)
	}
	t.Skip(missing)
	return ""
}

func newSite(t *testing.T) *site {
	t.Helper()
	path := findBrowser(t)
	page := servePage(t, "127.0.0.1:0", sitePage)
	routes := filepath.Join(t.TempDir(), "app.yaml")
	if err := os.WriteFile(routes, fmt.Appendf(nil, `
upstreams: { app: { targets: [%q] } }
routes: [ { name: app, match: { path: /app, methods: [GET] }, upstream: app, auth: none } ]
`, page.URL), 0o600); err != nil {
		t.Fatal(err)
	}
	addrs, err := consecutive(t.Context(), "127.0.0.1:0", 1)
	if err != nil {
		t.Fatal(err)
	}
	_, port, err := net.SplitHostPort(addrs[0])
	if err != nil {
		t.Fatal(err)
	}
	d, stop, err := startInProcess("-data", t.TempDir(), "-routes", routes, "-addr", "localhost:"+port, "-gateways", "1")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Errorf("stop: %v", err)
		}
	})
	s := &site{t: t, d: d, origin: "http://localhost:" + port}
	d.urls = []string{s.origin}
	ctx, cancel := context.WithTimeout(t.Context(), browserTimeout)
	t.Cleanup(cancel)
	flags := []chromedp.ExecAllocatorOption{chromedp.ExecPath(path), chromedp.UserDataDir(t.TempDir()), chromedp.Flag("no-sandbox", true), chromedp.Flag("disable-dev-shm-usage", true)}
	s.tab, cancel = chromedp.NewContext(ctx, chromedp.WithAllocatorOptions(flags...))
	t.Cleanup(cancel)
	s.visit(s.tab, s.origin+"/app")
	return s
}

func (s *site) visit(tab context.Context, url string) {
	s.t.Helper()
	if err := chromedp.Do(tab, chromedp.Navigate(url)); err != nil {
		s.t.Fatalf("visit %s: %v", url, err)
	}
}

// evaluate evaluates a script, with promises awaited, and gives what it says.
func evaluate(tab context.Context, script string) (string, error) {
	value, err := chromedp.Run(tab, chromedp.Evaluate[[]byte]("(async () => {"+script+"})()", chromedp.EvalAwaitPromise, chromedp.EvalAsValue))
	if err != nil {
		return "", err
	}
	var text string
	if json.Unmarshal(value, &text) == nil {
		return text, nil
	}
	return string(value), nil
}

// want runs a script in a tab and checks what it says.
func (s *site) want(tab context.Context, script, want string) string {
	s.t.Helper()
	got, err := evaluate(tab, script)
	if err != nil {
		s.t.Fatalf("%s: %v", script, err)
	}
	if want != "" && got != want {
		s.t.Errorf("%s: %s, want %s", script, got, want)
	}
	return got
}

// signIn signs a new user in by the page, with cookies.
func (s *site) signIn() user {
	s.t.Helper()
	u := s.d.register(s.t, true)
	s.want(s.tab, fmt.Sprintf(`const r = await post('/auth/login', {email: %q, password: %q}); const b = await r.json(); return r.status + ' ' + ('access_token' in b || 'refresh_token' in b)`, u.email, u.password), "200 false")
	return u
}

// forget takes the access token's cookie away, as its expiry does.
func (s *site) forget() {
	s.t.Helper()
	if _, err := chromedp.Call(s.tab, network.DeleteCookies, network.DeleteCookiesParams{Name: "__Host-access", URL: s.origin + "/"}); err != nil {
		s.t.Fatal(err)
	}
}

func TestBrowser_cookies(t *testing.T) {
	s := newSite(t)
	s.want(s.tab, `return await api('/api/echo/x')`, "401")
	s.signIn()
	s.want(s.tab, `return document.cookie`, "")
	s.want(s.tab, `return await api('/api/echo/x')`, "200")

	s.forget()
	s.want(s.tab, `return (await fetch('/api/echo/x')).status`, "401")
	s.want(s.tab, `return await api('/api/echo/x')`, "200") // a silent refresh

	second, closeTab := chromedp.NewContext(s.tab)
	defer closeTab()
	s.visit(second, s.origin+"/app")
	for range 5 { // two tabs that refresh at once
		s.forget()
		const both = `return (await Promise.all([post('/auth/refresh'), post('/auth/refresh')])).map(r => r.status).join()`
		type said struct {
			text string
			err  error
		}
		other := make(chan said, 1)
		go func() {
			text, err := evaluate(second, both)
			other <- said{text, err}
		}()
		s.want(s.tab, both, "200,200")
		if got := <-other; got.err != nil || got.text != "200,200" {
			t.Errorf("the second tab: %q, %v", got.text, got.err)
		}
		s.want(s.tab, `return await api('/api/echo/x')`, "200")
		s.want(second, `return await api('/api/echo/x')`, "200")
	}
	s.want(s.tab, `return (await (await fetch('/auth/sessions')).json()).items.length`, "1")

	s.want(s.tab, `return (await post('/auth/logout')).status`, "204")
	for _, tab := range []context.Context{s.tab, second} {
		s.want(tab, `return await api('/api/echo/x')`, "401")
	}
}

func TestBrowser_S_C3_forged_requests_of_other_origins(t *testing.T) {
	s := newSite(t)
	s.signIn()
	for name, addr := range map[string]string{"another site": "127.0.0.1:0", "another origin of the same site": "localhost:0"} {
		evil := servePage(t, addr, "<!doctype html><title>evil</title>")
		_, port, err := net.SplitHostPort(evil.Listener.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		host, _, _ := strings.Cut(addr, ":")
		origin := "http://" + host + ":" + port
		tab, closeTab := chromedp.NewContext(s.tab)
		s.visit(tab, origin)
		for _, path := range []string{"/auth/logout", "/auth/logout/all", "/auth/refresh", "/api/echo/x"} {
			// The answer is kept from the page, which fails once it has come.
			s.want(tab, fmt.Sprintf(`try { await fetch(%q, {method: 'POST', mode: 'no-cors', credentials: 'include', body: '{}'}) } catch {} return 'sent'`, s.origin+path), "sent")
		}
		s.want(tab, fmt.Sprintf(`try { await fetch(%q, {credentials: 'include'}); return 'read' } catch { return 'refused' }`, s.origin+"/auth/me"), "refused")
		s.want(tab, fmt.Sprintf(`
			const f = document.createElement('form'); f.method = 'POST'; f.action = %q; f.target = 'frame';
			const i = document.createElement('iframe'); i.name = 'frame'; document.body.append(i, f);
			const loaded = new Promise(resolve => i.onload = () => resolve('sent')); f.submit(); return await loaded`, s.origin+"/auth/logout/all"), "sent")
		s.want(s.tab, `return (await fetch('/auth/me')).status`, "200")
		if t.Failed() {
			t.Errorf("with a forged request of %s", name)
		}
		closeTab()
	}
	if !strings.Contains(s.d.log.String(), "cross_origin_denied") {
		t.Error("no request came with cookies and was refused: the test shows nothing")
	}
	s.want(s.tab, `return (await post('/auth/logout')).status`, "204") // the owner's own request works
}

func TestBrowser_passkey(t *testing.T) {
	s := newSite(t)
	u := s.signIn()
	if _, err := chromedp.Call(s.tab, webauthn.Enable, webauthn.EnableParams{}); err != nil {
		t.Fatal(err)
	}
	if _, err := chromedp.Call(s.tab, webauthn.AddVirtualAuthenticator, webauthn.AddVirtualAuthenticatorParams{Options: &webauthn.VirtualAuthenticatorOptions{
		Protocol: "ctap2", Transport: "internal", HasResidentKey: true, HasUserVerification: true, IsUserVerified: true, AutomaticPresenceSimulation: true,
	}}); err != nil {
		t.Fatal(err)
	}
	s.want(s.tab, `return await api('/api/mfa/x')`, "403")
	s.want(s.tab, fmt.Sprintf(`
		const asked = await (await post('/auth/passkey-options', {password: %q})).json();
		const made = await navigator.credentials.create({publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(asked.public_key)});
		const r = await post('/auth/passkeys', {passkey_token: asked.passkey_token, name: 'Browser', credential: made.toJSON()});
		return r.status + ' ' + (await r.json()).recovery_codes?.length`, u.password), "201 10")
	s.want(s.tab, `return (await post('/auth/logout')).status`, "204")
	s.want(s.tab, `return await api('/api/echo/x')`, "401")
	const signIn = `
		const asked = await (await post('/auth/login/passkey/options')).json();
		const shown = await navigator.credentials.get({publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(asked.public_key)});
		return (await post('/auth/login/passkey', {passkey_token: asked.passkey_token, credential: shown.toJSON()})).status`
	s.want(s.tab, signIn, "200")
	s.want(s.tab, `return await api('/api/mfa/x')`, "200")
	s.want(s.tab, `return (await post('/auth/logout')).status`, "204")
	s.want(s.tab, fmt.Sprintf(`
		const login = await (await post('/auth/login', {email: %q, password: %q})).json();
		const asked = await (await post('/auth/login/mfa/passkey', {mfa_token: login.mfa_token})).json();
		const shown = await navigator.credentials.get({publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(asked.public_key)});
		return login.code + ' ' + (await post('/auth/login/mfa', {mfa_token: login.mfa_token, credential: shown.toJSON()})).status`, u.email, u.password), "mfa_required 200")
	s.want(s.tab, `return await api('/api/mfa/x')`, "200")
}
