// Package userapp is the user-service as a program: it reads the settings,
// puts the parts together and runs them.
//
// It decides the order in which parts start and stop. It promises that New
// returns with both addresses taken and the database up to date, and that Run
// stops as soon as it is told: not ready first, then no more requests, then no
// more events. It refuses settings that cannot work, all of them at once.
package userapp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"time"
	_ "time/tzdata" // time zones are known wherever the service runs

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"gatehouse.internal/shared/authn"
	"gatehouse.internal/shared/bus"
	"gatehouse.internal/shared/httpx"
	"gatehouse.internal/shared/lifecycle"
	"gatehouse.internal/shared/sqldb"
	"gatehouse.internal/shared/token"
	"gatehouse.internal/user-service/internal/events"
	"gatehouse.internal/user-service/internal/httpapi"
	"gatehouse.internal/user-service/internal/sqlstore"
	"gatehouse.internal/user-service/internal/user"
)

const (
	// patience is how long a request waits for its caller's first event.
	patience = time.Second
	// timeLimit is how long an answer may take. It is below the 30 s that a
	// gateway gives: a caller is told when to try again, also where everybody
	// waits for a database that does not answer.
	timeLimit = 25 * time.Second
	// verifiedTokens bounds the cache of checked signatures.
	verifiedTokens = 10_000
)

// App is the service, ready to run.
type App struct {
	log      *slog.Logger
	db       *sqldb.DB
	bus      *bus.Bus
	keys     *token.RemoteKeys
	consumer *events.Consumer
	health   *httpx.Health
	server   *httpx.Server
	ops      *httpx.Server
}

// New opens the database, waiting for it until ctx ends, and takes both
// addresses. The broker and the auth-service may be away still. Whoever calls
// New must call Run, which gives everything back.
func New(ctx context.Context, cfg Config, log *slog.Logger) (*App, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	a := &App{log: log, health: new(httpx.Health)}
	if cfg.OTLPEndpoint != "" {
		log.Warn("OTEL_EXPORTER_OTLP_ENDPOINT is set, but this version exports no traces")
	}
	if err := a.open(ctx, &cfg); err != nil {
		return nil, errors.Join(err, a.close())
	}
	return a, nil
}

// open makes the parts, the outermost last.
func (a *App) open(ctx context.Context, cfg *Config) (err error) {
	a.log.Info("opening the database")
	if a.db, err = sqldb.Open(ctx, cfg.DatabaseURL); err != nil {
		return err
	}
	store, err := sqlstore.Open(ctx, a.db)
	if err != nil {
		return err
	}
	installation, err := store.Installation(ctx)
	if err != nil {
		return err
	}
	cfg.NATS.Name = "user-service"
	if a.bus, err = bus.Connect(cfg.NATS, a.log); err != nil {
		return err
	}
	users := &user.Service{Store: store, Now: time.Now, Patience: patience}
	a.consumer = &events.Consumer{Bus: a.bus, Users: users, Installation: installation}
	a.keys = token.NewRemoteKeys(token.RemoteKeysConfig{URLs: cfg.keySetURLs(), Now: time.Now, Log: a.log})
	verifier, err := token.NewVerifier(token.Settings{Issuer: cfg.Issuer, Audience: cfg.Audience}, a.keys, time.Now)
	if err != nil {
		return err
	}
	auth := &authn.Authenticator{Tokens: token.NewCache(verifier, verifiedTokens)}
	return a.listen(cfg, &httpapi.API{Users: users, Auth: auth})
}

// listen takes both addresses.
func (a *App) listen(cfg *Config, api *httpapi.API) (err error) {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	if a.server, err = httpx.Listen("http", cfg.Addr, a.routes(api, registry), httpx.WithLog(a.log)); err != nil {
		return err
	}
	// The broker counts once, through events: while it is away later on,
	// profiles can be read and written all the same, and events catch up.
	a.health.Add("database", a.db.PingContext)
	a.health.Add("keys", a.keys.Ready)
	a.health.Add("events", a.consumer.Ready)
	a.ops, err = httpx.Listen("ops", cfg.OpsAddr, httpx.OpsHandler(a.health, registry, false), httpx.WithLog(a.log))
	return err
}

// routes gives the handler of requests. The gateway stands between the service
// and its callers, so what a private address says of them is believed.
func (a *App) routes(api *httpapi.API, registry prometheus.Registerer) http.Handler {
	e := httpx.New(httpx.Options{
		Log: a.log, Service: "user-service", Registry: registry, TrustRequestID: true, TrustedProxies: privateNetworks(),
	})
	e.Use(httpx.TimeLimit(timeLimit))
	api.Register(e)
	return e
}

// privateNetworks are the addresses of which gateways are expected.
func privateNetworks() []netip.Prefix {
	var all []netip.Prefix
	for _, text := range []string{"127.0.0.0/8", "::1/128", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7"} {
		all = append(all, netip.MustParsePrefix(text))
	}
	return all
}

// Run serves until ctx ends or a part fails, and then gives everything back.
func (a *App) Run(ctx context.Context) error {
	keyWatch := &events.KeyWatch{Bus: a.bus, Keys: a.keys, Log: a.log}
	err := lifecycle.Run(ctx, a.log, // stopped in reverse order
		lifecycle.Part{Name: "keys", Run: a.keys.Run},
		lifecycle.Part{Name: "key watch", Run: keyWatch.Run},
		lifecycle.Part{Name: "events", Run: a.consumer.Run},
		a.ops.Part(),
		a.server.Part(),
		lifecycle.Part{Name: "readiness", Run: a.drain},
	)
	return errors.Join(err, a.close())
}

// drain has the service not ready as soon as it is asked to stop.
func (a *App) drain(ctx context.Context) error {
	<-ctx.Done()
	a.health.Drain()
	return nil
}

// close gives back what was opened, the outermost first.
func (a *App) close() error {
	var problems []error
	for _, server := range []*httpx.Server{a.server, a.ops} {
		if server != nil {
			problems = append(problems, server.Close())
		}
	}
	if a.bus != nil {
		a.bus.Close()
	}
	if a.db != nil {
		if err := a.db.Close(); err != nil {
			problems = append(problems, fmt.Errorf("close database: %w", err))
		}
	}
	return errors.Join(problems...)
}

// Addr is where requests are answered.
func (a *App) Addr() string { return a.server.Addr() }

// OpsAddr is where health and metrics are.
func (a *App) OpsAddr() string { return a.ops.Addr() }
