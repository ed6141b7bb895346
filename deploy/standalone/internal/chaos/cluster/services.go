package cluster

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// The administrator of a cluster, made on its first start.
const (
	AdminEmail    = "root@example.com"
	AdminPassword = "correct horse battery staple 9"
)

// The program of a cluster that may revoke tokens (RFC 7009).
const (
	ProgramID     = "chaos-program"
	ProgramSecret = "a secret of 128 bits would be longer"
)

func programs() string {
	return fmt.Sprintf("%s:%x:any", ProgramID, sha256.Sum256([]byte(ProgramSecret)))
}

// routes are the routes that clients call: one for each bound.
const routes = `upstreams:
  example:
    targets: ["http://%s"]
    timeout: 10s
routes:
  - { name: chaos-2s, match: { path: /chaos/2s/* }, upstream: example, auth: required, max_staleness: 2s, websocket: true }
  - { name: chaos-5s, match: { path: /chaos/5s/* }, upstream: example, auth: required, max_staleness: 5s, websocket: true }
  - { name: chaos-30s, match: { path: /chaos/30s/* }, upstream: example, auth: required, websocket: true }
`

// startAuths starts the auth-services.
func (c *Cluster) startAuths(port, ops []int) error {
	var key [32]byte
	_, _ = rand.Read(key[:]) // never fails (crypto/rand)
	for i := range port {
		name := Auth(i)
		links, err := c.openAll(name)
		if err != nil {
			return err
		}
		p, err := c.process(name, filepath.Join(c.Binaries, "auth-service"), append(links.environ(c, "auth"),
			"AUTH_ADDR="+loopback(port[i]), "AUTH_OPS_ADDR="+loopback(ops[i]),
			"AUTH_ISSUER=http://chaos.test", "AUTH_AUDIENCE=chaos", "AUTH_PUBLIC_URL=http://chaos.test",
			"AUTH_ENCRYPTION_KEY="+base64.StdEncoding.EncodeToString(key[:]),
			"AUTH_ADMIN_EMAIL="+AdminEmail, "AUTH_ADMIN_PASSWORD="+AdminPassword,
			"AUTH_SMTP_URL=smtp://"+loopback(c.smtpPort), "AUTH_MAIL_FROM=chaos@example.com",
			"AUTH_CLIENTS="+programs(), "AUTH_LIMIT_LETTERS_FROM=none", "AUTH_LIMIT_ADDRESS=none",
		))
		if err != nil {
			return err
		}
		c.Auths = append(c.Auths, p)
		c.ready[name] = "http://" + loopback(ops[i]) + "/readyz"
		c.authAddrs = append(c.authAddrs, loopback(port[i]))
	}
	return nil
}

// startUsers starts the user-service.
func (c *Cluster) startUsers(port, ops int) error {
	links, err := c.openAll("users")
	if err != nil {
		return err
	}
	auths, err := c.authURLs("users")
	if err != nil {
		return err
	}
	c.userAddr = loopback(port)
	c.ready["users"] = "http://" + loopback(ops) + "/readyz"
	c.Users, err = c.process("users", filepath.Join(c.Binaries, "user-service"), append(links.environ(c, "users"),
		"USER_ADDR="+c.userAddr, "USER_OPS_ADDR="+loopback(ops), "USER_ISSUER=http://chaos.test", "USER_AUDIENCE=chaos", "USER_AUTH_URL="+auths))
	return err
}

// startGateways starts the gateways.
func (c *Cluster) startGateways(port, ops []int) error {
	file := filepath.Join(c.Dir, "routes.yaml")
	if err := os.WriteFile(file, fmt.Appendf(nil, routes, loopback(c.echoPort)), 0o600); err != nil {
		return fmt.Errorf("write routes: %w", err)
	}
	for i := range port {
		name := Gateway(i)
		links, err := c.openAll(name)
		if err != nil {
			return err
		}
		auths, err := c.authURLs(name)
		if err != nil {
			return err
		}
		users, err := c.open(name, "users", c.userAddr)
		if err != nil {
			return err
		}
		p, err := c.process(name, filepath.Join(c.Binaries, "gateway"), append(links.environ(c, ""),
			"GATEWAY_ADDR="+loopback(port[i]), "GATEWAY_OPS_ADDR="+loopback(ops[i]), "GATEWAY_NODE_ID="+name,
			"GATEWAY_ISSUER=http://chaos.test", "GATEWAY_AUDIENCE=chaos", "GATEWAY_ROUTES="+file,
			"GATEWAY_AUTH_URL="+auths, "GATEWAY_USER_URL=http://"+users, "GATEWAY_CREDENTIAL_LIMIT=0"))
		if err != nil {
			return err
		}
		c.Gateways = append(c.Gateways, p)
		c.ready[name] = "http://" + loopback(ops[i]) + "/readyz"
		c.URLs = append(c.URLs, "http://"+loopback(port[i]))
	}
	return nil
}

// Gateway and Auth name the processes by their index, from 0.
func Gateway(i int) string { return fmt.Sprintf("gateway-%d", i+1) }

// Auth names an auth-service by its index, from 0.
func Auth(i int) string { return fmt.Sprintf("auth-%d", i+1) }

// sharedLinks are the links of a service to what all services use.
type sharedLinks struct{ nats, redis, postgres string }

// openAll opens the links of a service to the brokers, Redis and PostgreSQL.
func (c *Cluster) openAll(name string) (sharedLinks, error) {
	var urls []string
	for j, addr := range c.brokerAddrs {
		way, err := c.open(name, Broker(j), addr)
		if err != nil {
			return sharedLinks{}, err
		}
		urls = append(urls, "nats://"+way)
	}
	redis, err := c.open(name, "redis", c.redisAddr)
	if err != nil {
		return sharedLinks{}, err
	}
	postgres, err := c.open(name, "postgres", c.databases.url.Host)
	if err != nil {
		return sharedLinks{}, err
	}
	return sharedLinks{nats: strings.Join(urls, ","), redis: redis, postgres: postgres}, nil
}

// environ gives the settings that all services have, and that of a database if
// one is named.
func (l sharedLinks) environ(c *Cluster, database string) []string {
	out := []string{"NATS_URL=" + l.nats, "NATS_PREFIX=" + Prefix, fmt.Sprintf("NATS_REPLICAS=%d", len(c.Brokers)), "LOG_LEVEL=info"}
	if database != "users" {
		out = append(out, "REDIS_URL=redis://"+l.redis+"/0", "REDIS_PREFIX="+Prefix)
	}
	if database != "" {
		out = append(out, "DATABASE_URL="+c.databases.at(l.postgres, database))
	}
	return out
}

// authURLs opens the links of a service to the auth-services.
func (c *Cluster) authURLs(name string) (string, error) {
	var urls []string
	for i, addr := range c.authAddrs {
		way, err := c.open(name, Auth(i), addr)
		if err != nil {
			return "", err
		}
		urls = append(urls, "http://"+way)
	}
	return strings.Join(urls, ","), nil
}
