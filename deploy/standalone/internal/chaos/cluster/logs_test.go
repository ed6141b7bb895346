package cluster

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestProcess_a_log_is_bounded_and_its_end_is_kept(t *testing.T) {
	p := &Process{logFile: filepath.Join(t.TempDir(), "x.log")}
	log, err := os.OpenFile(p.logFile, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = log.Close() }()
	for _, c := range []struct{ add, want, old string }{
		{strings.Repeat("a", 100), strings.Repeat("a", 100), ""},
		{strings.Repeat("b", 60), "", strings.Repeat("b", 25)},
		{"c", "c", strings.Repeat("b", 25)}, // whoever has it open goes on at its end
	} {
		if _, err := log.WriteString(c.add); err != nil {
			t.Fatal(err)
		}
		if err := p.boundLog(100); err != nil {
			t.Fatal(err)
		}
		old, _ := os.ReadFile(p.logFile + ".old") // there is none at first
		if got := p.Log(1000); got != c.want || string(old) != c.old {
			t.Errorf("the log is %q, beside it is %q", got, old)
		}
	}
}
