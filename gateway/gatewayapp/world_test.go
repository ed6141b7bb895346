package gatewayapp

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse.internal/shared/bus"
	"gatehouse.internal/shared/contract"
	"gatehouse.internal/shared/embedded/testenv"
	"gatehouse.internal/shared/fault"
	"gatehouse.internal/shared/revocation"
	"gatehouse.internal/shared/token"
	"gatehouse.internal/shared/token/tokentest"
)

const routesYAML = `
upstreams:
  orders: { targets: [ORDERS] }
routes:
  - { name: public, match: { path: /api/public/* }, upstream: orders, auth: none }
  - { name: optional, match: { path: /api/optional/* }, upstream: orders, auth: optional }
  - { name: orders, match: { path: /api/orders/* }, upstream: orders, auth: required }
  - { name: users-only, match: { path: /api/orders/admin/* }, upstream: orders, auth: required, roles: [admin], max_staleness: 2s }
  - { name: second-factor, match: { path: /api/mfa/* }, upstream: orders, auth: required, mfa: true }
  - { name: permitted, match: { path: /api/permitted/* }, upstream: orders, auth: required, permissions: [orders:read, orders:write] }
  - { name: verified, match: { path: /api/verified/* }, upstream: orders, auth: required, verified_email: true }
  - { name: rewritten, match: { path: /v1/things/* }, upstream: orders, auth: none, rewrite: { strip_prefix: /v1 } }
  - { name: limited, match: { path: /api/limited/* }, upstream: orders, auth: none, rate_limit: { requests: 3, per: 1m, by: ip } }
  - { name: limited-user, match: { path: /api/limited-user/* }, upstream: orders, auth: required, rate_limit: { requests: 3, per: 1m, by: user } }
  - { name: small, match: { path: /api/small/* }, upstream: orders, auth: none, max_body: 64KiB }
  - { name: socket, match: { path: /ws/* }, upstream: orders, auth: required, websocket: true }
  - { name: strict-socket, match: { path: /ws/strict/* }, upstream: orders, auth: required, websocket: true, max_staleness: 2s }
  - { name: expiring-socket, match: { path: /ws/expiring/* }, upstream: orders, auth: required, websocket: true, end_at_expiry: true }
  - { name: read-only, match: { path: /api/read/*, methods: [GET] }, upstream: orders, auth: none }
`

// world is a running gateway with everything around it.
type world struct {
	t      testing.TB
	issuer *tokentest.Issuer
	bus    *bus.Bus
	app    *App
	cfg    Config
	base   string
	client *http.Client
	stop   func() // the gateway, and waits for it
	log    slog.Handler

	mu        sync.Mutex
	seen      []*http.Request // by the upstreams
	answer    http.HandlerFunc
	rawAnswer http.HandlerFunc // before the body has been read
	head      uint64           // number of the last revocation
	mute      bool             // the sequencer says nothing
	roles     contract.RoleTable
}

// newWorld starts a gateway; edit may change its settings first.
func newWorld(t testing.TB, edit func(*Config)) *world {
	t.Helper()
	w := &world{t: t, log: slog.DiscardHandler, issuer: tokentest.New(t, token.AlgEdDSA), client: &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport:     &http.Transport{MaxIdleConnsPerHost: 16},
	}}
	t.Cleanup(w.client.CloseIdleConnections)
	up := httptest.NewServer(http.HandlerFunc(w.upstream))
	t.Cleanup(up.Close)
	natsURL, prefix := testenv.NATS(t)
	redisURL, redisPrefix := testenv.Redis(t)
	routes := filepath.Join(t.TempDir(), "routes.yaml")
	if err := os.WriteFile(routes, []byte(strings.ReplaceAll(routesYAML, "ORDERS", up.URL)), 0o600); err != nil {
		t.Fatal(err)
	}
	w.cfg = Config{
		Addr: "127.0.0.1:0", OpsAddr: "127.0.0.1:0", NodeID: "node-1", Routes: []string{routes},
		AuthURL: []string{up.URL}, UserURL: []string{up.URL}, Issuer: tokentest.IssuerURL, Audience: tokentest.Audience,
		NATS: bus.Config{URL: natsURL, Prefix: prefix}, RedisURL: redisURL, RedisPrefix: redisPrefix,
	}
	if edit != nil {
		edit(&w.cfg)
	}
	w.sequencer(natsURL, prefix)
	w.start()
	return w
}

// start runs the gateway until the test ends.
func (w *world) start() {
	w.t.Helper()
	app, err := New(context.Background(), w.cfg, slog.New(w.log))
	if err != nil {
		w.t.Fatal(err)
	}
	w.app, w.base = app, "http://"+app.Addr()
	if w.cfg.TLSCert != "" {
		w.base = "https://" + app.Addr()
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- app.Run(ctx) }()
	w.stop = sync.OnceFunc(func() {
		w.client.CloseIdleConnections()
		cancel()
		if err := <-done; err != nil {
			w.t.Errorf("Run: %v", err)
		}
	})
	w.t.Cleanup(w.stop)
	w.until("the gateway is ready", func() bool { return app.Ready(context.Background()) == nil })
}

// upstream is every service behind the gateway.
func (w *world) upstream(rw http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/.well-known/jwks.json":
		w.issuer.ServeHTTP(rw, r)
		return
	case contract.RolesPath:
		w.mu.Lock()
		roles := w.roles
		w.mu.Unlock()
		if roles.Version == 0 {
			rw.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		_ = json.NewEncoder(rw).Encode(roles)
		return
	case "/livez":
		return
	}
	w.mu.Lock()
	raw := w.rawAnswer
	w.mu.Unlock()
	if raw != nil {
		raw(rw, r)
		return
	}
	_, _ = io.Copy(io.Discard, r.Body)
	w.mu.Lock()
	w.seen = append(w.seen, r)
	answer := w.answer
	w.mu.Unlock()
	if answer != nil {
		answer(rw, r)
		return
	}
	_, _ = io.WriteString(rw, "ok")
}

// sequencer does what the auth-service's does: it echoes nonces in heads, and
// answers for missing numbers.
func (w *world) sequencer(url, prefix string) {
	var err error
	if w.bus, err = bus.Connect(bus.Config{URL: url, Prefix: prefix, Name: "auth-service"}, slog.New(slog.DiscardHandler)); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(w.bus.Close)
	_, err = w.bus.Subscribe(w.bus.Subjects().Reports(), func(m bus.Message) {
		var report contract.Report
		if json.Unmarshal(m.Data, &report) != nil {
			return
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.mute {
			return
		}
		head, _ := json.Marshal(contract.Head{
			V: contract.HeadVersion, Sequencer: "s", Epoch: 1, Last: w.head, Oldest: 1, Nonces: map[string]string{report.Node: report.Nonce},
		})
		_ = w.bus.Publish(w.bus.Subjects().Heads(), w.seal(revocation.PurposeHead, head))
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) seal(purpose revocation.Purpose, payload []byte) []byte {
	return revocation.Seal(purpose, w.issuer.EventKeyID, w.issuer.EventKey, payload)
}

// revoke publishes a revocation and waits until the gateway has it.
func (w *world) revoke(e contract.Entry) {
	w.t.Helper()
	e.ExpiresAt = time.Now().Add(time.Hour)
	w.mu.Lock()
	w.head++
	b := contract.Batch{Epoch: 1, First: w.head, Oldest: 1, Committed: time.Now(), Entries: []contract.Entry{e}}
	number := w.head
	w.mu.Unlock()
	if err := w.bus.Publish(w.bus.Subjects().Batches(), w.seal(revocation.PurposeBatch, b.Encode())); err != nil {
		w.t.Fatal(err)
	}
	w.until("the revocation is applied", func() bool { return w.app.checker.View.Progress.Position().Applied >= number })
}

// silence stops the sequencer's heads, or starts them again.
func (w *world) silence(mute bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.mute = mute
}

func (w *world) answers(f http.HandlerFunc) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.answer = f
}

// answersRaw has the upstream answer before it has read the body.
func (w *world) answersRaw(f http.HandlerFunc) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.rawAnswer = f
}

// requests are what the upstreams saw.
func (w *world) requests() []*http.Request {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]*http.Request(nil), w.seen...)
}

func (w *world) last() *http.Request {
	w.t.Helper()
	all := w.requests()
	if len(all) == 0 {
		w.t.Fatal("the upstream saw no request")
	}
	return all[len(all)-1]
}

// token signs claims that edit may change.
func (w *world) token(edit func(*contract.Claims)) string {
	c := tokentest.Claims(time.Now())
	if edit != nil {
		edit(&c)
	}
	return w.issuer.Token(c)
}

// do makes a request with the given header lines ("Name: value").
func (w *world) do(method, path string, headers ...string) (*http.Response, string) {
	w.t.Helper()
	return w.send(method, path, nil, headers...)
}

func (w *world) send(method, path string, body io.Reader, headers ...string) (*http.Response, string) {
	w.t.Helper()
	req, err := http.NewRequestWithContext(context.Background(), method, w.base+path, body)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, line := range headers {
		name, value, _ := strings.Cut(line, ": ")
		req.Header.Add(name, value)
	}
	res, err := w.client.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	text, _ := io.ReadAll(res.Body)
	return res, string(text)
}

// raw sends bytes on a connection of its own and returns it for reading.
func (w *world) raw(request string) (net.Conn, *bufio.Reader) {
	w.t.Helper()
	c, err := net.Dial("tcp", w.app.Addr())
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := io.WriteString(c, request); err != nil {
		w.t.Fatal(err)
	}
	return c, bufio.NewReader(c)
}

// ask sends one raw request and reads its answer.
func (w *world) ask(request string) (*http.Response, string) {
	w.t.Helper()
	_, in := w.raw(request)
	return readAnswer(w.t, in)
}

func readAnswer(t testing.TB, in *bufio.Reader) (*http.Response, string) {
	t.Helper()
	res, err := http.ReadResponse(in, nil)
	if err != nil {
		t.Fatalf("read answer: %v", err)
	}
	defer func() { _ = res.Body.Close() }()
	body, _ := io.ReadAll(res.Body)
	return res, string(body)
}

// until waits for a condition, and fails the test when it does not come true.
func (w *world) until(what string, ok func() bool) {
	w.t.Helper()
	deadline := time.After(15 * time.Second)
	for !ok() {
		select {
		case <-deadline:
			w.t.Fatalf("in vain: %s", what)
		case <-time.After(2 * time.Millisecond):
		}
	}
}

// wantProblem holds an answer to the form of problem documents (S-B6).
func wantProblem(t testing.TB, res *http.Response, body string, status int, kind fault.Kind) {
	t.Helper()
	var p struct {
		Type, Title, Code, Detail string
		Status                    int
		RequestID                 string `json:"request_id"`
	}
	if err := json.Unmarshal([]byte(body), &p); err != nil {
		t.Errorf("got %d %q, want %d %s: %v", res.StatusCode, body, status, kind, err)
		return
	}
	if res.StatusCode != status || p.Status != status || p.Code != string(kind) || p.Type == "" || p.Title == "" {
		t.Errorf("got %d %s, want %d %s", res.StatusCode, body, status, kind)
	}
	if res.Header.Get("Content-Type") != "application/problem+json" || p.RequestID == "" || p.RequestID != res.Header.Get("X-Request-Id") {
		t.Errorf("%s: content type %q, request id %q and %q", kind, res.Header.Get("Content-Type"), p.RequestID, res.Header.Get("X-Request-Id"))
	}
	if challenge := res.Header.Get("WWW-Authenticate"); (status == 401) != (challenge != "") {
		t.Errorf("%s: WWW-Authenticate is %q", kind, challenge)
	}
}
