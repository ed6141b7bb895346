package httpx_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/labstack/echo/v4"

	"gatehouse.internal/shared/fault"
	"gatehouse.internal/shared/httpx"
)

// journal is a log that can be read while others write.
type journal struct {
	mu   sync.Mutex
	text strings.Builder
}

func (j *journal) Write(line []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(line)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()
}

// service is an Echo with a log that can be read.
type service struct {
	*echo.Echo
	log *journal
}

func newService(o httpx.Options) *service {
	s := &service{log: new(journal)}
	o.Log = httpx.Log(s.log, "debug")
	s.Echo = httpx.New(o)
	return s
}

// call answers a request made of "Name: value" header lines.
func (s *service) call(method, target, body string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	for _, line := range header {
		name, value, _ := strings.Cut(line, ": ")
		r.Header.Add(name, value)
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w
}

// record is the only log record, which must be there.
func (s *service) record(t *testing.T) map[string]any {
	t.Helper()
	var out map[string]any
	if err := json.Unmarshal([]byte(s.log.String()), &out); err != nil {
		t.Fatalf("the log is not one record: %v\n%s", err, s.log)
	}
	return out
}

// hasFields checks some fields of a record or document.
func hasFields(t *testing.T, got map[string]any, want map[string]any) {
	t.Helper()
	for name, value := range want {
		if fmt.Sprint(got[name]) != fmt.Sprint(value) {
			t.Errorf("%s is %v, want %v", name, got[name], value)
		}
	}
}

func document(t *testing.T, w *httptest.ResponseRecorder) map[string]any {
	t.Helper()
	if got := w.Header().Get("Content-Type"); got != "application/problem+json" {
		t.Errorf("Content-Type is %q", got)
	}
	var out map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &out); err != nil {
		t.Fatalf("not a document: %v\n%s", err, w.Body)
	}
	return out
}

func ok(c echo.Context) error { return c.String(http.StatusOK, "ok") }

func TestNew_unknown_paths_and_methods_are_problems(t *testing.T) {
	s := newService(httpx.Options{})
	s.GET("/x", ok)
	s.POST("/x", ok)
	w := s.call("GET", "/y", "")
	hasFields(t, document(t, w), map[string]any{"code": "route_not_found", "status": 404, "request_id": w.Header().Get("X-Request-Id")})
	if w.Code != http.StatusNotFound {
		t.Errorf("status %d", w.Code)
	}
	w = s.call("DELETE", "/x", "")
	hasFields(t, document(t, w), map[string]any{"code": "method_not_allowed", "status": 405})
	if got := w.Header().Get("Allow"); got != "OPTIONS, GET, POST" {
		t.Errorf("Allow is %q", got)
	}
	if w := s.call("HEAD", "/y", ""); w.Body.Len() > 0 || w.Code != http.StatusNotFound {
		t.Errorf("HEAD gets %d with a body of %d bytes", w.Code, w.Body.Len())
	}
}

func TestNew_errors_of_Echo_are_classified(t *testing.T) {
	for status, want := range map[int]fault.Kind{
		400: fault.Malformed, 401: fault.TokenMissing, 403: fault.InsufficientRole, 404: fault.RouteNotFound,
		405: fault.MethodNotAllowed, 413: fault.PayloadTooLarge, 415: fault.UnsupportedMediaType,
		429: fault.RateLimited, 503: fault.Unavailable, 418: fault.Internal, 500: fault.Internal,
	} {
		err := fmt.Errorf("wrapped: %w", echo.NewHTTPError(status, "hunter2").SetInternal(errors.New("hunter2")))
		p := httpx.ProblemFor(err)
		if p.Code != want || strings.Contains(p.Detail, "hunter2") {
			t.Errorf("%d becomes %s with the detail %q, want %s", status, p.Code, p.Detail, want)
		}
	}
	if p := httpx.ProblemFor(fmt.Errorf("copy: %w", &http.MaxBytesError{Limit: 7})); p.Code != fault.PayloadTooLarge {
		t.Errorf("MaxBytesError becomes %s", p.Code)
	}
}

func TestNew_request_ids(t *testing.T) {
	uuid7 := regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)
	// httptest requests come from 192.0.2.1.
	trust := httpx.Options{TrustRequestID: true, TrustedProxies: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}}
	for _, c := range []struct {
		name    string
		options httpx.Options
		header  []string
		kept    string
	}{
		{"one is made", trust, nil, ""},
		{"that of a trusted proxy is kept", trust, []string{"X-Request-Id: abc-1.2_3"}, "abc-1.2_3"},
		{"that of anybody is not", httpx.Options{TrustRequestID: true}, []string{"X-Request-Id: abc"}, ""},
		{"trust must be wanted", httpx.Options{TrustedProxies: trust.TrustedProxies}, []string{"X-Request-Id: abc"}, ""},
		{"two are none", trust, []string{"X-Request-Id: a", "X-Request-Id: b"}, ""},
		{"S-A1 one that could forge a log line is not kept", trust, []string{"X-Request-Id: a\"}\n{\"b"}, ""},
		{"one that is too long is not kept", trust, []string{"X-Request-Id: " + strings.Repeat("a", 129)}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newService(c.options)
			var inside string
			s.GET("/x", func(c echo.Context) error {
				inside = httpx.RequestID(c.Request().Context())
				return ok(c)
			})
			got := s.call("GET", "/x", "", c.header...).Header().Get("X-Request-Id")
			if c.kept != "" && got != c.kept || c.kept == "" && !uuid7.MatchString(got) {
				t.Errorf("the id is %q", got)
			}
			if inside != got {
				t.Errorf("inside it is %q, outside %q", inside, got)
			}
			hasFields(t, s.record(t), map[string]any{"request_id": got})
		})
	}
}

func TestNew_one_wide_record_per_request(t *testing.T) {
	s := newService(httpx.Options{})
	s.GET("/users/:id", func(c echo.Context) error {
		httpx.LogUser(c.Request().Context(), "u1")
		return fault.Wrap(fault.Unavailable, "The store is away.", errors.New("connection refused"))
	})
	w := s.call("GET", "/users/%0a7?token=hunter2", "")
	hasFields(t, s.record(t), map[string]any{
		"msg": "request", "level": "INFO", "method": "GET", "route": "/users/:id", "path": "/users/%0a7", "status": 503, "user_id": "u1",
		"kind": "service_unavailable", "error": "service_unavailable: The store is away.: connection refused", "client": "192.0.2.1",
		"request_id": w.Header().Get("X-Request-Id"),
	})
	if strings.Contains(s.log.String(), "hunter2") {
		t.Errorf("S-T17 the query is in the log: %s", s.log)
	}
}

func TestNew_the_cause_of_a_callers_own_failure_is_not_logged(t *testing.T) {
	s := newService(httpx.Options{})
	s.GET("/x", func(echo.Context) error {
		return fault.Wrap(fault.InvalidCredentials, "No.", errors.New("no such account: ann@example.com"))
	})
	s.call("GET", "/x", "")
	if strings.Contains(s.log.String(), "ann@") {
		t.Errorf("got %s", s.log)
	}
}

func TestNew_S_A1_a_caller_cannot_forge_a_log_record(t *testing.T) {
	s := newService(httpx.Options{})
	r := httptest.NewRequest(http.MethodGet, "/", http.NoBody)
	r.Method = "GET\n{\"msg\":\"forged\"}"
	r.URL.Path = "/x\r\n{\"msg\":\"forged\"}\x1b[31m" + strings.Repeat("a", 1000)
	s.ServeHTTP(httptest.NewRecorder(), r)
	if lines := strings.Count(s.log.String(), "\n"); lines != 1 {
		t.Fatalf("%d lines:\n%s", lines, s.log)
	}
	if rec := s.record(t); rec["msg"] != "request" || len(rec["path"].(string)) > 600 {
		t.Errorf("got %v", rec)
	}
}

func TestNew_a_panic_is_an_internal_error_without_internals(t *testing.T) {
	s := newService(httpx.Options{})
	s.GET("/x", func(echo.Context) error { panic("hunter2") })
	w := s.call("GET", "/x", "")
	hasFields(t, document(t, w), map[string]any{"code": "internal_error", "status": 500})
	if strings.Contains(w.Body.String(), "hunter2") || strings.Contains(w.Body.String(), "goroutine") {
		t.Errorf("the caller sees %s", w.Body)
	}
	rec := s.record(t)
	hasFields(t, rec, map[string]any{"level": "ERROR", "kind": "internal_error"})
	if text, _ := rec["error"].(string); !strings.Contains(text, "hunter2") || !strings.Contains(text, "echo_test.go") {
		t.Errorf("the log does not tell where it happened: %s", text)
	}
}

func TestNew_an_answer_that_cannot_be_finished_is_cut_off(t *testing.T) {
	for name, fail := range map[string]func(){
		"by a panic":             func() { panic("x") },
		"by an abort":            func() { panic(http.ErrAbortHandler) },
		"by an error afterwards": func() {},
	} {
		t.Run(name, func(t *testing.T) {
			s := newService(httpx.Options{})
			s.GET("/x", func(c echo.Context) error {
				if err := c.String(http.StatusOK, "half"); err != nil {
					return err
				}
				c.Response().Flush()
				fail()
				return errors.New("the rest is missing")
			})
			server := httptest.NewServer(s)
			defer server.Close()
			answer, err := get(t, server.URL+"/x")
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = answer.Body.Close() }()
			if body, err := io.ReadAll(answer.Body); err == nil {
				t.Errorf("the answer looks whole: %q", body)
			}
		})
	}
}

func get(t *testing.T, url string) (*http.Response, error) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	return http.DefaultClient.Do(r)
}

func TestNew_a_problem_written_by_hand_is_not_cut_off(t *testing.T) {
	s := newService(httpx.Options{})
	s.GET("/x", func(c echo.Context) error {
		err := fault.New(fault.Conflict, "Taken.")
		httpx.WriteProblem(c.Response(), c.Request(), err)
		return err
	})
	w := s.call("GET", "/x", "") // an abort would panic through here
	hasFields(t, document(t, w), map[string]any{"code": "conflict"})
	hasFields(t, s.record(t), map[string]any{"kind": "conflict", "status": 409, "aborted": nil})
}

func TestNew_a_caller_who_went_away_is_no_error_of_ours(t *testing.T) {
	s := newService(httpx.Options{})
	s.GET("/x", func(c echo.Context) error { return fmt.Errorf("query: %w", c.Request().Context().Err()) })
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	s.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/x", http.NoBody).WithContext(ctx))
	hasFields(t, s.record(t), map[string]any{"level": "INFO"})
}

func TestNew_a_handler_that_says_nothing_means_200(t *testing.T) {
	s := newService(httpx.Options{})
	s.GET("/x", func(echo.Context) error { return nil })
	if w := s.call("GET", "/x", ""); w.Code != http.StatusOK || w.Header().Get("X-Request-Id") == "" {
		t.Errorf("got %d, %v", w.Code, w.Header())
	}
	hasFields(t, s.record(t), map[string]any{"status": 200})
}

func TestNew_the_zero_options_work(t *testing.T) {
	defer slog.SetDefault(slog.Default())
	slog.SetDefault(slog.New(slog.DiscardHandler))
	e := httpx.New(httpx.Options{})
	e.GET("/x", ok)
	w := httptest.NewRecorder()
	e.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/x", http.NoBody))
	if w.Code != http.StatusOK {
		t.Errorf("status %d", w.Code)
	}
}

func TestNew_what_Echo_itself_says_goes_to_the_log(t *testing.T) {
	s := newService(httpx.Options{})
	s.Logger.Error("something\nodd")
	if lines := strings.Count(s.log.String(), "\n"); lines != 1 || !strings.Contains(s.log.String(), "odd") {
		t.Errorf("got %q", s.log)
	}
}
