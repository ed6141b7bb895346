package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse.internal/auth-service/authapp"
	"gatehouse.internal/shared/config"
)

// TestReadme_S_A3 holds the README's table of limits to the constants that it is
// about: each dependency has a row, and each figure is the one in use.
func TestReadme_S_A3_the_limits_of_every_dependency_are_the_real_ones(t *testing.T) {
	table := section(t, "## Operations")
	_, table, found := strings.Cut(table, "\n### Limits and timeouts\n")
	if !found {
		t.Fatal("the README's operations have no limits and timeouts")
	}
	table, _, _ = strings.Cut(table, "\n### ")
	rows := map[string]string{}
	for line := range strings.Lines(table) {
		if cells := strings.Split(line, "|"); len(cells) == 5 {
			if slices.ContainsFunc(cells[1:4], func(cell string) bool { return strings.TrimSpace(cell) == "" }) {
				t.Errorf("a cell is empty in %s", line)
			}
			rows[strings.TrimSpace(cells[1])] = line
		}
	}
	for _, c := range []struct{ row, says, file, constant string }{
		{"PostgreSQL", "connect 5 s", "shared/sqldb/postgres.go", `connectTimeout\s+= 5 \* time\.Second`},
		{"PostgreSQL", "statement 10 s", "shared/sqldb/postgres.go", `statementTimeout\s+= 10 \* time\.Second`},
		{"PostgreSQL", "kept for 5 minutes of rest", "shared/sqldb/sqldb.go", `connIdleTime\s+= 5 \* time\.Minute`},
		{"NATS", "connect 1 s", "shared/bus/bus.go", `connectTimeout\s+= time\.Second`},
		{"NATS", "write 1 s", "shared/bus/bus.go", `writeTimeout\s+= time\.Second`},
		{"NATS", "ping every second, dead after 2", "shared/bus/bus.go", `pingInterval\s+= time\.Second\n\s+maxPings\s+= 2`},
		{"NATS", "calls 5 s", "shared/bus/bus.go", `callTimeout\s+= 5 \* time\.Second`},
		{"Redis, second opinion", "50 ms; after a failure it rests 250 ms", "shared/revocation/redis.go", `askTimeout\s+= 50 \* time\.Millisecond\n\s+askRest\s+= 250 \* time\.Millisecond`},
		{"Redis, second opinion", "256 questions at once", "shared/revocation/redis.go", `maxAtOnce\s+= 256`},
		{"Redis, rate limits", "50 ms", "gateway/internal/limit/limiter.go", `DefaultBudget\s+= 50 \* time\.Millisecond`},
		{"Redis, wrong passwords", "100 ms", "auth-service/internal/throttle/throttle.go", `DefaultBudget\s+= 100 \* time\.Millisecond`},
		{"revocations", "waits 250 ms at most", "auth-service/internal/sequencer/wake.go", `answerBound\s+= 250 \* time\.Millisecond`},
		{"revocations", "a round of the sequencer 2 s", "auth-service/internal/sequencer/sequencer.go", `roundTimeout\s+= 2 \* time\.Second`},
		{"revocations", "the stream keeps 2 h", "auth-service/internal/sequencer/stream.go", `streamAge\s+= 2 \* time\.Hour`},
		{"mail server", "20 s a letter", "auth-service/internal/mail/smtp.go", `conversation\s+= 20 \* time\.Second`},
		{"key set (gateway, user-service)", "fetched every 5 minutes", "shared/token/remote.go", `DefaultRefreshEvery\s+= 5 \* time\.Minute`},
		{"key set (gateway, user-service)", "serves for 24 h", "shared/token/remote.go", `DefaultMaxAge\s+= 24 \* time\.Hour`},
		{"key set (gateway, user-service)", "they wait 0.8 s", "shared/token/search.go", `searchTimeout\s+= 800 \* time\.Millisecond`},
	} {
		text, err := os.ReadFile(filepath.Join("..", "..", c.file))
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(rows[c.row], c.says) {
			t.Errorf("the README's row of %s does not say %q", c.row, c.says)
		}
		if !regexp.MustCompile(c.constant).Match(text) {
			t.Errorf("the README's row of %s says %q, and %s has it no longer", c.row, c.says, c.file)
		}
	}
	for _, row := range []string{"SQLite", "account events", "upstreams", "clients", "password hashing", "rate limits"} {
		if rows[row] == "" {
			t.Errorf("the README's limits have no row of %s", row)
		}
	}
}

// The grace interval of refresh tokens is a window for thieves: what it is by
// default and at most is published, and it can be none.
func TestReadme_S_R3_the_grace_interval_is_published(t *testing.T) {
	row := ""
	for line := range strings.Lines(section(t, "## Settings")) {
		if strings.HasPrefix(line, "| `AUTH_REFRESH_GRACE` |") {
			row = line
		}
	}
	if !strings.Contains(row, "`60s`") || !strings.Contains(row, "0 is none") || !strings.Contains(row, "10 minutes at most") {
		t.Errorf("the README says of the grace interval: %q", row)
	}
	if d := authapp.Defaults(); d.RefreshGrace != time.Minute {
		t.Errorf("by default it is %v", d.RefreshGrace)
	}
	refused := func(grace string) bool {
		var cfg authapp.Config
		err := config.Load(&cfg, []string{"AUTH_REFRESH_GRACE=" + grace})
		return err != nil && strings.Contains(err.Error(), "AUTH_REFRESH_GRACE")
	}
	for grace, want := range map[string]bool{"0s": false, "10m": false, "10m1s": true, "-1s": true} {
		if got := refused(grace); got != want {
			t.Errorf("AUTH_REFRESH_GRACE=%s is refused: %v, want %v", grace, got, want)
		}
	}
}

// What lands has been through the race detector with the real services, and
// through the seeds of every fuzz target, which go test runs as tests.
func TestCI_S_A4_runs_the_race_detector_and_knows_every_fuzz_target(t *testing.T) {
	read := func(name string) string {
		text, err := os.ReadFile(filepath.Join("..", "..", name))
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	makefile, ci := read("Makefile"), read(filepath.Join(".ci", "run"))
	if !regexp.MustCompile(`(?m)^test:\n\tgo test \$\(RACE\) .*\$\(PKGS\)$`).MatchString(makefile) || !strings.Contains(makefile, ",-race)") {
		t.Error("make test does not use the race detector")
	}
	if !strings.Contains(ci, "GATEHOUSE_REQUIRE_SERVICES=1 make --no-print-directory test ") || strings.Contains(ci, "-run ") {
		t.Error(".ci/run does not run all of make test with the real services")
	}
	found := regexp.MustCompile(`grep -rHoE '(\^func Fuzz[^']*)' --include='\*_test.go' \$\(MODULES\)`).FindStringSubmatch(makefile)
	if found == nil {
		t.Fatal("make fuzz does not look for its targets")
	}
	finds := regexp.MustCompile("(?m)" + found[1])
	targets := 0
	for _, module := range strings.Fields("shared auth-service gateway user-service deploy/standalone") {
		err := filepath.WalkDir(filepath.Join("..", "..", module), func(path string, _ os.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(path, "_test.go") {
				return err
			}
			text, err := os.ReadFile(path)
			for _, name := range regexp.MustCompile(`(?m)^func (Fuzz\w+)\(\w+ \*testing\.F\)`).FindAllSubmatch(text, -1) {
				targets++
				if !slices.Contains(finds.FindAllString(string(text), -1), "func "+string(name[1])) {
					t.Errorf("make fuzz does not find %s of %s", name[1], path)
				}
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if targets < 10 {
		t.Errorf("there are %d fuzz targets", targets)
	}
}
