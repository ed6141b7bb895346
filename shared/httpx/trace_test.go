package httpx_test

import (
	"context"
	"regexp"
	"strings"
	"testing"

	"github.com/labstack/echo/v4"

	"gatehouse.internal/shared/httpx"
)

var traceParent = regexp.MustCompile(`^00-([0-9a-f]{32})-([0-9a-f]{16})-(0[01])$`)

// traceOf gives the traceparent that a handler sends on.
func traceOf(t *testing.T, header ...string) string {
	t.Helper()
	s := newService(httpx.Options{})
	var got string
	s.GET("/x", func(c echo.Context) error {
		got = httpx.TraceParent(c.Request().Context())
		if id := httpx.TraceID(c.Request().Context()); !strings.Contains(got, "-"+id+"-") {
			t.Errorf("the id %s is not of %s", id, got)
		}
		return ok(c)
	})
	s.call("GET", "/x", "", header...)
	if !traceParent.MatchString(got) {
		t.Fatalf("got %q", got)
	}
	hasFields(t, s.record(t), map[string]any{"trace_id": traceParent.FindStringSubmatch(got)[1]})
	return got
}

func TestTraceParent(t *testing.T) {
	const id, parent = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
	for _, c := range []struct {
		name, given string
		kept        bool
		flags       string
	}{
		{"a trace is continued", "00-" + id + "-" + parent + "-01", true, "01"},
		{"a trace that is not sampled stays so", "00-" + id + "-" + parent + "-00", true, "00"},
		{"unknown flags are not passed on", "00-" + id + "-" + parent + "-ff", true, "01"},
		{"a later version is read as far as it is known", "01-" + id + "-" + parent + "-01-more", true, "01"},
		{"version 00 has no more", "00-" + id + "-" + parent + "-01-more", false, "00"},
		{"a later version needs a dash", "01-" + id + "-" + parent + "-01more", false, "00"},
		{"version ff is invalid", "ff-" + id + "-" + parent + "-01", false, "00"},
		{"upper case is invalid", "00-" + strings.ToUpper(id) + "-" + parent + "-01", false, "00"},
		{"a trace id of zeros is invalid", "00-" + strings.Repeat("0", 32) + "-" + parent + "-01", false, "00"},
		{"a parent id of zeros is invalid", "00-" + id + "-0000000000000000-01", false, "00"},
		{"what is too short is invalid", "00-" + id, false, "00"},
		{"dashes must be in their places", strings.Repeat("a", 55), false, "00"},
	} {
		t.Run(c.name, func(t *testing.T) {
			parts := traceParent.FindStringSubmatch(traceOf(t, "Traceparent: "+c.given))
			if (parts[1] == id) != c.kept || parts[2] == parent || parts[3] != c.flags {
				t.Errorf("got %v", parts[0])
			}
		})
	}
	t.Run("two headers are none", func(t *testing.T) {
		if got := traceOf(t, "Traceparent: 00-"+id+"-"+parent+"-01", "Traceparent: 00-"+id+"-"+parent+"-01"); strings.Contains(got, id) {
			t.Errorf("got %s", got)
		}
	})
	t.Run("traces differ", func(t *testing.T) {
		if a, b := traceOf(t), traceOf(t); a == b {
			t.Errorf("both are %s", a)
		}
	})
}

func TestTraceParent_outside_of_a_request_there_is_none(t *testing.T) {
	ctx := context.Background()
	if httpx.TraceParent(ctx) != "" || httpx.TraceID(ctx) != "" || httpx.RequestID(ctx) != "" {
		t.Error("there is something")
	}
	httpx.LogUser(ctx, "u") // must do nothing
}

// FuzzTraceParent holds that a handler always sends on a valid header.
func FuzzTraceParent(f *testing.F) {
	f.Add("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
	f.Add("01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-x")
	f.Fuzz(func(t *testing.T, given string) {
		if strings.ContainsAny(given, "\r\n") {
			return // net/http lets no such header in
		}
		traceOf(t, "Traceparent: "+given)
	})
}
