package httpx_test

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/uuid"

	"gatehouse.internal/shared/httpx"
)

// exchange sends bytes and gives everything that comes back.
func exchange(t *testing.T, addr, request string) string {
	t.Helper()
	conn := dial(t, addr)
	if _, err := io.WriteString(conn, request); err != nil {
		t.Fatal(err)
	}
	all, err := io.ReadAll(conn)
	if err != nil {
		t.Fatal(err)
	}
	return string(all)
}

func TestServer_refusals_of_unreadable_requests_are_problems(t *testing.T) {
	server, _ := running(t, newService(httpx.Options{}))
	for name, c := range map[string]struct {
		request string
		status  int
		code    string
	}{
		"a malformed escape":      {"GET /%zz HTTP/1.1\r\nHost: x\r\n\r\n", 400, "malformed_request"},
		"no request at all":       {"hello\r\n\r\n", 400, "malformed_request"},
		"no Host":                 {"GET / HTTP/1.1\r\n\r\n", 400, "malformed_request"},
		"two Hosts":               {"GET / HTTP/1.1\r\nHost: x\r\nHost: y\r\n\r\n", 400, "malformed_request"},
		"a bad Host":              {"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400, "malformed_request"},
		"two lengths":             {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400, "malformed_request"},
		"a length that is none":   {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", 400, "malformed_request"},
		"a bad field name":        {"GET / HTTP/1.1\r\nHost: x\r\nA b: c\r\n\r\n", 400, "malformed_request"},
		"a bad field value":       {"GET / HTTP/1.1\r\nHost: x\r\nA: \x01\r\n\r\n", 400, "malformed_request"},
		"a field without a colon": {"GET / HTTP/1.1\r\nHost: x\r\nA\r\n\r\n", 400, "malformed_request"},
		"headers without end":     {"GET / HTTP/1.1\r\nHost: x\r\nA: " + strings.Repeat("a", 36<<10), 431, "headers_too_large"},
		"an unknown coding":       {"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501, "unsupported_transfer_coding"},
		"no chunked coding":       {"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: identity\r\n\r\n", 400, "malformed_request"},
		"both framings":           {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, "malformed_request"},
		"a coding in HTTP/1.0":    {"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400, "malformed_request"},
		"a folded field":          {"GET / HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\n\r\n", 400, "malformed_request"},
		"a bare LF":               {"GET / HTTP/1.1\nHost: x\n\n", 400, "malformed_request"},
		"a target without end":    {"GET /" + strings.Repeat("a", 36<<10), 414, "uri_too_long"},
		"another version":         {"GET / HTTP/2.0\r\nHost: x\r\n\r\n", 505, "unsupported_http_version"},
		"after a good request":    {"GET /no HTTP/1.1\r\nHost: x\r\n\r\nGET /%zz HTTP/1.1\r\nHost: x\r\n\r\n", 400, "malformed_request"},
	} {
		t.Run(name, func(t *testing.T) {
			all := exchange(t, server.Addr(), c.request)
			if last := strings.LastIndex(all, "HTTP/1.1 "); last > 0 { // behind the answer to the good request
				all = all[last:]
			}
			answer, body := answerOn(t, strings.NewReader(all))
			if answer.StatusCode != c.status || answer.Header.Get("Content-Type") != httpx.MediaTypeProblem || !answer.Close {
				t.Errorf("got %d %v", answer.StatusCode, answer.Header)
			}
			var problem struct {
				Type, Title, Detail, Code string
				Status                    int
				RequestID                 string `json:"request_id"`
			}
			if err := json.Unmarshal([]byte(body), &problem); err != nil {
				t.Fatalf("%v: %q", err, body)
			}
			if problem.Status != c.status || problem.Code != c.code || problem.Type == "" || problem.Title == "" || problem.Detail == "" {
				t.Errorf("got %s", body)
			}
			id := answer.Header.Values("X-Request-Id")
			if len(id) != 1 || id[0] != problem.RequestID || uuid.Validate(id[0]) != nil {
				t.Errorf("request id %q, in the document %q", id, problem.RequestID)
			}
			for _, field := range []string{"Date", "X-Content-Type-Options", "X-Frame-Options", "Referrer-Policy", "Content-Security-Policy"} {
				if answer.Header.Get(field) == "" {
					t.Errorf("S-P18 no %s", field)
				}
			}
			if answer.Header.Get("Cache-Control") != "no-store" {
				t.Errorf("it may be kept: %v", answer.Header)
			}
		})
	}
}

// What handlers write is theirs, however much it looks like a refusal.
func TestServer_answers_of_handlers_are_left_alone(t *testing.T) {
	const fields = "Content-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n"
	raw := map[string]string{
		"/other-body":   "HTTP/1.1 400 Bad Request\r\n" + fields + "500 Oh",
		"/more-fields":  "HTTP/1.1 400 Bad Request\r\nDate: x\r\n" + fields + "400 Bad Request",
		"/good":         "HTTP/1.1 200 OK\r\n" + fields + "200 OK",
		"/short":        "HTTP/1.1 4",
		"/no-status":    "HTTP/1.1 4x\r\n" + fields + "4x",
		"/empty-status": "HTTP/1.1 \r\n" + fields,
		"/no-http":      "4",
		"/long":         "HTTP/1.1 400 " + strings.Repeat("a", 600) + "\r\n" + fields + "400 " + strings.Repeat("a", 600),
	}
	server, _ := running(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		text, takenOver := raw[r.URL.Path]
		if !takenOver {
			w.Header().Set("Connection", "close")
			w.Header().Set("Content-Type", "text/plain; charset=utf-8")
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, "400 Bad Request")
			return
		}
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer func() { _ = conn.Close() }()
		if n, err := io.WriteString(conn, text); n != len(text) || err != nil {
			t.Errorf("wrote %d, %v", n, err)
		}
	}))
	for path, want := range raw {
		if got := exchange(t, server.Addr(), "GET "+path+" HTTP/1.1\r\nHost: x\r\n\r\n"); got != want {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
	answer, body := answerOn(t, strings.NewReader(exchange(t, server.Addr(), "GET / HTTP/1.1\r\nHost: x\r\n\r\n")))
	if answer.StatusCode != 400 || answer.Header.Get("Content-Type") != "text/plain; charset=utf-8" || body != "400 Bad Request" || answer.Header.Get("Date") == "" {
		t.Errorf("got %d %v %q", answer.StatusCode, answer.Header, body)
	}
}

// net/http, and whoever takes a connection over, find what a TCP connection
// has: without ReadFrom, files would be copied through memory; without
// CloseWrite, a client that still sends would not see why it is refused.
func TestServer_connections_are_TCP_connections(t *testing.T) {
	content := strings.Repeat("0123456789abcdef", 64<<10)
	name := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	server, _ := running(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/file" {
			http.ServeFile(w, r, name)
			return
		}
		conn, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer func() { _ = conn.Close() }()
		if _, ok := conn.(io.ReaderFrom); !ok {
			t.Error("there is no ReadFrom")
		}
		half, ok := conn.(interface{ CloseWrite() error })
		if !ok {
			t.Error("there is no CloseWrite")
			return
		}
		if err := half.CloseWrite(); err != nil {
			t.Error(err)
		}
	}))
	answer, err := get(t, "http://"+server.Addr()+"/file")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	if got, err := io.ReadAll(answer.Body); err != nil || string(got) != content {
		t.Errorf("%d bytes of the file, %v", len(got), err)
	}
	if got := exchange(t, server.Addr(), "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); got != "" {
		t.Errorf("got %q", got)
	}
}
