package gatewayapp

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the golden files anew")

const (
	teams = "testdata/routes/teams"
	later = "testdata/routes/later.yaml"
)

// TestCommand_routes gives each command and compares what it says, with its
// exit status, to a file in testdata/routes.
func TestCommand_routes(t *testing.T) {
	for _, c := range []struct{ name, args string }{
		{"usage", ""},
		{"unknown", "show"},
		{"unknown-flag", "list --long"},
		{"lint", "lint " + teams},
		{"lint-bad", "lint testdata/routes/bad"},
		{"lint-missing", "lint testdata/routes/nowhere.yaml"},
		{"list", "list " + teams},
		{"list-bad", "list testdata/routes/bad"},
		{"public", "public " + teams},
		{"public-later", "public " + later},
		{"explain", "explain GET https://shop.example/api/orders/7?lines=2 " + teams},
		{"explain-role", "explain POST /api/orders/7 --role user " + teams},
		{"explain-other-role", "explain POST /api/orders/7 " + teams + " --role accountant"},
		{"explain-unverified", "explain POST /api/orders/7 " + teams + " --role user --unverified"},
		{"explain-no-factor", "explain POST /api/refunds/7 " + teams + " --role user"},
		{"explain-factor", "explain POST /api/refunds/7 " + teams + " --role user --mfa"},
		{"explain-permission", "explain PUT /api/orders/7/price --role user --permission orders:price " + teams},
		{"explain-no-permission", "explain PUT /api/orders/7/price --role user --permission orders:read " + teams},
		{"explain-host", "explain GET http://PAY.example:8080/api/orders/7/invoice --role user --role accountant " + teams},
		{"explain-host-method", "explain PUT http://pay.example/api/orders/7/invoice --role accountant " + teams},
		{"explain-optional", "explain HEAD /api/catalogue/7;currency=eur/price --unverified " + teams},
		{"explain-parameters", "explain GET /api/orders/7;x --role user " + teams},
		{"explain-public", "explain GET /api/catalogue/7 " + teams},
		{"explain-own", "explain GET /admin/routes --role admin"},
		{"explain-options", "explain OPTIONS /auth/me"},
		{"explain-trace", "explain TRACE /auth/me"},
		{"explain-nowhere", "explain GET /nowhere " + teams},
		{"explain-doubtful", "explain GET http://shop.example/api/%2e%2e/admin " + teams},
		{"explain-too-little", "explain GET"},
		{"diff", "diff " + teams + " " + later},
		{"diff-same", "diff " + teams + " " + teams},
		{"diff-bad", "diff " + teams + " testdata/routes/bad"},
		{"diff-too-little", "diff " + teams},
	} {
		t.Run(c.name, func(t *testing.T) {
			var out bytes.Buffer
			err := Command(t.Context(), append([]string{"routes"}, strings.Fields(c.args)...), nil, &out, io.Discard)
			if err != nil && err.Error() != "" {
				fmt.Fprintf(&out, "error: %v\n", err)
			}
			got := fmt.Sprintf("$ gateway routes %s\n%sexit status %d\n", c.args, filepath.ToSlash(out.String()), ExitStatus(err))
			golden := filepath.Join("testdata/routes", c.name+".txt")
			if *update {
				if err := os.WriteFile(golden, []byte(got), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestCommand_routesFromTheEnvironment(t *testing.T) {
	run := func(environ []string, args ...string) (string, error) {
		var out bytes.Buffer
		err := Command(t.Context(), append([]string{"routes"}, args...), environ, &out, io.Discard)
		return out.String(), err
	}
	environ := goodEnviron("GATEWAY_ROUTES=" + teams + "/orders.yaml, " + teams + "/billing")
	if out, err := run(environ, "lint"); err != nil || !strings.Contains(out, "the routes are good: 6, beside ") {
		t.Errorf("%q, %v", out, err)
	}
	if out, err := run(environ, "explain", "GET", "/users/me"); err != nil || !strings.Contains(out, "GET /users/me to users: http://u:8082") {
		t.Errorf("%q, %v", out, err)
	}
	if out, err := run(nil, "lint"); ExitStatus(err) != 2 || out != "" {
		t.Errorf("lint of nothing: %q, %v", out, err)
	}
	if _, err := run([]string{"GATEWAY_CREDENTIAL_LIMIT=x"}, "list"); ExitStatus(err) != 2 || !strings.Contains(err.Error(), "GATEWAY_CREDENTIAL_LIMIT") {
		t.Errorf("a bad setting: %v", err)
	}
	if out, err := run(nil, "schema"); err != nil || !strings.HasPrefix(out, "{\n") {
		t.Errorf("schema: %.20q, %v", out, err)
	}
}

// TestCommand_routesPublicIsStable moves the files and adds lines to them: the
// list for review stays as it is.
func TestCommand_routesPublicIsStable(t *testing.T) {
	dir := t.TempDir()
	content, err := os.ReadFile(teams + "/orders.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "moved.yaml"), append([]byte("# a line\n\n"), content...), 0o600); err != nil {
		t.Fatal(err)
	}
	var lists [2]bytes.Buffer
	for i, path := range []string{dir, teams + "/orders.yaml"} {
		if err := Command(t.Context(), []string{"routes", "public", path}, nil, &lists[i], io.Discard); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(lists[0].String(), lists[1].String()); diff != "" {
		t.Error(diff)
	}
}

type brokenPipe struct{}

func (brokenPipe) Write([]byte) (int, error) { return 0, errors.New("broken pipe") }

func TestCommand_routesSaysWhenItCannotAnswer(t *testing.T) {
	for _, args := range []string{"lint " + teams, "lint testdata/routes/bad", "list", "public", "explain GET /auth/me", "diff " + teams + " " + later, "schema"} {
		err := Command(t.Context(), append([]string{"routes"}, strings.Fields(args)...), nil, brokenPipe{}, io.Discard)
		if ExitStatus(err) != 2 || !strings.Contains(err.Error(), "broken pipe") {
			t.Errorf("%s: %v, status %d", args, err, ExitStatus(err))
		}
	}
}
