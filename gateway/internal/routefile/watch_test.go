package routefile

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse.internal/gateway/internal/route"
)

// TestLoader_Look walks through a file that is written in place while it is
// looked at.
func TestLoader_Look(t *testing.T) {
	name := filepath.Join(t.TempDir(), "r.yaml")
	write := func(content string) {
		t.Helper()
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const good = "upstreams: {a: {targets: [http://a]}}\nroutes: [{name: one, match: {path: /one}, upstream: a, auth: none}]"
	write(good)
	l, err := Open(Config{Paths: []string{name}, Settings: Settings{AuthTargets: []string{"http://a"}, UserTargets: []string{"http://u"}}})
	if err != nil {
		t.Fatal(err)
	}
	l.look()
	count := len(l.Table().Routes())
	for step, c := range []struct {
		content string
		settled bool
		routes  int
	}{
		{good, true, count},
		{"", false, count}, // truncated
		{good[:38], false, count},
		{good, false, count},
		{good, true, count},
		{"routes: []", false, count},
		{"routes: []", true, count - 1}, // empty by intent
	} {
		write(c.content)
		if settled := l.look(); settled != c.settled || len(l.Table().Routes()) != c.routes || l.Problems() != nil {
			t.Errorf("step %d: settled %v with %d routes, %v", step, settled, len(l.Table().Routes()), l.Problems())
		}
	}
}

// TestLoader_Follow writes a file in two steps while it is looked at by the
// clock, with the first step at every phase of the two timers.
func TestLoader_Follow(t *testing.T) {
	const (
		half  = "upstreams: {a: {targets: [http://a]}}\nroutes:\n- {name: one, match: {path: /one}, upstream: a, auth: none}\n"
		whole = half + "- {name: two, match: {path: /two}, upstream: a, auth: none}\n"
		quiet = 300 * time.Millisecond
		poll  = 301 * time.Millisecond // the phases drift
		pause = 120 * time.Millisecond // between the steps
	)
	for _, first := range []string{"", "# routes of a team\n", half} {
		synctest.Test(t, func(t *testing.T) {
			name := filepath.Join(t.TempDir(), "r.yaml")
			write := func(content string) {
				t.Helper()
				if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			write(whole)
			var tables, fewest int
			l, err := Open(Config{
				Paths: []string{name}, Settings: Settings{AuthTargets: []string{"http://a"}, UserTargets: []string{"http://u"}},
				Quiet: quiet, Poll: poll,
				Apply: func(table *route.Table) error {
					tables++
					if n := len(table.Routes()); tables == 1 || n < fewest {
						fewest = n
					}
					return nil
				},
			})
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error, 1)
			go func() { done <- l.follow(ctx, nil) }()
			count := len(l.Table().Routes())
			for range 40 {
				write(first)
				time.Sleep(pause)
				write(whole)
				time.Sleep(337 * time.Millisecond)
			}
			if fewest != count || len(l.Table().Routes()) != count {
				t.Errorf("first %q: a table of %d routes was served, not %d", first, fewest, count)
			}
			write(half)
			time.Sleep(poll + 2*quiet)
			if got := len(l.Table().Routes()); got != count-1 {
				t.Errorf("a change that stayed: %d routes, want %d", got, count-1)
			}
			write("")
			time.Sleep(time.Hour)
			if got := len(l.Table().Routes()); got != count-1 || l.Problems() == nil {
				t.Errorf("an empty file left %d routes, want %d; problems %v", got, count-1, l.Problems())
			}
			cancel()
			if err := <-done; err != nil {
				t.Error(err)
			}
		})
	}
}
