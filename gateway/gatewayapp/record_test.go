package gatewayapp

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse.internal/shared/bus"
	"gatehouse.internal/shared/contract"
	"gatehouse.internal/shared/httpx"
	"gatehouse.internal/shared/revocation"
	"gatehouse.internal/shared/token/tokentest"
)

// book keeps a log that is written while it is read.
type book struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *book) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *book) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// recorded starts a gateway that writes its log into a book.
func recorded(t *testing.T) (*world, *book) {
	t.Helper()
	w := newWorld(t, nil)
	w.stop()
	b := &book{}
	w.log = httpx.Log(b, "debug").Handler()
	w.start()
	return w, b
}

// entry finds the record of a request in the log.
func (b *book) entry(w *world, requestID string) map[string]any {
	w.t.Helper()
	var found map[string]any
	w.until("the request is in the log", func() bool {
		for line := range strings.Lines(b.String()) {
			var record map[string]any
			if json.Unmarshal([]byte(line), &record) == nil && record["msg"] == "request" && record["request_id"] == requestID {
				found = record
				return true
			}
		}
		return false
	})
	return found
}

// Whoever reads the log finds of every refusal when it was, why, who asked for
// what and from where, and nothing that would let him ask in another's name.
func TestPipeline_S_A1_refusals_are_on_record(t *testing.T) {
	w, log := recorded(t)
	subject := tokentest.Claims(time.Now()).Subject
	good := w.token(nil)
	unverified := w.token(func(c *contract.Claims) { c.EmailVerified = false })
	dead := w.token(func(c *contract.Claims) { c.SessionID = "01890a5d-ac96-774b-bcce-0000000000d1" })
	w.revoke(contract.Entry{Kind: contract.RevokeSession, Subject: contract.ParseSubjectID("01890a5d-ac96-774b-bcce-0000000000d1")})
	for _, c := range []struct {
		method, path, route, kind, user string
		status                          float64
		headers                         []string
	}{
		{"GET", "/api/orders/x", "orders", "token_missing", "", 401, nil},
		{"GET", "/api/orders/x", "orders", "token_invalid", "", 401, []string{bearer + good + "x"}},
		{"GET", "/api/orders/x", "orders", "token_revoked", subject, 401, []string{bearer + dead}},
		{"GET", "/api/orders/admin/x?q=secret-query", "users-only", "insufficient_role", subject, 403, []string{bearer + good}},
		{"GET", "/api/mfa/x", "second-factor", "mfa_required", subject, 403, []string{bearer + good}},
		{"GET", "/api/verified/x", "verified", "email_unverified", subject, 403, []string{bearer + unverified}},
		{"POST", "/api/orders/x", "orders", "cross_origin_denied", subject, 403, []string{"Cookie: __Host-access=" + good, "Sec-Fetch-Site: cross-site"}},
		{"GET", "/api//orders", "", "malformed_request", "", 400, []string{bearer + good}},
		{"GET", "/api/orders/x", "orders", "", subject, 200, []string{bearer + good}},
	} {
		res, _ := w.do(c.method, c.path, c.headers...)
		record := log.entry(w, res.Header.Get("X-Request-Id"))
		got := func(name string) string { text, _ := record[name].(string); return text }
		path, _, _ := strings.Cut(c.path, "?")
		if record["status"] != c.status || got("kind") != c.kind || got("route") != c.route || got("path") != path || got("method") != c.method {
			t.Errorf("%s %s: recorded as %v", c.method, c.path, record)
		}
		if got("user_id") != c.user || got("client") != "127.0.0.1" {
			t.Errorf("%s %s (%s): by %q from %q, want %q", c.method, c.path, c.kind, got("user_id"), got("client"), c.user)
		}
		if at, err := time.Parse(time.RFC3339Nano, got("time")); err != nil || at.Location() != time.UTC || time.Since(at) > time.Minute {
			t.Errorf("%s %s: recorded at %q", c.method, c.path, got("time"))
		}
	}
	for _, secret := range []string{good, unverified, dead, "secret-query"} {
		if strings.Contains(log.String(), secret) {
			t.Errorf("the log holds %.20q", secret)
		}
	}
}

// A token is neither in what a gateway says to the broker nor in what it leaves
// in Redis, by itself or as something it could be found by.
func TestPipeline_S_T17_tokens_are_not_in_NATS_Redis_or_the_log(t *testing.T) {
	w, log := recorded(t)
	var said book
	if _, err := w.bus.Subscribe(w.cfg.NATS.Prefix+".>", func(m bus.Message) { _, _ = io.WriteString(&said, m.Subject+" "+string(m.Data)+"\n") }); err != nil {
		t.Fatal(err)
	}
	good := w.token(func(c *contract.Claims) { c.Roles = []string{"user", "admin"} })
	for _, path := range []string{"/api/orders/x", "/api/limited-user/x", "/api/limited/x", "/api/orders/admin/x", "/auth/me"} {
		w.do("GET", path, bearer+good)
		w.do("GET", path, "Cookie: __Host-access="+good)
		w.do("GET", path, bearer+good[:len(good)-4]+"abcd")
	}
	w.silence(true) // so that Redis is asked
	w.until("Redis is asked", func() bool {
		return strings.Contains(w.metrics(), `gatehouse_revocation_degraded_checks_total{outcome="view"}`) || w.ask503(good)
	})
	w.silence(false)
	w.stop() // the gateway tells of what it has not told of yet
	w.until("the gateway has reported", func() bool { return strings.Contains(said.String(), w.bus.Subjects().Report(w.cfg.NodeID)) })

	client, err := revocation.NewRedisClient(w.cfg.RedisURL)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = client.Close() }()
	var left strings.Builder
	keys, err := client.Keys(t.Context(), "*").Result()
	if err != nil || len(keys) == 0 {
		t.Fatalf("%d keys in Redis, so this test proves nothing: %v", len(keys), err)
	}
	for _, key := range keys {
		left.WriteString(key + " " + client.Get(t.Context(), key).Val() + "\n")
		for field, value := range client.HGetAll(t.Context(), key).Val() {
			left.WriteString(field + " " + value + "\n")
		}
	}
	sum := sha256.Sum256([]byte(good))
	signature := good[strings.LastIndexByte(good, '.')+1:]
	for where, text := range map[string]string{"NATS": said.String(), "Redis": left.String(), "the log": log.String()} {
		for what, secret := range map[string]string{
			"the token": good, "its signature": signature, "its hash": hex.EncodeToString(sum[:]),
			"its hash in base64": base64.RawStdEncoding.EncodeToString(sum[:]), "its hash in base64url": base64.RawURLEncoding.EncodeToString(sum[:]), "its hash in octets": string(sum[:]),
		} {
			if strings.Contains(text, secret) {
				t.Errorf("%s holds %s", where, what)
			}
		}
	}
}

// ask503 makes a request that a stale view cannot answer.
func (w *world) ask503(raw string) bool {
	res, _ := w.do("GET", "/api/orders/admin/x", bearer+raw)
	return res.StatusCode == http.StatusServiceUnavailable
}

// metrics reads the gateway's figures.
func (w *world) metrics() string {
	w.t.Helper()
	res, err := w.client.Get("http://" + w.app.OpsAddr() + "/metrics")
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	body, _ := io.ReadAll(res.Body)
	return string(body)
}
