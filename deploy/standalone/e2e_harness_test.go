package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// The end-to-end tests speak HTTP and nothing else. By themselves they start
// the standalone with three gateways; with GATEHOUSE_E2E_URLS (the gateways,
// separated by commas), GATEHOUSE_E2E_ADMIN_EMAIL and
// GATEHOUSE_E2E_ADMIN_PASSWORD they run against a deployment that stands
// already, such as that of "make up" with GATEWAY_CREDENTIAL_LIMIT=0 and
// AUTH_LIMIT_LETTERS_FROM=none.

const (
	goodPassword  = "a rather long passphrase 77"
	otherPassword = "the next long passphrase 78"
)

// deployment is a system under test.
type deployment struct {
	urls          []string
	adminEmail    string
	adminPassword string
	log           *lockedBuffer // what it has logged; nil if it was not started here
	client        *http.Client
}

// shared is started once for all tests of the package.
var shared struct {
	once sync.Once
	d    *deployment
	err  error
	stop func() error
}

// e2e gives the system under test, started by the first test that asks.
func e2e(t testing.TB) *deployment {
	t.Helper()
	shared.once.Do(func() { shared.d, shared.stop, shared.err = openDeployment() })
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	return shared.d
}

func TestMain(m *testing.M) {
	code := m.Run()
	if shared.stop != nil {
		if err := shared.stop(); err != nil {
			fmt.Fprintln(os.Stderr, "the system did not stop cleanly:", err)
			code = 1
		}
	}
	os.Exit(code)
}

func openDeployment() (*deployment, func() error, error) {
	if urls := os.Getenv("GATEHOUSE_E2E_URLS"); urls != "" {
		d := newDeployment(strings.Split(urls, ","))
		d.adminEmail, d.adminPassword = os.Getenv("GATEHOUSE_E2E_ADMIN_EMAIL"), os.Getenv("GATEHOUSE_E2E_ADMIN_PASSWORD")
		return d, nil, nil
	}
	data, err := os.MkdirTemp("", "gatehouse-e2e-")
	if err != nil {
		return nil, nil, err
	}
	d, stop, err := startInProcess("-data", data)
	return d, func() error {
		defer os.RemoveAll(data) //nolint:errcheck // a leftover in the temporary folder harms nobody
		return stop()
	}, err
}

func newDeployment(urls []string) *deployment {
	return &deployment{
		urls: urls,
		client: &http.Client{
			Timeout:   20 * time.Second,
			Transport: &http.Transport{MaxIdleConnsPerHost: 256, DisableCompression: true},
			CheckRedirect: func(*http.Request, []*http.Request) error {
				return http.ErrUseLastResponse
			},
		},
	}
}

// startInProcess runs the standalone program in this process, so that the race
// detector watches all three services, and waits for its ready line.
func startInProcess(more ...string) (*deployment, func() error, error) {
	addrs, err := consecutive(context.Background(), "127.0.0.1:0", 3)
	if err != nil {
		return nil, nil, err
	}
	args := append([]string{
		"-addr", addrs[0], "-ops-addr", "127.0.0.1:0", "-gateways", "3", "-credential-limit", "0",
		"-admin-email", "root@example.com", "-admin-password", "correct horse battery staple 9", "-log-level", "debug",
	}, more...)
	ctx, cancel := context.WithCancel(context.Background())
	output, input := io.Pipe()
	log := &lockedBuffer{}
	ended := make(chan error, 1)
	go func() {
		err := run(ctx, args, nil, input, log)
		_ = input.CloseWithError(io.EOF) // never fails (io.PipeWriter)
		ended <- err
	}()
	stop := func() error { cancel(); return <-ended }
	lines := bufio.NewScanner(output)
	for lines.Scan() {
		if strings.HasPrefix(lines.Text(), "gatehouse ready: ") {
			go func() { _, _ = io.Copy(io.Discard, output) }() // ends with run
			d := newDeployment(nil)
			for _, addr := range addrs {
				d.urls = append(d.urls, "http://"+addr)
			}
			d.adminEmail, d.adminPassword, d.log = "root@example.com", "correct horse battery staple 9", log
			return d, stop, nil
		}
	}
	return nil, nil, fmt.Errorf("the standalone did not get ready: %w\n%s", stop(), log.String())
}

// lockedBuffer keeps a log that is written while it is read.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// call is a request to one of the gateways.
type call struct {
	method, path string
	node         int
	token        string      // Authorization: Bearer, unless empty
	body         any         // sent as JSON, unless nil
	raw          string      // sent as it is, if body is nil
	header       http.Header // further header fields
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   []byte
	json   map[string]any
}

func (a answer) text(name string) string { s, _ := a.json[name].(string); return s }

func (a answer) code() string { return a.text("code") }

func (a answer) items() []map[string]any {
	var out []map[string]any
	list, _ := a.json["items"].([]any)
	for _, item := range list {
		if m, ok := item.(map[string]any); ok {
			out = append(out, m)
		}
	}
	return out
}

// try makes a call and gives its answer, or an error if there is none.
func (d *deployment) try(ctx context.Context, c call) (answer, error) {
	body := c.raw
	if c.body != nil {
		encoded, err := json.Marshal(c.body)
		if err != nil {
			return answer{}, err
		}
		body = string(encoded)
	}
	request, err := http.NewRequestWithContext(ctx, c.method, d.urls[c.node%len(d.urls)]+c.path, strings.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	for name, values := range c.header {
		request.Header[name] = slices.Clone(values)
	}
	if c.body != nil && request.Header.Get("Content-Type") == "" {
		request.Header.Set("Content-Type", "application/json")
	}
	if c.token != "" {
		request.Header.Set("Authorization", "Bearer "+c.token)
	}
	response, err := d.client.Do(request)
	if err != nil {
		return answer{}, err
	}
	content, err := io.ReadAll(response.Body)
	if err := cmpErr(err, response.Body.Close()); err != nil {
		return answer{}, err
	}
	a := answer{status: response.StatusCode, header: response.Header, body: content}
	_ = json.Unmarshal(content, &a.json) // an answer that is not an object has no members to look at
	return a, nil
}

func cmpErr(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// do makes a call that must be answered.
func (d *deployment) do(t testing.TB, c call) answer {
	t.Helper()
	a, err := d.try(t.Context(), c)
	if err != nil {
		t.Fatalf("%s %s: %v", c.method, c.path, err)
	}
	return a
}

// want makes a call and checks the status, and for a problem its code and form.
func (d *deployment) want(t testing.TB, c call, status int, code string) answer {
	t.Helper()
	a := d.do(t, c)
	if a.status != status || code != "" && a.code() != code {
		t.Errorf("%s %s on node %d: %d %s, want %d %s; body %.300s", c.method, c.path, c.node, a.status, a.code(), status, code, a.body)
	}
	if a.header.Get("X-Request-Id") == "" {
		t.Errorf("%s %s: no X-Request-Id", c.method, c.path)
	}
	if a.status >= 400 {
		checkProblem(t, c, a)
	}
	return a
}

// checkProblem holds an error answer to the contract (RFC 9457).
func checkProblem(t testing.TB, c call, a answer) {
	t.Helper()
	at := c.method + " " + c.path
	if got := a.header.Get("Content-Type"); got != "application/problem+json" {
		t.Errorf("%s: Content-Type %q, want application/problem+json", at, got)
	}
	if status, _ := a.json["status"].(float64); int(status) != a.status {
		t.Errorf("%s: the problem says status %v, the answer has %d", at, a.json["status"], a.status)
	}
	for _, member := range []string{"type", "title", "code", "request_id"} {
		if a.text(member) == "" {
			t.Errorf("%s: the problem has no %s: %s", at, member, a.body)
		}
	}
	if challenge := a.header.Get("WWW-Authenticate"); a.status == http.StatusUnauthorized && !strings.HasPrefix(challenge, "Bearer") {
		t.Errorf("%s: WWW-Authenticate %q, want Bearer (RFC 6750)", at, challenge)
	}
}

var userCount atomic.Int64

// user is an account under test.
type user struct{ email, password string }

// register makes an account with an address of its own, and verifies it.
func (d *deployment) register(t testing.TB, verified bool) user {
	t.Helper()
	u := user{fmt.Sprintf("user-%d-%d@example.com", time.Now().UnixNano(), userCount.Add(1)), goodPassword}
	d.want(t, call{method: "POST", path: "/auth/register", body: map[string]any{
		"email": u.email, "password": u.password, "first_name": "Ada", "last_name": "Lovelace",
	}}, http.StatusAccepted, "")
	if verified {
		d.want(t, call{method: "POST", path: "/auth/email/verify", body: map[string]any{"token": d.mailedToken(t, u.email)}}, http.StatusNoContent, "")
	}
	return u
}

var tokenInMail = regexp.MustCompile(`token=([A-Za-z0-9_.~%-]+)`)

// letters gives the mails to an address, newest first, once there are n.
func (d *deployment) letters(t testing.TB, to string, n int) []map[string]any {
	t.Helper()
	var found []map[string]any
	eventually(t, fmt.Sprintf("%d letters to %s", n, to), 10*time.Second, func() bool {
		a := d.do(t, call{method: "GET", path: "/dev/mail"})
		var all []map[string]any
		if err := json.Unmarshal(a.body, &all); err != nil {
			t.Fatalf("mailbox: %v in %.200s", err, a.body)
		}
		found = nil
		for _, letter := range all {
			if strings.Contains(fmt.Sprint(letter["to"]), to) {
				found = append(found, letter)
			}
		}
		return len(found) >= n
	})
	return found
}

// mailedToken gives the token in the newest letter to an address.
func (d *deployment) mailedToken(t testing.TB, to string) string {
	t.Helper()
	return tokenIn(t, d.letters(t, to, 1)[0])
}

func tokenIn(t testing.TB, letter map[string]any) string {
	t.Helper()
	match := tokenInMail.FindStringSubmatch(fmt.Sprint(letter["text"]))
	if match == nil {
		t.Fatalf("no token in the letter %q", letter["subject"])
	}
	token, err := url.QueryUnescape(match[1])
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// session is what a sign-in gave.
type session struct{ access, refresh, id, userID string }

func sessionOf(t testing.TB, a answer) session {
	t.Helper()
	profile, _ := a.json["user"].(map[string]any)
	userID, _ := profile["id"].(string)
	s := session{a.text("access_token"), a.text("refresh_token"), a.text("session_id"), userID}
	if s.access == "" || s.refresh == "" || s.id == "" || s.userID == "" {
		t.Fatalf("not a token answer: %d %.200s", a.status, a.body)
	}
	return s
}

func (d *deployment) login(t testing.TB, u user) session {
	t.Helper()
	return sessionOf(t, d.want(t, call{method: "POST", path: "/auth/login", body: map[string]any{"email": u.email, "password": u.password}}, http.StatusOK, ""))
}

func (d *deployment) admin(t testing.TB) session {
	t.Helper()
	return d.login(t, user{d.adminEmail, d.adminPassword})
}

// everyNode makes the same call on each gateway.
func (d *deployment) everyNode(t testing.TB, c call, status int, code string) {
	t.Helper()
	for c.node = range d.urls {
		d.want(t, c, status, code)
	}
}

// eventually waits for a condition.
func eventually(t testing.TB, what string, within time.Duration, condition func() bool) {
	t.Helper()
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	deadline := time.After(within)
	for !condition() {
		select {
		case <-ticker.C:
		case <-deadline:
			t.Fatalf("not within %v: %s", within, what)
		}
	}
}

// rawGet sends a path as it is, which net/http's client would not, and gives
// the status of the answer.
func rawGet(t testing.TB, d *deployment, path, token string) int {
	t.Helper()
	host := strings.TrimPrefix(d.urls[0], "http://")
	conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", host)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close() //nolint:errcheck // only read from
	if err := conn.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\nConnection: close\r\n\r\n", path, host, token); err != nil {
		t.Fatal(err)
	}
	response, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	return errStatus(t, response)
}

func errStatus(t testing.TB, response *http.Response) int {
	t.Helper()
	if err := response.Body.Close(); err != nil {
		t.Fatal(err)
	}
	return response.StatusCode
}
