package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse.internal/auth-service/authapp"
	"gatehouse.internal/deploy/standalone/internal/chaos/faultproxy"
	"gatehouse.internal/gateway/gatewayapp"
	"gatehouse.internal/shared/bus"
	"gatehouse.internal/shared/config"
	"gatehouse.internal/shared/contract"
	"gatehouse.internal/shared/embedded/testenv"
	"gatehouse.internal/shared/httpx"
	"gatehouse.internal/shared/lifecycle"
	"gatehouse.internal/user-service/userapp"
)

// The program that may introspect and revoke tokens.
const (
	programID     = "outage-program"
	programSecret = "a secret of 128 bits would be longer"
)

// fragile is the three services in this process, so that the race detector
// watches them, with a link that can be broken on each way from one of them to
// what it depends on.
type fragile struct {
	*deployment
	t      *testing.T
	store  string
	around *around
	files  []string // the databases, if they are files
	links  map[dependency][]*faultproxy.Link

	mu   sync.Mutex
	root session // of the administrator
}

// databases are those of the auth-service and the user-service.
type databases struct{ auth, users string }

// startFragile starts a system and waits until every part is ready. It ends
// with the test.
func startFragile(t *testing.T, store string, at databases) *fragile {
	t.Helper()
	addrs, err := consecutive(t.Context(), "127.0.0.1:0", 1)
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := strings.Cut(addrs[0], ":")
	f := &fragile{t: t, store: store, deployment: newDeployment([]string{"http://" + addrs[0]}), links: map[dependency][]*faultproxy.Link{}}
	f.client.Timeout = 2 * answerBound
	f.adminEmail, f.adminPassword, f.log = "root@example.com", "correct horse battery staple 9", &lockedBuffer{}
	t.Cleanup(func() {
		f.client.CloseIdleConnections()
		if text := f.log.String(); t.Failed() {
			t.Logf("the end of the log of %s:\n%s", store, text[max(0, len(text)-16<<10):])
		}
	})
	data, err := openFolder(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	log := httpx.Log(f.log, "warn")
	if f.around, err = openAround(data, log); err != nil {
		t.Fatal(err)
	}
	parts, ops := f.open(at, data, wanted{gateway: addrs[0], public: "http://localhost:" + port, log: log})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- lifecycle.Run(ctx, log, parts...) }()
	t.Cleanup(func() {
		cancel()
		if err := errors.Join(<-ended, f.around.close(), data.close()); err != nil {
			t.Errorf("the system did not stop cleanly: %v", err)
		}
	})
	ready, done := context.WithTimeout(ctx, time.Minute)
	defer done()
	if err := awaitReady(ready, ops); err != nil {
		t.Fatalf("the system did not get ready: %v", err)
	}
	return f
}

// wanted is what all services have to agree on.
type wanted struct {
	gateway, public string
	log             *slog.Logger
}

// open opens the services, each with links of its own.
func (f *fragile) open(at databases, data folder, w wanted) (parts []lifecycle.Part, ops []string) {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(f.t.Context(), time.Minute)
	defer cancel()
	auth, err := authapp.New(ctx, f.authSettings(at.auth, data, w), w.log)
	if err != nil {
		f.t.Fatal(err)
	}
	users, err := userapp.New(ctx, userapp.Config{
		Addr: "127.0.0.1:0", OpsAddr: "127.0.0.1:0", Issuer: w.public, Audience: audience,
		AuthURL:     []string{f.via(theAuthService, "http://"+auth.Addr())},
		DatabaseURL: f.database(at.users),
		NATS:        bus.Config{URL: f.via(theBroker, f.around.nats.URL()), Prefix: contract.DefaultPrefix},
	}, w.log)
	if err != nil {
		f.t.Fatal(err)
	}
	routes, err := f.around.writeRoutes(data)
	if err != nil {
		f.t.Fatal(err)
	}
	gateway, err := gatewayapp.New(ctx, gatewayapp.Config{
		Addr: w.gateway, OpsAddr: "127.0.0.1:0", NodeID: "gateway-1", Routes: []string{routes}, Issuer: w.public, Audience: audience,
		AuthURL:         []string{f.via(theAuthService, "http://"+auth.Addr())},
		UserURL:         []string{f.via(theUserService, "http://"+users.Addr())},
		CredentialLimit: 1_000_000, // counted, but never used up
		NATS:            bus.Config{URL: f.via(theBroker, f.around.nats.URL()), Prefix: contract.DefaultPrefix},
		RedisURL:        f.via(theRedis, f.around.redis.URL()), RedisPrefix: contract.DefaultPrefix,
	}, w.log)
	if err != nil {
		f.t.Fatal(err)
	}
	parts = append(f.around.parts(), lifecycle.Part{Name: "auth-service", Run: auth.Run},
		lifecycle.Part{Name: "user-service", Run: users.Run}, lifecycle.Part{Name: "gateway", Run: gateway.Run})
	return parts, []string{auth.OpsAddr(), users.OpsAddr(), gateway.OpsAddr()}
}

func (f *fragile) authSettings(database string, data folder, w wanted) authapp.Config {
	cfg := authapp.Defaults()
	cfg.DatabaseURL = f.database(database)
	cfg.NATSURL, cfg.RedisURL = f.via(theBroker, f.around.nats.URL()), f.via(theRedis, f.around.redis.URL())
	cfg.SMTPURL, cfg.MailFrom = f.via(theMailServer, f.around.sink.URL()), mailFrom
	cfg.Addr, cfg.OpsAddr = "127.0.0.1:0", "127.0.0.1:0"
	cfg.Issuer, cfg.Audience, cfg.PublicURL = w.public, []string{audience}, w.public
	cfg.EncryptionKey = config.Secret(data.key)
	cfg.Clients = []string{fmt.Sprintf("%s:%x:any", programID, sha256.Sum256([]byte(programSecret)))}
	cfg.RefreshGrace = 10 * time.Minute // however long it takes until a refresh is made again
	cfg.AdminEmail, cfg.AdminPassword = f.adminEmail, config.Secret(f.adminPassword)
	// All callers share an address here. What bounds one account stays as it is:
	// an outage must not use up what its owner may try.
	cfg.Limits.Address.Tries, cfg.Limits.Sender.Tries = 10_000, 10_000
	return cfg
}

// via opens a link on the way to a server, and gives the URL past which it
// leads.
func (f *fragile) via(to dependency, target string) string {
	f.t.Helper()
	u, err := url.Parse(target)
	if err != nil {
		f.t.Fatal(err)
	}
	link, err := faultproxy.Open(string(to), u.Host)
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() {
		if err := link.Close(); err != nil {
			f.t.Error(err)
		}
	})
	f.links[to] = append(f.links[to], link)
	u.Host = link.Addr()
	return u.String()
}

// database is via for a database on a server; a file has no way to it.
func (f *fragile) database(at string) string {
	f.t.Helper()
	if strings.HasPrefix(at, "sqlite:") {
		f.files = append(f.files, at)
		return at
	}
	return f.via(theDatabase, at)
}

// eachStore runs a test on a system with files and on one with PostgreSQL, at
// the same time: both wait most of the time.
func eachStore(t *testing.T, run func(t *testing.T, f *fragile)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		run(t, startFragile(t, "sqlite", databases{"sqlite:" + filepath.Join(dir, "auth.db"), "sqlite:" + filepath.Join(dir, "users.db")}))
	})
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		run(t, startFragile(t, "postgres", databases{testenv.Postgres(t), testenv.Postgres(t)}))
	})
}
