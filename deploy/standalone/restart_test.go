package main

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// process is the standalone as a program of its own, so that it can be killed.
type process struct {
	*deployment
	binary, data, addr string
	command            *exec.Cmd
	printed            []string // on standard output, up to the ready line
	took               time.Duration
}

// buildStandalone compiles the program once for a test.
func buildStandalone(t testing.TB) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "standalone")
	output, err := exec.CommandContext(t.Context(), "go", "build", "-o", binary, ".").CombinedOutput()
	if err != nil {
		t.Fatalf("build: %v\n%s", err, output)
	}
	return binary
}

func newProcess(t testing.TB, gateways int) *process {
	t.Helper()
	addrs, err := consecutive(t.Context(), "127.0.0.1:0", gateways)
	if err != nil {
		t.Fatal(err)
	}
	p := &process{binary: buildStandalone(t), data: t.TempDir(), addr: addrs[0], deployment: newDeployment(nil)}
	for _, addr := range addrs {
		p.urls = append(p.urls, "http://"+addr)
	}
	p.adminEmail, p.adminPassword = "root@example.com", "correct horse battery staple 9"
	return p
}

// start runs the program until its ready line.
func (p *process) start(t testing.TB, more ...string) {
	t.Helper()
	args := append([]string{
		"-addr", p.addr, "-ops-addr", "127.0.0.1:0", "-gateways", fmt.Sprint(len(p.urls)), "-data", p.data, "-credential-limit", "0",
		"-admin-email", p.adminEmail, "-log-level", "warn",
	}, more...)
	began := time.Now()
	p.command = exec.CommandContext(context.Background(), p.binary, args...) //nolint:gosec // the program under test
	p.command.Stderr = os.Stderr
	output, err := p.command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.command.Process.Kill() }) // an error means that it has ended
	p.printed = nil
	lines := bufio.NewScanner(output)
	for lines.Scan() {
		p.printed = append(p.printed, lines.Text())
		if strings.HasPrefix(lines.Text(), "gatehouse ready: ") {
			p.took = time.Since(began)
			return
		}
	}
	t.Fatalf("the standalone ended before it was ready: %v", p.command.Wait())
}

// end sends a signal and waits for the program's end.
func (p *process) end(t testing.TB, signal syscall.Signal) error {
	t.Helper()
	if err := p.command.Process.Signal(signal); err != nil {
		t.Fatal(err)
	}
	p.client.CloseIdleConnections()
	return p.command.Wait()
}

func TestRestart_everything_survives_kill_9(t *testing.T) {
	p := newProcess(t, 3)
	withPassword := []string{"-admin-password", p.adminPassword}
	p.start(t, withPassword...)
	u := p.register(t, true)
	revoked, live := p.login(t, u), p.login(t, u)
	p.want(t, call{method: "POST", path: "/auth/logout", token: revoked.access}, http.StatusNoContent, "")
	if err := p.end(t, syscall.SIGKILL); err == nil {
		t.Error("a killed program ended well")
	}
	p.start(t, withPassword...)
	p.everyNode(t, call{method: "GET", path: "/api/echo/x", token: revoked.access}, http.StatusUnauthorized, "token_revoked")
	p.everyNode(t, call{method: "GET", path: "/api/echo/x", token: live.access}, http.StatusOK, "")
	p.want(t, refreshCall(revoked.refresh, 0), http.StatusUnauthorized, "invalid_refresh_token")
	p.want(t, refreshCall(live.refresh, 0), http.StatusOK, "")
	p.login(t, u)
	p.admin(t)
	if err := p.end(t, syscall.SIGTERM); err != nil {
		t.Errorf("the program did not stop cleanly: %v", err)
	}
}

func TestRestart_the_first_start_prints_the_administrators_password_once(t *testing.T) {
	p := newProcess(t, 1)
	p.start(t)
	if len(p.printed) != 2 || !strings.Contains(p.printed[0], p.adminEmail) {
		t.Fatalf("printed %d lines", len(p.printed))
	}
	_, rest, _ := strings.Cut(p.printed[0], "password ")
	p.adminPassword, _, _ = strings.Cut(rest, " ")
	root := p.admin(t)
	p.want(t, call{method: "GET", path: "/admin/nodes", token: root.access}, http.StatusOK, "")
	if err := p.end(t, syscall.SIGINT); err != nil {
		t.Errorf("the program did not stop cleanly: %v", err)
	}
	p.start(t)
	if len(p.printed) != 1 {
		t.Errorf("the second start printed %d lines, want the ready line alone", len(p.printed))
	}
	p.admin(t)
	if err := p.end(t, syscall.SIGTERM); err != nil {
		t.Errorf("the program did not stop cleanly: %v", err)
	}
}

func TestRestart_a_data_folder_belongs_to_one_process(t *testing.T) {
	p := newProcess(t, 1)
	p.start(t, "-admin-password", p.adminPassword)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	second := exec.CommandContext(ctx, p.binary, "-addr", "127.0.0.1:0", "-ops-addr", "127.0.0.1:0", "-data", p.data) //nolint:gosec // the program under test
	if output, err := second.CombinedOutput(); err == nil || !strings.Contains(string(output), "in use by another process") {
		t.Errorf("a second process on the same folder: %v\n%s", err, output)
	}
	p.want(t, call{method: "GET", path: "/api/public/x"}, http.StatusOK, "")
	if err := p.end(t, syscall.SIGTERM); err != nil {
		t.Errorf("the program did not stop cleanly: %v", err)
	}
}
