package main_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// archRule says what some packages may import of our own packages, and why.
type archRule struct {
	name    string
	applies func(importer string) bool
	allows  func(importer, imported string) bool
	because string
}

const archRoot = "gatehouse.internal/"

var (
	archServices = []string{"auth-service", "gateway", "user-service"}
	// archRulePackages hold what a service decides.
	archRulePackages = []string{"auth", "user", "route", "access", "upstream"}
	// archShared is the order of the shared packages: each may import those before it.
	archShared = []string{
		"contract", "fault", "config", "lifecycle", "bus", "sqldb", "httpx", "token", "revocation", "outbox", "authn", "embedded",
	}
)

// archRules are the rows of the table "Who may import whom" in CONTRIBUTING.md.
var archRules = []archRule{
	{
		name:    "main",
		applies: func(importer string) bool { return slices.Contains(archServices, importer) },
		allows: func(importer, imported string) bool {
			return archService(imported) == importer && strings.HasSuffix(imported, "app")
		},
		because: "main turns the environment into an exit code; what a test should reach is in the app package",
	},
	{
		name:    "services",
		applies: func(importer string) bool { return archService(importer) != "" },
		allows: func(importer, imported string) bool {
			return archService(imported) == archService(importer) || strings.HasPrefix(imported, "shared/")
		},
		because: "services talk over HTTP and NATS, so that each can be deployed, and replaced, alone",
	},
	{
		name:    "rules",
		applies: archIsRules,
		allows: func(importer, imported string) bool {
			return imported == "shared/fault" || imported == "shared/contract" || archPart(importer) == archPart(imported)
		},
		because: "rules know no transport and no storage; what they need is an interface beside them",
	},
	{
		name: "adapters",
		applies: func(importer string) bool {
			return strings.Contains(importer, "/internal/") && archService(importer) != "" && !archIsRules(importer)
		},
		allows: func(importer, imported string) bool {
			return strings.HasPrefix(imported, "shared/") || archIsRules(imported) || archPart(importer) == archPart(imported)
		},
		because: "an adapter joins the rules with one technology; only the app package knows them all",
	},
	{
		name:    "shared",
		applies: func(importer string) bool { return strings.HasPrefix(importer, "shared/") },
		allows: func(importer, imported string) bool {
			from, to := slices.Index(archShared, archPart(importer)), slices.Index(archShared, archPart(imported))
			return strings.HasPrefix(imported, "shared/") && to >= 0 && (to < from || to == from)
		},
		because: "shared packages build on those above them in the list, and on no service; a new one takes its place in archShared",
	},
	{
		name: "embedded",
		applies: func(importer string) bool {
			return !strings.HasPrefix(importer, "deploy/") && archPart(importer) != "embedded"
		},
		allows: func(importer, imported string) bool {
			return archPart(imported) != "embedded" || strings.HasSuffix(importer, "test")
		},
		because: "the services do not know that they are standalone: they get ordinary addresses",
	},
}

// archHomes are the libraries that have one home, and their homes.
var archHomes = []struct {
	library string
	homes   []string
	because string
}{
	{"github.com/labstack/echo", []string{"shared/httpx", "internal/httpapi", "gateway/gatewayapp"}, "its next major version must be a small change"},
	{"github.com/jmoiron/sqlx", []string{"shared/sqldb", "shared/outbox", "internal/sqlstore", "auth-service/internal/sequencer"}, "SQL is written beside its schema"},
	{"github.com/lib/pq", []string{"shared/sqldb", "internal/sqlstore"}, "driver errors are told apart in one place"},
	{"github.com/nats-io/nats.go", []string{"shared/bus"}, "its defaults lose messages and time; bus knows them"},
	{"github.com/golang-jwt/jwt", []string{"shared/token", "auth-service/internal/keys"}, "it accepts dozens of bad tokens; token closes the gaps"},
	{"github.com/redis/go-redis", []string{"gateway/internal/limit", "auth-service/internal/sequencer", "auth-service/internal/throttle", "shared/revocation"}, "its defaults defeat short deadlines"},
	{"modernc.org/sqlite", []string{"shared/embedded"}, "services link no embedded server"},
	{"github.com/nats-io/nats-server", []string{"shared/embedded"}, "services link no embedded server"},
	{"github.com/alicebob/miniredis", []string{"shared/embedded"}, "services link no embedded server"},
}

// archService names the service that a package belongs to, or "".
func archService(pkg string) string {
	first, _, _ := strings.Cut(pkg, "/")
	if slices.Contains(archServices, first) {
		return first
	}
	return ""
}

// archPart names the part of its module that a package belongs to: "auth" for
// auth-service/internal/auth and all below it, "token" for shared/token.
func archPart(pkg string) string {
	_, rest, found := strings.Cut(pkg, "/internal/")
	if !found {
		rest = strings.TrimPrefix(pkg, "shared/")
	}
	part, _, _ := strings.Cut(rest, "/")
	return part
}

func archIsRules(pkg string) bool {
	return archService(pkg) != "" && strings.Contains(pkg, "/internal/") && slices.Contains(archRulePackages, archPart(pkg))
}

// archViolations says which rules a package breaks with an import.
func archViolations(importer, imported string) []string {
	var out []string
	from, ours := strings.CutPrefix(importer, archRoot)
	if !ours {
		return nil
	}
	to, internal := strings.CutPrefix(imported, archRoot)
	for _, rule := range archRules {
		if internal && rule.applies(from) && !rule.allows(from, to) {
			out = append(out, fmt.Sprintf("%s imports %s, but (%s) %s", from, to, rule.name, rule.because))
		}
	}
	if internal {
		return out
	}
	for _, l := range archHomes {
		atHome := slices.ContainsFunc(l.homes, func(home string) bool {
			return strings.HasPrefix(from+"/", home+"/") || strings.Contains(from+"/", "/"+home+"/")
		})
		if strings.HasPrefix(imported, l.library) && !atHome && !strings.HasPrefix(from, "deploy/") {
			out = append(out, fmt.Sprintf("%s imports %s, whose home is %s: %s", from, imported, strings.Join(l.homes, ", "), l.because))
		}
	}
	host, _, _ := strings.Cut(imported, "/")
	if foreign := strings.Contains(host, "."); foreign && !archMayUseLibrary(from, imported) {
		out = append(out, fmt.Sprintf("%s imports %s, but it may use the standard library alone (rules also golang.org/x/crypto and x/text): "+
			"what everything builds on must not pull in the world", from, imported))
	}
	return out
}

// archMayUseLibrary tells whether a package may import a module of others.
// Packages of test suites compare with what they like.
func archMayUseLibrary(pkg, library string) bool {
	switch {
	case pkg == "shared/contract" || pkg == "shared/fault" || slices.Contains(archServices, pkg):
		return false
	case archIsRules(pkg) && !strings.HasSuffix(pkg, "test"):
		return strings.HasPrefix(library, "golang.org/x/crypto/") || strings.HasPrefix(library, "golang.org/x/text/")
	}
	return true
}

func TestArchitecture_packages_import_only_what_they_may(t *testing.T) {
	for _, p := range archPackages(t) {
		for _, imported := range p.Imports {
			for _, violation := range archViolations(p.ImportPath, imported) {
				t.Error(violation)
			}
		}
	}
}

func TestArchitecture_the_rules_bite(t *testing.T) {
	for _, c := range []struct {
		importer, imported string
		allowed            bool
	}{
		{"gateway", "gateway/gatewayapp", true},
		{"gateway", "gateway/internal/route", false},
		{"gateway", "shared/config", false},
		{"gateway", "user-service/userapp", false},
		{"gateway", "github.com/google/uuid", false},
		{"gateway/gatewayapp", "auth-service/authapp", false},
		{"gateway/gatewayapp", "gateway/internal/proxy", true},
		{"gateway/gatewayapp", "github.com/labstack/echo/v4", true},
		{"gateway/internal/route", "shared/fault", true},
		{"gateway/internal/route", "shared/httpx", false},
		{"gateway/internal/route", "gateway/internal/access", false},
		{"gateway/internal/access", "github.com/labstack/echo/v4", false},
		{"auth-service/internal/auth", "auth-service/internal/auth/password", true},
		{"auth-service/internal/auth", "golang.org/x/crypto/argon2", true},
		{"auth-service/internal/auth", "github.com/google/uuid", false},
		{"auth-service/internal/auth/authtest", "github.com/google/go-cmp/cmp", true},
		{"auth-service/internal/httpapi", "auth-service/internal/auth", true},
		{"auth-service/internal/httpapi", "auth-service/internal/sqlstore", false},
		{"auth-service/internal/httpapi", "github.com/jmoiron/sqlx", false},
		{"auth-service/internal/sqlstore", "github.com/jmoiron/sqlx", true},
		{"auth-service/internal/sqlstore", "shared/embedded", false},
		{"auth-service/internal/sequencer", "github.com/redis/go-redis/v9", true},
		{"user-service/internal/events", "github.com/nats-io/nats.go", false},
		{"shared/contract", "shared/fault", false},
		{"shared/fault", "golang.org/x/text/unicode/norm", false},
		{"shared/token", "shared/httpx", true},
		{"shared/httpx", "shared/token", false},
		{"shared/token/tokentest", "shared/token", true},
		{"shared/config", "gateway/gatewayapp", false},
		{"shared/made-up", "shared/fault", false},
		{"shared/fault", "shared/made-up", false},
		{"shared/bus", "github.com/nats-io/nats-server/v2/server", false},
		{"shared/embedded", "github.com/nats-io/nats-server/v2/server", true},
		{"shared/embedded/testenv", "shared/embedded", true},
		{"deploy/standalone", "shared/embedded", true},
		{"deploy/standalone", "gateway/gatewayapp", true},
	} {
		imported := c.imported
		if !strings.Contains(strings.SplitN(imported, "/", 2)[0], ".") {
			imported = archRoot + imported
		}
		if got := archViolations(archRoot+c.importer, imported); (len(got) == 0) != c.allowed {
			t.Errorf("%s imports %s: got %q, want allowed: %v", c.importer, c.imported, got, c.allowed)
		}
	}
}
