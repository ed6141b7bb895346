package main_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

var (
	aNumber = regexp.MustCompile(`^(?:S-[A-Z]|[IF])[0-9]+$`)
	// numbersInName finds S_T5, ST5, I1 and F29 among the words of a test's name.
	numbersInName = regexp.MustCompile(`(?:_|^Test|^Fuzz)(?:S_?([A-Z])([0-9]+)|([IF])([0-9]+))`)
	// numbersFirst finds "S-T5 ", "F1 I1: " and "F35, F36: " where a text begins
	// with them and goes on.
	numbersFirst = regexp.MustCompile(`^((?:(?:S-[A-Z]|[IF])[0-9]+(?:, | and | |: ))+)\S`)
)

// inName gives the numbers in the name of a test.
func inName(name string) []string {
	var out []string
	for name != "" {
		m := numbersInName.FindStringSubmatchIndex(name)
		if m == nil {
			return out
		}
		if m[2] >= 0 {
			out = append(out, "S-"+name[m[2]:m[3]]+name[m[4]:m[5]])
		} else {
			out = append(out, name[m[6]:m[7]]+name[m[8]:m[9]])
		}
		name = name[m[1]:]
	}
	return out
}

// first gives the numbers with which a text begins.
func first(text string) []string {
	m := numbersFirst.FindStringSubmatch(text)
	if m == nil {
		return nil
	}
	var out []string
	for word := range strings.FieldsFuncSeq(m[1], func(r rune) bool { return r == ' ' || r == ',' || r == ':' }) {
		if aNumber.MatchString(word) {
			out = append(out, word)
		}
	}
	return out
}

// isTest tells whether go test runs a function.
func isTest(f *ast.FuncDecl) bool {
	return f.Recv == nil && (strings.HasPrefix(f.Name.Name, "Test") && f.Name.Name != "TestMain" || strings.HasPrefix(f.Name.Name, "Fuzz"))
}

// named gives the numbers that the tests of a file name: in the name of a test,
// at the beginning of its comment, or at the beginning of a text, which is the
// name of a case or what is said of a failure. A comment elsewhere tests nothing.
func named(file *ast.File) []string {
	var out []string
	for _, d := range file.Decls {
		if f, is := d.(*ast.FuncDecl); is && isTest(f) {
			out = append(append(out, inName(f.Name.Name)...), first(f.Doc.Text())...)
		}
	}
	ast.Inspect(file, func(n ast.Node) bool {
		if text, is := n.(*ast.BasicLit); is && text.Kind == token.STRING {
			if value, err := strconv.Unquote(text.Value); err == nil {
				out = append(out, first(value)...)
			}
		}
		return true
	})
	return out
}

// namedAnywhere gives the files whose tests name each number, but for the list
// and its check.
func namedAnywhere(t *testing.T) map[string][]string {
	t.Helper()
	out := map[string][]string{}
	root := filepath.Join("..", "..")
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, "_test.go") || strings.HasPrefix(d.Name(), "requirements") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments)
		if err != nil {
			return err
		}
		for _, number := range named(file) {
			out[number] = append(out[number], path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// excused reads which faults one machine cannot show, where the reasons are: in
// the comment of package chaos.
func excused(t *testing.T) map[string]bool {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("internal", "chaos", "doc.go"))
	if err != nil {
		t.Fatal(err)
	}
	_, list, found := strings.Cut(string(text), "# What one machine cannot show")
	if !found {
		t.Fatal("the comment of package chaos does not say what one machine cannot show")
	}
	out := map[string]bool{}
	for line := range strings.Lines(list) {
		if item, is := strings.CutPrefix(line, "//   - "); is {
			for _, number := range first(item) {
				out[number] = true
			}
		}
	}
	return out
}

func TestRequirements_each_has_a_test_that_names_it(t *testing.T) {
	tests, excuses := namedAnywhere(t), excused(t)
	known := map[string]bool{}
	for _, r := range requirements {
		if known[r.number] || !aNumber.MatchString(r.number) {
			t.Errorf("%q is in the list twice, or is no number", r.number)
		}
		known[r.number] = true
		if len(tests[r.number]) == 0 && !excuses[r.number] {
			t.Errorf("no test names %s: %s. Put the number into the test's name, or say in the comment of package chaos why no machine can show it", r.number, r.asks)
		}
	}
	for _, number := range slices.Sorted(maps.Keys(tests)) {
		if !known[number] {
			t.Errorf("%s names %s, which is in no list", tests[number][0], number)
		}
	}
	for number := range excuses {
		if !known[number] {
			t.Errorf("the comment of package chaos excuses %s, which is in no list", number)
		}
	}
}

func TestRequirements_a_mention_is_not_a_test(t *testing.T) {
	for source, want := range map[string]string{
		"func TestIt_S_T5_x(t *testing.T) {}":                           "S-T5",
		"func TestIt_SP13ARequest(t *testing.T) {}":                     "S-P13",
		"func TestIt_I13_F37_x(t *testing.T) {}":                        "I13 F37",
		"// S-T5, S-T6: it holds.\nfunc TestIt(t *testing.T) {}":        "S-T5 S-T6",
		`var cases = []string{"F35 F36 I6: they race"}`:                 "F35 F36 I6",
		"func TestIt(t *testing.T) { t.Error(`S-B7 it says nothing`) }": "S-B7",
		// These are no tests.
		"// S-T5 is done elsewhere.\nvar x = 1":                "",
		"func TestIt(t *testing.T) { /* S-T5 holds */ }":       "",
		"// It holds, see S-T5.\nfunc TestIt(t *testing.T) {}": "",
		"// S-T5: it helps.\nfunc help(t *testing.T) {}":       "",
		"func (w world) Test_S_T5() {}":                        "",
		"func BenchmarkIt_S_T5_x(b *testing.B) {}":             "",
		`var numbers = []string{"S-T5", "I1", "F42"}`:          "",
		`var text = "as S-T5 has it"`:                          "",
		"func TestIt_Set5_If7_Form3(t *testing.T) {}":          "",
	} {
		file, err := parser.ParseFile(token.NewFileSet(), "x_test.go", "package x\n"+source, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(named(file), " "); got != want {
			t.Errorf("%s\nnames %q, want %q", source, got, want)
		}
	}
}
