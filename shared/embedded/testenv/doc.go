// Package testenv gives tests the databases and brokers they need: embedded
// ones always, and the real PostgreSQL, NATS and Redis of this machine where
// they answer. Each test gets its own schema, prefix or file, and nothing is
// left behind. With GATEHOUSE_REQUIRE_SERVICES=1 a real server that does not
// answer fails the test instead of skipping it.
package testenv

import (
	"cmp"
	"context"
	"crypto/rand"
	"net"
	"os"
	"strings"
	"testing"
	"time"
)

// setupTimeout bounds what a test waits for a server at its start and end.
const setupTimeout = 20 * time.Second

// setting gives an environment variable or its default.
func setting(name, fallback string) string { return cmp.Or(os.Getenv(name), fallback) }

// unique gives a name that no other test has, in lower case letters and digits.
func unique() string { return "t" + strings.ToLower(rand.Text()[:16]) }

// bounded gives a context for setup and clean-up, which outlives the test's own.
func bounded() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), setupTimeout)
}

// requireServer skips the test, or fails it where services are required, if
// nothing listens at address.
func requireServer(t testing.TB, name, address string) {
	t.Helper()
	conn, err := (&net.Dialer{Timeout: 2 * time.Second}).DialContext(t.Context(), "tcp", address)
	if err == nil {
		_ = conn.Close()
		return
	}
	if os.Getenv("GATEHOUSE_REQUIRE_SERVICES") == "1" {
		t.Fatalf("%s is required but does not answer: %v", name, err)
	}
	t.Skipf("%s does not answer: %v", name, err)
}
