package manifests

import (
	"context"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// processes is a system that deploy/up.sh runs, beside any other one.
type processes struct {
	t       *testing.T
	folder  string
	base    int // its ports are from here on
	environ []string
}

// newProcesses chooses ports and names for a system.
func newProcesses(t *testing.T) *processes {
	t.Helper()
	if testing.Short() {
		t.Skip("it builds and starts every service")
	}
	needServers(t)
	p := &processes{t: t, folder: filepath.Join(t.TempDir(), "run"), base: freePorts(t, 13)}
	name := fmt.Sprintf("gatehouse_test_%d", os.Getpid())
	p.environ = append(os.Environ(),
		"GATEHOUSE_RUN_DIR="+p.folder, "GATEHOUSE_START_TIMEOUT=120", "GATEHOUSE_GATEWAYS=2", "GATEHOUSE_AUTH_SERVICES=2",
		"GATEHOUSE_AUTH_DATABASE="+name+"_auth", "GATEHOUSE_USER_DATABASE="+name+"_users", "NATS_PREFIX="+name, "REDIS_PREFIX="+name)
	if url := os.Getenv("GATEHOUSE_TEST_DATABASE_URL"); url != "" {
		p.environ = append(p.environ, "GATEHOUSE_POSTGRES_URL="+url)
	}
	for i, port := range []string{"GATEWAY", "", "GATEWAY_OPS", "", "AUTH", "", "AUTH_OPS", "", "USER", "USER_OPS", "EXAMPLE", "MAILBOX", "SMTP"} {
		if port != "" {
			p.environ = append(p.environ, "GATEHOUSE_"+port+"_PORT="+strconv.Itoa(p.base+i))
		}
	}
	t.Cleanup(func() {
		if out, err := p.run("deploy/down.sh", "--purge"); err != nil {
			t.Errorf("down.sh --purge: %v\n%s", err, out)
		}
	})
	return p
}

// needServers skips the test where the servers are not there.
func needServers(t *testing.T) {
	t.Helper()
	_, err := exec.LookPath("psql")
	for _, port := range []string{"5432", "4222", "6379"} {
		if err == nil {
			var conn net.Conn
			if conn, err = new(net.Dialer).DialContext(t.Context(), "tcp", "127.0.0.1:"+port); err == nil {
				err = conn.Close()
			}
		}
	}
	if err != nil && os.Getenv("GATEHOUSE_REQUIRE_SERVICES") == "1" {
		t.Fatal(err)
	}
	if err != nil {
		t.Skip(err)
	}
}

// freePorts finds the first of n free ports in a row. They are below those that
// the kernel gives to outgoing connections, which would take them meanwhile, and
// above those of the fault suite's clusters.
func freePorts(t *testing.T, n int) int {
	t.Helper()
	const lowest, rows = 30_000, 200
	for row := range rows {
		base := lowest + (os.Getpid()+row)%rows*n
		free := 0
		for ; free < n; free++ {
			l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:"+strconv.Itoa(base+free))
			if err != nil {
				break
			}
			must(t, l.Close())
		}
		if free == n {
			return base
		}
	}
	t.Fatal("no free ports")
	return 0
}

// run runs a script in the project's folder and gives what it printed.
func (p *processes) run(script string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	command := exec.CommandContext(ctx, filepath.Join(root, script), args...)
	command.Env = p.environ
	command.WaitDelay = time.Second
	out, err := command.CombinedOutput()
	return string(out), err
}

// pids gives the process of every pid file.
func (p *processes) pids() map[string]string {
	p.t.Helper()
	files, err := filepath.Glob(filepath.Join(p.folder, "*.pid"))
	must(p.t, err)
	all := map[string]string{}
	for _, file := range files {
		text, err := os.ReadFile(file)
		must(p.t, err)
		pid, _, _ := strings.Cut(string(text), "\n")
		all[strings.TrimSuffix(filepath.Base(file), ".pid")] = pid
	}
	return all
}

// status gives the status of a GET at the nth gateway.
func (p *processes) status(gateway int, path string) int {
	p.t.Helper()
	status, _ := p.get(gateway, path)
	return status
}

// get gives the status and the body of a GET at the nth gateway.
func (p *processes) get(gateway int, path string) (int, string) {
	p.t.Helper()
	url := fmt.Sprintf("http://127.0.0.1:%d%s", p.base+gateway, path)
	req, err := http.NewRequestWithContext(p.t.Context(), http.MethodGet, url, nil)
	must(p.t, err)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, ""
	}
	body, err := io.ReadAll(res.Body)
	must(p.t, err)
	must(p.t, res.Body.Close())
	return res.StatusCode, string(body)
}

func TestUp_takenPort(t *testing.T) {
	p := newProcesses(t)
	taken := "127.0.0.1:" + strconv.Itoa(p.base+1)
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", taken)
	must(t, err)
	defer func() { _ = l.Close() }()
	out, err := p.run("deploy/up.sh")
	if err == nil || !strings.Contains(out, strconv.Itoa(p.base+1)+" (for gateway-2)") || len(p.pids()) != 0 {
		t.Errorf("%v, started %v:\n%s", err, p.pids(), out)
	}
}

func TestUpAndDown(t *testing.T) {
	p := newProcesses(t)
	ready := fmt.Sprintf("gatehouse ready: http://127.0.0.1:%d\n", p.base)
	out, err := p.run("deploy/up.sh")
	if err != nil || !strings.HasSuffix(out, ready) {
		t.Fatalf("up.sh: %v\n%s", err, out)
	}
	first := p.pids()
	want := []string{"auth-service-1", "auth-service-2", "example", "gateway-1", "gateway-2", "mailbox", "user-service"}
	if got := slices.Sorted(maps.Keys(first)); !slices.Equal(got, want) {
		t.Errorf("%v run, want %v", got, want)
	}
	for gateway := range 2 {
		for path, status := range map[string]int{"/api/public/x": 200, "/api/echo/x": 401, "/dev/mail": 200, "/users/me": 401} {
			if got := p.status(gateway, path); got != status {
				t.Errorf("gateway %d answers %d to %s, want %d", gateway+1, got, path, status)
			}
		}
	}
	// An upstream asks any gateway for the keys of them all.
	_, one := p.get(0, "/.well-known/gatehouse/jwks.json")
	if _, two := p.get(1, "/.well-known/gatehouse/jwks.json"); one != two || !strings.Contains(one, `"Ed25519"`) {
		t.Errorf("the gateways publish %s and %s", one, two)
	}
	t.Run("a second call leaves what runs alone", func(t *testing.T) {
		if out, err := p.run("deploy/up.sh"); err != nil || !strings.HasSuffix(out, ready) || !maps.Equal(p.pids(), first) {
			t.Errorf("%v, %v, was %v\n%s", err, p.pids(), first, out)
		}
	})
	t.Run("another's process is not ended", func(t *testing.T) {
		// As after a crash, when the number has gone to somebody else: us.
		file := filepath.Join(p.folder, "gateway-9.pid")
		must(t, os.WriteFile(file, fmt.Appendf(nil, "%d\n%s/bin/gateway\n", os.Getpid(), p.folder), 0o600))
		if out, err := p.run("deploy/down.sh"); err != nil {
			t.Errorf("down.sh: %v\n%s", err, out)
		}
	})
	if got := p.pids(); len(got) != 0 {
		t.Errorf("%v are left", got)
	}
	for name, pid := range first {
		if out, err := exec.CommandContext(t.Context(), "ps", "-p", pid, "-o", "stat=").Output(); err == nil && !strings.HasPrefix(string(out), "Z") {
			t.Errorf("%s still runs", name)
		}
	}
	t.Run("an unknown argument is refused", func(t *testing.T) {
		if _, err := p.run("deploy/down.sh", "--everything"); err == nil {
			t.Error("it was accepted")
		}
	})
}
