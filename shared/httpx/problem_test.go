package httpx_test

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gatehouse.internal/shared/fault"
	"gatehouse.internal/shared/httpx"
)

var update = flag.Bool("update", false, "write the golden files")

// kinds reads all kinds of failure from the source of package fault, so that
// a new one cannot be forgotten here.
func kinds(t *testing.T) []fault.Kind {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "../fault/fault.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var out []fault.Kind
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if name, ok := spec.Type.(*ast.Ident); ok && name.Name == "Kind" {
			text, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, fault.Kind(text))
		}
		return true
	})
	if len(out) < 30 {
		t.Fatalf("only %d kinds found", len(out))
	}
	return out
}

// answerTo gives what a caller sees of an error.
func answerTo(err error) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodGet, "/", http.NoBody)
	httpx.WriteProblem(w, r.WithContext(httpx.WithRequestID(r.Context(), "req-1")), err)
	return w
}

func TestWriteProblem_every_kind_looks_as_it_always_did(t *testing.T) {
	var all strings.Builder
	for _, kind := range kinds(t) {
		w := answerTo(fault.Wrap(kind, "The detail.", errors.New("the cause")))
		fmt.Fprintf(&all, "%s\n%d\n", kind, w.Code)
		for _, name := range []string{"Content-Type", "Cache-Control", "WWW-Authenticate", "Retry-After", "RateLimit-Remaining", "RateLimit-Reset", "Connection"} {
			if value := w.Header().Get(name); value != "" {
				fmt.Fprintf(&all, "%s: %s\n", name, value)
			}
		}
		all.WriteString(w.Body.String() + "\n\n")
	}
	const golden = "testdata/problems.golden"
	if *update {
		if err := os.WriteFile(golden, []byte(all.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), all.String()); diff != "" {
		t.Errorf("answers have changed (-want +got); if that is right, run with -update:\n%s", diff)
	}
}

func TestProblemFor_every_kind_is_in_the_table(t *testing.T) {
	for _, kind := range kinds(t) {
		p := httpx.ProblemFor(fault.New(kind, "x"))
		if p.Code != kind || p.Status < 400 || p.Title == "" || p.Type != "urn:gatehouse:problem:"+string(kind) {
			t.Errorf("%s becomes %+v", kind, p)
		}
	}
}

func TestProblemFor_what_is_not_classified_shows_nothing(t *testing.T) {
	for _, err := range []error{
		errors.New("pq: password authentication failed for user hunter2"),
		fault.Wrap(fault.Internal, "hunter2", errors.New("hunter2")),
		fault.New("made_up_kind", "hunter2"),
		fmt.Errorf("wrap: %w", errors.New("hunter2")),
	} {
		w := answerTo(err)
		if w.Code != http.StatusInternalServerError || strings.Contains(w.Body.String(), "hunter2") {
			t.Errorf("%v becomes %d %s", err, w.Code, w.Body)
		}
	}
}

func TestWriteProblem_headers(t *testing.T) {
	for _, c := range []struct {
		name string
		err  error
		want map[string]string
	}{
		{"S-B3 a missing token gets no error code", fault.New(fault.TokenMissing, ""), map[string]string{"WWW-Authenticate": "Bearer"}},
		{"S-B3 wrong credentials get no error code", fault.New(fault.InvalidCredentials, ""), map[string]string{"WWW-Authenticate": "Bearer"}},
		{"S-B4 a revoked token is an invalid token", fault.New(fault.TokenRevoked, ""), map[string]string{"WWW-Authenticate": `Bearer error="invalid_token"`}},
		{"S-B4 an expired token is an invalid token", fault.New(fault.TokenExpired, ""), map[string]string{"WWW-Authenticate": `Bearer error="invalid_token"`}},
		{"S-B7 a node that cannot know says when to ask again", fault.New(fault.RevocationStateUnknown, ""), map[string]string{"Retry-After": "1", "WWW-Authenticate": ""}},
		{"the time to wait is rounded up", &fault.Error{Kind: fault.RateLimited, RetryAfter: 1100 * time.Millisecond},
			map[string]string{"Retry-After": "2", "RateLimit-Remaining": "0", "RateLimit-Reset": "2"}},
		{"any kind can say when to try again", &fault.Error{Kind: fault.Conflict, RetryAfter: time.Minute}, map[string]string{"Retry-After": "60"}},
		{"other kinds say nothing about it", fault.New(fault.Conflict, ""), map[string]string{"Retry-After": ""}},
	} {
		t.Run(c.name, func(t *testing.T) {
			header := answerTo(c.err).Header()
			for name, want := range c.want {
				if got := header.Get(name); got != want {
					t.Errorf("%s is %q, want %q", name, got, want)
				}
			}
		})
	}
}

func TestWriteProblem_takes_back_the_headers_of_the_other_answer(t *testing.T) {
	w := httptest.NewRecorder()
	for _, name := range []string{"Content-Length", "Content-Encoding", "ETag", "Last-Modified", "Content-Disposition", "Set-Cookie", "RateLimit-Limit"} {
		w.Header().Set(name, "x")
	}
	w.Header().Set("RateLimit-Reset", "7")
	httpx.WriteProblem(w, httptest.NewRequest(http.MethodGet, "/", http.NoBody), &fault.Error{Kind: fault.RateLimited, RetryAfter: time.Hour})
	var left []string
	for name := range w.Header() {
		left = append(left, name)
	}
	slices.Sort(left)
	want := []string{"Cache-Control", "Content-Length", "Content-Type", "Ratelimit-Limit", "Ratelimit-Reset", "Retry-After", "Set-Cookie"}
	if diff := cmp.Diff(want, left); diff != "" {
		t.Errorf("headers (-want +got):\n%s", diff)
	}
	if got := w.Header().Get("RateLimit-Reset"); got != "7" {
		t.Errorf("RateLimit-Reset is %s; what the limiter said must stay", got)
	}
}

func TestWriteProblem_keeps_challenges_of_other_schemes(t *testing.T) {
	for given, want := range map[string][]string{
		`Basic realm="gatehouse"`: {`Basic realm="gatehouse"`, "Bearer"},
		`bearer realm="x"`:        {`bearer realm="x"`},
	} {
		w := httptest.NewRecorder()
		w.Header().Set("WWW-Authenticate", given)
		httpx.WriteProblem(w, httptest.NewRequest(http.MethodGet, "/", http.NoBody), fault.New(fault.InvalidCredentials, ""))
		if diff := cmp.Diff(want, w.Header().Values("WWW-Authenticate")); diff != "" {
			t.Errorf("challenges (-want +got):\n%s", diff)
		}
	}
}

func TestWriteProblem_HEAD_has_no_body(t *testing.T) {
	w := httptest.NewRecorder()
	httpx.WriteProblem(w, httptest.NewRequest(http.MethodHead, "/", http.NoBody), fault.New(fault.NotFound, ""))
	if w.Code != http.StatusNotFound || w.Body.Len() > 0 {
		t.Errorf("got %d with %q", w.Code, w.Body)
	}
}

func TestWriteProblem_further_members(t *testing.T) {
	w := answerTo(&fault.Error{Kind: fault.MFARequired, Extra: map[string]any{
		"mfa_token": "t", "methods": []string{"totp"}, "status": 200, "code": "other",
	}, Fields: []fault.Field{{Field: "code", Message: "is needed"}}})
	var got map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"type": "urn:gatehouse:problem:mfa_required", "title": "Second factor required", "status": 403.0, "code": "mfa_required",
		"detail":     "Second factor required.",
		"request_id": "req-1", "mfa_token": "t", "methods": []any{"totp"},
		"errors": []any{map[string]any{"field": "code", "message": "is needed"}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("document (-want +got):\n%s", diff)
	}
}

func TestWriteProblem_a_member_that_JSON_cannot_hold_is_left_out(t *testing.T) {
	w := answerTo(&fault.Error{Kind: fault.Conflict, Detail: "d", Extra: map[string]any{"f": func() {}}})
	if !json.Valid(w.Body.Bytes()) || !strings.Contains(w.Body.String(), `"code":"conflict"`) {
		t.Errorf("got %s", w.Body)
	}
}
