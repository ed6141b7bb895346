package main

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse.internal/auth-service/authapp"
	"gatehouse.internal/gateway/gatewayapp"
	"gatehouse.internal/shared/config"
	"gatehouse.internal/user-service/userapp"
)

// settingsOf gives the variables of a service with their defaults, as the
// service itself prints them.
func settingsOf(t *testing.T, cfg any) map[string]string {
	t.Helper()
	_ = config.Load(cfg, nil) // what is required and missing is no matter here
	var text bytes.Buffer
	if err := config.Print(&text, cfg); err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for line := range strings.Lines(text.String()) {
		name, value, _ := strings.Cut(strings.TrimRight(line, "\n"), "=")
		out[name] = value
	}
	return out
}

var tableRow = regexp.MustCompile("(?m)^\\| `([A-Z-][A-Za-z_-]*)` \\| (.*?) \\|")

// documented gives the first two columns of the README's tables between two
// texts.
func documented(t *testing.T, from, to string) map[string]string {
	t.Helper()
	_, rest, found := strings.Cut(section(t, "## Settings"), from)
	if !found {
		t.Fatalf("the README's settings have no %q", from)
	}
	rest, _, _ = strings.Cut(rest, to)
	out := map[string]string{}
	for _, match := range tableRow.FindAllStringSubmatch(rest, -1) {
		out[match[1]] = strings.Trim(match[2], "`")
	}
	return out
}

// sameDefault compares a default as the README writes it with the real one.
func sameDefault(written, real string) bool {
	if written == "–" {
		written = ""
	}
	a, errA := time.ParseDuration(written)
	b, errB := time.ParseDuration(real)
	return strings.EqualFold(written, real) || errA == nil && errB == nil && a == b
}

func TestReadme_names_every_setting_and_no_other(t *testing.T) {
	common := documented(t, "All services.", "\ngateway:\n")
	usedCommon := map[string]bool{}
	for _, service := range []struct {
		prefix   string
		table    map[string]string
		settings map[string]string
	}{
		{gatewayapp.EnvPrefix, documented(t, "\ngateway:\n", "\nauth-service:\n"), settingsOf(t, &gatewayapp.Config{})},
		{authapp.Prefix, documented(t, "\nauth-service:\n", "\nuser-service:\n"), settingsOf(t, &authapp.Config{})},
		{userapp.EnvPrefix, documented(t, "\nuser-service:\n", "\n### "), settingsOf(t, &userapp.Config{})},
	} {
		if len(service.settings) < 8 {
			t.Fatalf("%s* has %d settings", service.prefix, len(service.settings))
		}
		for name, real := range service.settings {
			table := common
			if strings.HasPrefix(name, service.prefix) {
				table = service.table
			} else {
				usedCommon[name] = true
			}
			written, named := table[name]
			if !named {
				t.Errorf("the README does not name %s", name)
			} else if !sameDefault(written, real) {
				t.Errorf("the README gives %s the default %q, and it is %q", name, written, real)
			}
		}
		for name := range service.table {
			if _, known := service.settings[name]; !known {
				t.Errorf("the README names %s, which is no setting", name)
			}
		}
	}
	for name := range common {
		if !usedCommon[name] {
			t.Errorf("the README names %s, which no service has", name)
		}
	}
}

var usageLine = regexp.MustCompile(`(?m)^  -([a-z-]+)`)

func TestReadme_names_every_flag_and_no_other(t *testing.T) {
	var usage bytes.Buffer
	if _, err := parseOptions([]string{"-help"}, nil, &usage); !errors.Is(err, flag.ErrHelp) {
		t.Fatal(err)
	}
	written := documented(t, "### Standalone", "\n### ")
	var known []string
	for _, match := range usageLine.FindAllStringSubmatch(usage.String(), -1) {
		known = append(known, "-"+match[1])
		if _, named := written["-"+match[1]]; !named {
			t.Errorf("the README does not name -%s", match[1])
		}
	}
	for name, value := range written {
		if !slices.Contains(known, name) {
			t.Errorf("the README names %s, which is no flag", name)
		}
		if value == "–" {
			continue
		}
		if _, err := parseOptions([]string{name, value}, nil, &usage); err != nil {
			t.Errorf("the README's default of %s: %v", name, err)
		}
	}
	without, err := parseOptions(nil, nil, &usage)
	if err != nil {
		t.Fatal(err)
	}
	var arguments []string
	for name, value := range written {
		if value != "–" {
			arguments = append(arguments, name, value)
		}
	}
	if with, err := parseOptions(arguments, nil, &usage); err != nil || with != without {
		t.Errorf("with the README's defaults: %+v %v, without: %+v", with, err, without)
	}
}

var (
	metricName  = regexp.MustCompile("gatehouse_[a-z]+_[a-z_]+")
	stringInGo  = regexp.MustCompile(`"([a-z_]+)"`)
	aMetricHead = regexp.MustCompile(`^gatehouse_[a-z_]+_$`)
)

func TestReadme_names_metrics_that_exist(t *testing.T) {
	known := map[string]bool{}
	var heads []string
	for _, path := range goFiles(t) {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, match := range stringInGo.FindAllStringSubmatch(string(text), -1) {
			known[match[1]] = true
			if aMetricHead.MatchString(match[1]) {
				heads = append(heads, match[1])
			}
		}
	}
	names := metricName.FindAllString(section(t, "## Operations"), -1)
	if len(names) < 20 {
		t.Fatalf("the README names %d metrics", len(names))
	}
	for _, name := range names {
		composed := slices.ContainsFunc(heads, func(head string) bool {
			rest, is := strings.CutPrefix(name, head)
			return is && known[rest]
		})
		if !known[name] && !composed {
			t.Errorf("the README names %s, which no program exports", name)
		}
	}
}

// goFiles are the programs' own files.
func goFiles(t *testing.T) []string {
	t.Helper()
	var out []string
	for _, module := range []string{"shared", "gateway", "auth-service", "user-service"} {
		err := filepath.WalkDir(filepath.Join("..", "..", module), func(path string, _ os.DirEntry, err error) error {
			if strings.HasSuffix(path, ".go") && !strings.HasSuffix(path, "_test.go") {
				out = append(out, path)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// pathInTree is a file, or a folder with a slash at its end.
var pathInTree = regexp.MustCompile(`^(Makefile|[A-Za-z.][A-Za-z/._-]*(/|\.[a-z]+|/run|\.work|\.md))$`)

func TestReadme_shows_the_tree_as_it_is(t *testing.T) {
	tree := section(t, "## The tree")
	named := map[string]bool{}
	for line := range strings.Lines(tree) {
		for word := range strings.FieldsSeq(line) {
			if !pathInTree.MatchString(word) {
				break // the description begins
			}
			named[strings.TrimSuffix(word, "/")] = true
			if _, err := os.Stat(filepath.Join("..", "..", word)); err != nil {
				t.Errorf("the README's tree has %s: %v", word, err)
			}
		}
	}
	for _, pattern := range []string{"*/internal/*", "deploy/*/internal/*", "*/*app", "deploy/*"} {
		folders, err := filepath.Glob(filepath.Join("..", "..", pattern))
		if err != nil {
			t.Fatal(err)
		}
		for _, folder := range folders {
			name, _ := filepath.Rel(filepath.Join("..", ".."), folder)
			if info, err := os.Stat(folder); err == nil && info.IsDir() && !named[name] {
				t.Errorf("the README's tree lacks %s", name)
			}
		}
	}
	lines, err := os.ReadFile(filepath.Join("..", "..", "shared", "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	folders, err := os.ReadDir(filepath.Join("..", "..", "shared"))
	if err != nil {
		t.Fatal(err)
	}
	for _, folder := range folders {
		if folder.IsDir() && !strings.Contains(string(lines), "| `"+folder.Name()+"` |") {
			t.Errorf("shared/README.md has no line for %s", folder.Name())
		}
	}
}

var (
	aBenchmark = regexp.MustCompile("-bench ([A-Za-z0-9_]+) .*(\\./[a-z/-]+)`")
	aTarget    = regexp.MustCompile("(?:`|\\$ )make ([a-z0-9]+)")
)

func TestReadme_names_benchmarks_and_targets_that_exist(t *testing.T) {
	commands := aBenchmark.FindAllStringSubmatch(section(t, "## Measurements"), -1)
	if len(commands) < 5 {
		t.Fatalf("the README names %d benchmarks", len(commands))
	}
	for _, command := range commands {
		if !hasBenchmark(t, command[2], command[1]) {
			t.Errorf("the README names the benchmark %s, which %s does not have", command[1], command[2])
		}
	}
	makefile, err := os.ReadFile(filepath.Join("..", "..", "Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	for _, match := range aTarget.FindAllStringSubmatch(readme(t), -1) {
		if !strings.Contains(string(makefile), "\n"+match[1]+":") {
			t.Errorf("the README names make %s, which is no target", match[1])
		}
	}
}

func hasBenchmark(t *testing.T, folder, name string) bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("..", "..", folder, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	return slices.ContainsFunc(files, func(path string) bool {
		text, err := os.ReadFile(path)
		return err == nil && regexp.MustCompile("func Benchmark[A-Za-z_]*"+name).Match(text)
	})
}
