package routefile

import (
	"os"
	"path/filepath"
	"testing"
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
		{"", false, count}, // truncated: it would be a table without the route
		{good[:38], false, count},
		{good, false, count},
		{good, true, count},
		{"", false, count},
		{"", true, count - 1}, // empty by intent
	} {
		write(c.content)
		if settled := l.look(); settled != c.settled || len(l.Table().Routes()) != c.routes || l.Problems() != nil {
			t.Errorf("step %d: settled %v with %d routes, %v", step, settled, len(l.Table().Routes()), l.Problems())
		}
	}
}
