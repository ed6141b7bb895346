package proxybench

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// add notes a proxy once it takes connections.
func (b *bench) add(ctx context.Context, p *proxy) error {
	b.proxies[p.name] = p
	return await(ctx, p.name, func() error {
		c, err := net.DialTimeout("tcp", p.address, time.Second) //nolint:noctx // await has a bound
		if err != nil {
			return err
		}
		return c.Close()
	})
}

// startGateway starts the gateway's binary with as many routes.
func (b *bench) startGateway(ctx context.Context, name string, issuer Issuer, s *signer, routes int) error {
	address, err := freeAddress(ctx)
	if err != nil {
		return err
	}
	ops, err := freeAddress(ctx)
	if err != nil {
		return err
	}
	file := filepath.Join(b.folder, strings.ReplaceAll(name, " ", "-")+".yaml")
	if err := writeConfig(file, routesFile(b.upstream, routes)); err != nil {
		return err
	}
	pid, err := b.run([]string{
		"GATEWAY_ADDR=" + address, "GATEWAY_OPS_ADDR=" + ops, "GATEWAY_ROUTES=" + file, "GATEWAY_AUTH_URL=http://" + issuer.Auth,
		"GATEWAY_USER_URL=http://" + issuer.Auth, "GATEWAY_ISSUER=" + issuerName, "GATEWAY_AUDIENCE=" + audience, "GATEWAY_PROFILING=true",
		"NATS_URL=" + issuer.NATS, "REDIS_URL=" + issuer.Redis, "LOG_LEVEL=warn", "GATEWAY_NODE_ID=" + fmt.Sprint("bench-", routes),
	}, b.gateway)
	if err != nil {
		return err
	}
	if err := await(ctx, name, func() error { _, err := get(ctx, "http://"+ops+"/readyz"); return err }); err != nil {
		return err
	}
	return b.add(ctx, &proxy{name: name, address: address, pids: []int{pid}, signer: s})
}

// routesFile has a route with all checks, a public one, and others up to n.
func routesFile(upstream string, n int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "upstreams:\n  up: { targets: [\"http://%s\"] }\nroutes:\n", upstream)
	b.WriteString("  - { name: api, match: { path: /api/* }, upstream: up, auth: required, roles: [user] }\n")
	b.WriteString("  - { name: public, match: { path: /public/* }, upstream: up, auth: none }\n")
	for i := range n - 2 {
		fmt.Fprintf(&b, "  - { name: r%[1]d, match: { path: /team%[2]d/service%[1]d/* }, upstream: up, auth: required, roles: [user] }\n", i, i%100)
	}
	return b.String()
}

func (b *bench) startReverse(ctx context.Context) error {
	pid, address, err := b.part(ctx, "reverse", b.upstream)
	if err != nil {
		return err
	}
	return b.add(ctx, &proxy{name: reverse, address: address, pids: []int{pid}})
}

// missing says that a program is not installed, and is no error.
func (b *bench) missing(program string) bool {
	if _, err := exec.LookPath(program); errors.Is(err, exec.ErrNotFound) {
		fmt.Fprintf(b.out, "%s is not installed (Debian: apt-get install %[1]s), so it is left out\n", program)
		return true
	}
	return false
}

func (b *bench) startNginx(ctx context.Context, name string, issuer Issuer) error {
	if b.missing("nginx") {
		return nil
	}
	address, err := freeAddress(ctx)
	if err != nil {
		return err
	}
	p := &proxy{name: name, address: address}
	checker := ""
	if issuer.Auth != "" {
		var pid int
		if pid, checker, err = b.part(ctx, "checker", issuer.keySet()); err != nil {
			return err
		}
		p.pids, p.signer = append(p.pids, pid), b.rs
	}
	folder := filepath.Join(b.folder, strings.ReplaceAll(name, " ", "-"))
	if err := os.Mkdir(folder, 0o755); err != nil { //nolint:gosec // nginx's workers are another user's
		return fmt.Errorf("make a folder: %w", err)
	}
	file := filepath.Join(folder, "nginx.conf")
	if err := writeConfig(file, nginxConfig(folder, address, b.upstream, checker)); err != nil {
		return err
	}
	pid, err := b.run(nil, "nginx", "-c", file, "-p", folder)
	if err != nil {
		return err
	}
	p.pids = append(p.pids, pid)
	return b.add(ctx, p)
}

func (b *bench) startHAProxy(ctx context.Context, name string, s *signer) error {
	if b.missing("haproxy") {
		return nil
	}
	address, err := freeAddress(ctx)
	if err != nil {
		return err
	}
	algorithm, key := "", ""
	if s != nil {
		algorithm, key = s.algorithm, s.public
	}
	file := filepath.Join(b.folder, strings.ReplaceAll(name, " ", "-")+".cfg")
	if err := writeConfig(file, haproxyConfig(address, b.upstream, algorithm, key)); err != nil {
		return err
	}
	pid, err := b.run(nil, "haproxy", "-db", "-f", file)
	if err != nil {
		return err
	}
	return b.add(ctx, &proxy{name: name, address: address, pids: []int{pid}, signer: s})
}
