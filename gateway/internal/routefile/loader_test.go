package routefile_test

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"gatehouse.internal/gateway/internal/route"
	"gatehouse.internal/gateway/internal/routefile"
)

// settings are those of a deployment of one replica each.
func settings() routefile.Settings {
	return routefile.Settings{
		AuthTargets: []string{"http://auth.example:8081"}, UserTargets: []string{"http://users.example:8082"}, CredentialLimit: 100,
	}
}

// folder writes files, and gives the folder that they are in.
func folder(t testing.TB, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		write(t, filepath.Join(dir, name), content)
	}
	return dir
}

// write replaces a file in one step.
func write(t testing.TB, name, content string) {
	t.Helper()
	temporary := filepath.Join(filepath.Dir(name), ".tmp")
	if err := errors.Join(os.WriteFile(temporary, []byte(content), 0o600), os.Rename(temporary, name)); err != nil {
		t.Fatal(err)
	}
}

const example = `
upstreams:
  orders:
    targets: [http://orders-1:8080, http://orders-2:8080]
    balance: least_conn            # round_robin | least_conn | random_two
    health: { path: /healthz, interval: 5s }
    timeout: 10s
routes:
  - name: orders
    match: { path: /api/orders/*, methods: [GET, POST] }   # host: optional
    upstream: orders
    rewrite: { strip_prefix: /api }
    auth: required                 # none | optional | required; a route without this line is an error
    roles: [user, admin]           # any of
    verified_email: true
    max_staleness: 2s              # how old this node's knowledge of revocations may be
    rate_limit: { requests: 100, per: 1m, by: user }       # user | ip
    websocket: false               # upgrades only where allowed; closed (4401) when the session is revoked
    end_at_expiry: true            # what is still open then ends with the token
    max_body: 1MiB
    request_headers: { set: { x-team: orders }, remove: [X-Debug] }
    response_headers: { remove: [server] }
    forward_authorization: false
    path_parameters: true
    compress: [gzip, zstd]
`

func TestOpen_TheExampleOfTheContract(t *testing.T) {
	dir := folder(t, map[string]string{"orders.yaml": example})
	l, err := routefile.Open(routefile.Config{Paths: []string{dir}, Settings: settings()})
	if err != nil {
		t.Fatal(err)
	}
	r, _ := l.Table().Match("POST", "any", "/api/orders/17")
	if r == nil {
		t.Fatal("no route")
	}
	got := *r
	want := route.Route{
		Name: "orders", Match: route.Match{Path: "/api/orders/*", Methods: []string{"GET", "POST"}}, Upstream: "orders",
		Rewrite: route.Rewrite{StripPrefix: "/api"}, Auth: route.AuthRequired, Roles: []string{"user", "admin"}, VerifiedEmail: true,
		MaxStaleness: 2 * time.Second, RateLimit: &route.RateLimit{Requests: 100, Per: time.Minute, By: route.LimitByUser},
		RequestHeaders:  route.HeaderRules{Set: []route.Field{{Name: "X-Team", Value: "orders"}}, Remove: []string{"X-Debug"}},
		ResponseHeaders: route.HeaderRules{Remove: []string{"Server"}}, WithholdAuthorization: true, PathParameters: true, Compress: []string{"gzip", "zstd"},
		EndAtExpiry: true, MaxBody: 1 << 20, Source: route.Position{File: filepath.Join(dir, "orders.yaml"), Line: 9, Column: 5},
	}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(route.Route{})); diff != "" {
		t.Error(diff)
	}
	for _, u := range l.Table().Upstreams() {
		if u.Name != "orders" {
			continue
		}
		want := route.Upstream{Name: "orders", Targets: []string{"http://orders-1:8080", "http://orders-2:8080"}, Balance: "least_conn",
			Health: &route.Health{Path: "/healthz", Interval: 5 * time.Second}, Timeout: 10 * time.Second,
			Source: route.Position{File: filepath.Join(dir, "orders.yaml"), Line: 3, Column: 3}}
		if diff := cmp.Diff(want, u); diff != "" {
			t.Error(diff)
		}
	}
}

func TestOpen_BuiltIn(t *testing.T) {
	l, err := routefile.Open(routefile.Config{Settings: settings()})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		request, upstream string
		auth              route.Auth
		role              string
	}{
		{"GET /.well-known/jwks.json", "auth", "none", ""},
		{"GET /.well-known/oauth-authorization-server", "auth", "none", ""},
		{"POST /auth/register", "auth", "none", ""},
		{"POST /auth/login", "auth", "none", ""},
		{"POST /auth/login/mfa", "auth", "none", ""},
		{"POST /auth/refresh", "auth", "none", ""},
		{"POST /auth/logout", "auth", "none", ""},
		{"POST /auth/logout/all", "auth", "required", ""},
		{"GET /auth/me", "auth", "required", ""},
		{"DELETE /auth/me", "auth", "required", ""},
		{"GET /auth/sessions", "auth", "required", ""},
		{"DELETE /auth/sessions/17", "auth", "required", ""},
		{"PUT /auth/password", "auth", "required", ""},
		{"POST /auth/password/forgot", "auth", "none", ""},
		{"POST /auth/password/reset", "auth", "none", ""},
		{"GET /auth/password/reset", "auth", "none", ""},
		{"POST /auth/email/verify", "auth", "none", ""},
		{"GET /auth/email/verify", "auth", "none", ""},
		{"POST /auth/email/resend", "auth", "required", ""},
		{"PUT /auth/email", "auth", "required", ""},
		{"POST /auth/mfa/totp", "auth", "required", ""},
		{"POST /auth/mfa/totp/confirm", "auth", "required", ""},
		{"DELETE /auth/mfa/totp", "auth", "required", ""},
		{"POST /auth/introspect", "auth", "none", ""},
		{"POST /auth/revoke", "auth", "none", ""},
		{"GET /users/me", "users", "required", ""},
		{"PATCH /users/me", "users", "required", ""},
		{"GET /admin/users", "users", "required", "admin"},
		{"GET /admin/users/17", "users", "required", "admin"},
		{"DELETE /admin/users/17", "auth", "required", "admin"},
		{"PUT /admin/users/17/roles", "auth", "required", "admin"},
		{"POST /admin/users/17/lock", "auth", "required", "admin"},
		{"POST /admin/users/17/unlock", "auth", "required", "admin"},
		{"POST /admin/users/17/logout", "auth", "required", "admin"},
		{"GET /admin/users/17/sessions", "auth", "required", "admin"},
		{"DELETE /admin/sessions/17", "auth", "required", "admin"},
		{"GET /admin/audit", "auth", "required", "admin"},
		{"GET /admin/attempts", "auth", "required", "admin"},
		{"DELETE /admin/attempts", "auth", "required", "admin"},
		{"GET /admin/keys", "auth", "required", "admin"},
		{"POST /admin/keys/rotate", "auth", "required", "admin"},
		{"GET /admin/nodes", "auth", "required", "admin"},
		{"GET /admin/routes", "gateway", "required", "admin"},
	} {
		method, path, _ := strings.Cut(c.request, " ")
		r, allow := l.Table().Match(method, "gate.example", path)
		if r == nil {
			t.Errorf("%s: no route (%q)", c.request, allow)
			continue
		}
		if r.Upstream != c.upstream || r.Auth != c.auth || !r.BuiltIn || strings.Join(r.Roles, ",") != c.role {
			t.Errorf("%s: %+v", c.request, r)
		}
		if strings.HasPrefix(path, "/admin") != (r.MaxStaleness == 2*time.Second) {
			t.Errorf("%s: knowledge may be %v old", c.request, r.MaxStaleness)
		}
	}
	t.Run("S-P9 what is not listed does not exist", func(t *testing.T) {
		for _, path := range []string{"/", "/auth", "/auth/", "/auth/x", "/admin", "/admin/", "/admin/users/", "/admin/users/1/x", "/users", "/users/1", "/.well-known/x", "/auth/login/"} {
			if r, allow := l.Table().Match("GET", "h", path); r != nil || allow != "" {
				t.Errorf("%s: %v %q", path, r, allow)
			}
		}
	})
	t.Run("S-W5 credential endpoints are limited", func(t *testing.T) {
		for _, path := range []string{"/auth/register", "/auth/login", "/auth/login/mfa", "/auth/password/forgot", "/auth/password/reset", "/auth/email/verify", "/auth/email/resend"} {
			r, _ := l.Table().Match("POST", "h", path)
			if want := (route.RateLimit{Requests: 100, Per: 15 * time.Minute, By: "ip"}); r.RateLimit == nil || *r.RateLimit != want {
				t.Errorf("%s: %+v", path, r.RateLimit)
			}
		}
	})
	t.Run("the limit is a setting", func(t *testing.T) {
		for limit, want := range map[int]string{0: "none", 7: "7"} {
			s := settings()
			s.CredentialLimit = limit
			l, err := routefile.Open(routefile.Config{Settings: s})
			if err != nil {
				t.Fatal(err)
			}
			r, _ := l.Table().Match("POST", "h", "/auth/login")
			if (want == "none") != (r.RateLimit == nil) || r.RateLimit != nil && r.RateLimit.Requests != limit {
				t.Errorf("%d: %+v", limit, r.RateLimit)
			}
		}
	})
	t.Run("bad settings name their variables", func(t *testing.T) {
		_, err := routefile.Open(routefile.Config{Settings: routefile.Settings{UserTargets: []string{"users:80"}, CredentialLimit: -1}})
		for _, want := range []string{"GATEWAY_AUTH_URL: targets: missing", "GATEWAY_USER_URL: targets: number 1", "GATEWAY_CREDENTIAL_LIMIT: rate_limit.requests: -1"} {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%q is not in\n%v", want, err)
			}
		}
	})
	t.Run("targets are those of the settings", func(t *testing.T) {
		for _, u := range l.Table().Upstreams() {
			if !strings.Contains(u.Targets[0], u.Name) {
				t.Errorf("%+v", u)
			}
		}
	})
}

var update = flag.Bool("update", false, "write the golden files anew")

// TestOpen_ReportsEveryProblem reads each folder under testdata and compares
// what is wrong with it to the file problems.txt there.
func TestOpen_ReportsEveryProblem(t *testing.T) {
	folders, err := filepath.Glob("testdata/*")
	if err != nil || len(folders) == 0 {
		t.Fatalf("no test data: %v", err)
	}
	for _, folder := range folders {
		t.Run(filepath.Base(folder), func(t *testing.T) {
			_, err := routefile.Open(routefile.Config{Paths: []string{folder}, Settings: settings()})
			problems, ok := errors.AsType[route.Problems](err)
			if !ok {
				t.Fatalf("got %v", err)
			}
			got := filepath.ToSlash(problems.Error()) + "\n"
			golden := filepath.Join(folder, "problems.txt")
			if *update {
				write(t, golden, got)
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestOpen_Paths(t *testing.T) {
	one := "upstreams: {a: {targets: [http://a]}}\nroutes: [{name: one, match: {path: /one}, upstream: a, auth: none}]"
	two := "routes: [{name: two, match: {path: /two}, upstream: a, auth: none}]"
	broken := "routes: ["
	t.Run("a folder's route files, by both endings, and no others", func(t *testing.T) {
		dir := folder(t, map[string]string{"b.yaml": one, "a.yml": two, ".hidden.yaml": broken, "readme.md": broken, "x.yaml~": broken})
		if err := os.Mkdir(filepath.Join(dir, "sub.yaml"), 0o700); err != nil {
			t.Fatal(err)
		}
		l, err := routefile.Open(routefile.Config{Paths: []string{dir}, Settings: settings()})
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range []string{"/one", "/two"} {
			if r, _ := l.Table().Match("GET", "h", path); r == nil {
				t.Errorf("%s is missing", path)
			}
		}
	})
	t.Run("a folder per team, one of them behind a link", func(t *testing.T) {
		dir, other := t.TempDir(), folder(t, map[string]string{"two.yaml": two})
		for _, inner := range []string{"a/b", ".git"} {
			if err := os.MkdirAll(filepath.Join(dir, inner), 0o700); err != nil {
				t.Fatal(err)
			}
		}
		write(t, filepath.Join(dir, "a/b/one.yaml"), one)
		write(t, filepath.Join(dir, ".git/x.yaml"), broken)
		if err := os.Symlink(other, filepath.Join(dir, "linked")); err != nil {
			t.Fatal(err)
		}
		l, err := routefile.Open(routefile.Config{Paths: []string{dir, filepath.Join(dir, "a") + "/./b"}, Settings: settings()})
		if err != nil {
			t.Fatal(err)
		}
		for _, path := range []string{"/one", "/two"} {
			if r, _ := l.Table().Match("GET", "h", path); r == nil {
				t.Errorf("%s is missing", path)
			}
		}
	})
	t.Run("a ring of links ends", func(t *testing.T) {
		dir := folder(t, map[string]string{"a.yaml": one})
		if err := os.Symlink(dir, filepath.Join(dir, "ring")); err != nil {
			t.Fatal(err)
		}
		_, err := routefile.Open(routefile.Config{Paths: []string{dir}, Settings: settings()})
		if err == nil || !strings.Contains(err.Error(), "nested deeper than 4") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("a pipe into which nobody writes is waited for by nobody", func(t *testing.T) {
		dir := folder(t, map[string]string{"a.yaml": one})
		pipe := filepath.Join(dir, "pipe.yaml")
		if err := syscall.Mkfifo(pipe, 0o600); err != nil {
			t.Fatal(err)
		}
		opened := make(chan error, 1)
		go func() {
			_, err := routefile.Open(routefile.Config{Paths: []string{dir}, Settings: settings()})
			opened <- err
		}()
		select {
		case err := <-opened:
			if err == nil || !strings.HasPrefix(err.Error(), pipe+": not a file") {
				t.Errorf("got %v", err)
			}
		case <-time.After(10 * time.Second):
			t.Error("it is waited for")
			if w, err := os.OpenFile(pipe, os.O_WRONLY, 0); err == nil {
				_ = w.Close()
			}
			<-opened
		}
	})
	t.Run("several paths, one of them twice", func(t *testing.T) {
		dir, other := folder(t, map[string]string{"b.yaml": one}), folder(t, map[string]string{"any-name": two})
		if _, err := routefile.Open(routefile.Config{Paths: []string{filepath.Join(other, "any-name"), dir, dir}, Settings: settings()}); err != nil {
			t.Error(err)
		}
	})
	t.Run("an empty folder and a file that says it defines nothing", func(t *testing.T) {
		for name, content := range map[string]string{"not-there.txt": "", "none.yaml": "routes: []", "neither.yaml": "{}"} {
			if _, err := routefile.Open(routefile.Config{Paths: []string{folder(t, map[string]string{name: content})}, Settings: settings()}); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
	t.Run("a file without any document", func(t *testing.T) {
		for _, content := range []string{"", " \n\n", "\ufeff", "# nothing\n", "---\n", "---\n# nothing\n...\n", "null", "~\n"} {
			dir := folder(t, map[string]string{"a.yaml": one, "r.yaml": content})
			_, err := routefile.Open(routefile.Config{Paths: []string{dir}, Settings: settings()})
			if err == nil || !strings.HasPrefix(err.Error(), filepath.Join(dir, "r.yaml")+":1:1: the file is empty") {
				t.Errorf("%q: %v", content, err)
			}
		}
	})
	t.Run("a file that is emptied changes nothing, one that is gone takes its routes along", func(t *testing.T) {
		dir := folder(t, map[string]string{"a.yaml": one, "b.yaml": two})
		l, err := routefile.Open(routefile.Config{Paths: []string{dir}, Settings: settings()})
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, "b.yaml"), "")
		if err := l.Reload(); err == nil || !serves(l, "/one") || !serves(l, "/two") {
			t.Errorf("emptied: %v", err)
		}
		if err := os.Remove(filepath.Join(dir, "b.yaml")); err != nil {
			t.Fatal(err)
		}
		if err := l.Reload(); err != nil || !serves(l, "/one") || serves(l, "/two") {
			t.Errorf("gone: %v", err)
		}
	})
	t.Run("what is not there", func(t *testing.T) {
		missing := filepath.Join(t.TempDir(), "missing")
		_, err := routefile.Open(routefile.Config{Paths: []string{missing}, Settings: settings()})
		if err == nil || err.Error() != missing+": no such file or directory" {
			t.Errorf("got %v", err)
		}
	})
	t.Run("a file that is too large", func(t *testing.T) {
		dir := folder(t, map[string]string{"big.yaml": strings.Repeat("# x\n", 1<<20+1)})
		if _, err := routefile.Open(routefile.Config{Paths: []string{dir}, Settings: settings()}); err == nil || !strings.Contains(err.Error(), "big.yaml: larger than") {
			t.Errorf("got %v", err)
		}
	})
}

// FuzzOpen reads anything, and never fails but with problems that name a place.
func FuzzOpen(f *testing.F) {
	f.Add(example)
	for _, seed := range []string{"", "a", "- a", "routes: [", "routes: [{}]", "upstreams: {a: {}}", "routes: &x [*x]", "a: b\n---\nc: d", "routes: [[[]]]", "? {a: b}\n: c", "<<: {routes: []}", "\xff", "%YAML 1.2\n---\n", "!!binary x"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, content string) {
		dir := folder(t, map[string]string{"r.yaml": content})
		_, err := routefile.Open(routefile.Config{Paths: []string{dir}, Settings: settings()})
		if err == nil {
			return
		}
		problems, ok := errors.AsType[route.Problems](err)
		if !ok || len(problems) == 0 {
			t.Fatalf("got %v", err)
		}
		for _, p := range problems {
			if p.File == "" || p.Line < 1 || p.Column < 1 || p.Message == "" {
				t.Errorf("%+v", p)
			}
		}
	})
}
