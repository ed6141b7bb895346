package testenv

import (
	"bytes"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// whileRead runs its arguments until its standard input ends, which it does
// with this process in any case: a killed test leaves no server behind.
const whileRead = `"$@" & read -r _; kill $!; wait`

// RedisWithUsers starts a Redis of the test's own with the settings of
// deploy/redis, and gives the URL of each of its users. The prefix of all keys
// is contract.DefaultPrefix. It skips the test where redis-server is not
// installed.
func RedisWithUsers(t testing.TB) (urlOf func(user string) string) {
	t.Helper()
	if _, err := exec.LookPath("redis-server"); err != nil {
		if os.Getenv("GATEHOUSE_REQUIRE_SERVICES") == "1" {
			t.Fatalf("Redis is required: %v", err)
		}
		t.Skipf("Redis is not reachable: %v", err)
	}
	folder, err := os.MkdirTemp("", "redis") //nolint:usetesting // the path of a socket has room for about 100 bytes
	if err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(folder, "socket")
	command := exec.CommandContext(t.Context(), "sh", "-c", whileRead, "sh", //nolint:gosec // the arguments are this file's own
		filepath.Join(projectFolder(t), "deploy/redis/start.sh"), "--port", "0", "--unixsocket", socket, "--dir", folder)
	command.Cancel = func() error { return nil } // the clean-up below ends it
	command.Env = append(os.Environ(), "AUTH_REDIS_PASSWORD="+passwordOf("auth-service"), "GATEWAY_REDIS_PASSWORD="+passwordOf("gateway"))
	var printed bytes.Buffer
	command.Stdout, command.Stderr = &printed, &printed
	stdin, err := command.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = stdin.Close()
		_ = command.Wait() // tells of the signal by which the server ended
		if t.Failed() {
			t.Logf("Redis printed:\n%s", &printed)
		}
		if err := os.RemoveAll(folder); err != nil {
			t.Error(err)
		}
	})
	awaitSocket(t, socket)
	return func(user string) string {
		u := url.URL{Scheme: "unix", Path: socket}
		if user != "" {
			u.User = url.UserPassword(user, passwordOf(user))
		}
		return u.String()
	}
}

// passwordOf is the password of a service in a test: letters, as start.sh wants.
func passwordOf(user string) string { return "p" + strings.ReplaceAll(user, "-", "") }

// projectFolder is where the modules are, above that of the test.
func projectFolder(t testing.TB) string {
	t.Helper()
	folder, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(folder, "deploy/redis/start.sh")); err == nil {
			return folder
		}
		above := filepath.Dir(folder)
		if above == folder {
			t.Fatal("there is no deploy/redis/start.sh above this test")
		}
		folder = above
	}
}

// awaitSocket waits until a server listens.
func awaitSocket(t testing.TB, path string) {
	t.Helper()
	ctx, cancel := bounded()
	defer cancel()
	for {
		conn, err := new(net.Dialer).DialContext(ctx, "unix", path)
		if err == nil {
			_ = conn.Close()
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("Redis does not start: %v", err)
		case <-time.After(5 * time.Millisecond):
		}
	}
}
