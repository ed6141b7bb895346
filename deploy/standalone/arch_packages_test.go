package main_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"go/parser"
	"go/token"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// archPackage is what go list tells of a package.
type archPackage struct {
	ImportPath, Name, Dir string
	GoFiles, Imports      []string
	Standard              bool
}

// archPackages are all packages of the workspace.
func archPackages(t *testing.T) []archPackage {
	t.Helper()
	out := archList(t, "work")
	if len(out) < 20 {
		t.Fatalf("go list knows of %d packages only", len(out))
	}
	return out
}

// archList asks go list in the root of the workspace.
func archList(t *testing.T, arguments ...string) []archPackage {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	//nolint:gosec // the arguments are this file's own
	list := exec.CommandContext(t.Context(), "go", append([]string{"list", "-e", "-json=ImportPath,Name,Dir,GoFiles,Imports,Standard"}, arguments...)...)
	list.Dir = root
	list.Env = append(os.Environ(), "GOWORK="+filepath.Join(root, "go.work"), "GOFLAGS=-mod=readonly")
	var stderr bytes.Buffer
	list.Stderr = &stderr
	data, err := list.Output()
	if err != nil {
		t.Fatalf("go list: %v\n%s", err, &stderr)
	}
	var out []archPackage
	for decoder := json.NewDecoder(bytes.NewReader(data)); ; {
		var p archPackage
		if err := decoder.Decode(&p); errors.Is(err, io.EOF) {
			return out
		} else if err != nil {
			t.Fatal(err)
		}
		out = append(out, p)
	}
}

func TestArchitecture_services_link_nothing_that_is_embedded(t *testing.T) {
	for _, service := range archServices {
		for _, p := range archList(t, "-deps", archRoot+service) {
			for _, forbidden := range []string{
				"modernc.org/sqlite", "github.com/nats-io/nats-server/", "github.com/alicebob/miniredis/", archRoot + "shared/embedded", "testing",
			} {
				if p.ImportPath == forbidden || strings.HasPrefix(p.ImportPath, strings.TrimSuffix(forbidden, "/")+"/") {
					t.Errorf("%s links %s: a service gets ordinary addresses, and carries no server of its own", service, p.ImportPath)
				}
			}
		}
	}
}

func TestArchitecture_every_package_has_one_package_comment(t *testing.T) {
	for _, p := range archPackages(t) {
		var documented []string
		for _, name := range p.GoFiles {
			file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(p.Dir, name), nil, parser.PackageClauseOnly|parser.ParseComments)
			if err != nil {
				t.Fatal(err)
			}
			if file.Doc.Text() != "" {
				documented = append(documented, name)
			}
		}
		if len(p.GoFiles) > 0 && len(documented) != 1 {
			t.Errorf("%s has package comments in %q, want one: it says what the package decides, promises and refuses", p.ImportPath, documented)
		}
	}
}

func TestArchitecture_files_can_be_read_at_one_sitting(t *testing.T) {
	const limit = 400
	for _, p := range archPackages(t) {
		for _, name := range p.GoFiles {
			data, err := os.ReadFile(filepath.Join(p.Dir, name))
			if err != nil {
				t.Fatal(err)
			}
			if lines := bytes.Count(data, []byte("\n")); lines > limit {
				t.Errorf("%s/%s has %d lines; split it by its nouns (the limit is %d)", p.ImportPath, name, lines, limit)
			}
		}
	}
}
