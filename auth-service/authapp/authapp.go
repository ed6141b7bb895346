// Package authapp is the auth-service as a whole: it reads the settings, wires
// the parts together, and runs them. It decides in which order they start and
// stop, and what the service needs to be ready. It holds no rule of its own.
package authapp

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"gatehouse.internal/auth-service/internal/auth"
	"gatehouse.internal/auth-service/internal/auth/password"
	"gatehouse.internal/auth-service/internal/auth/trail"
	"gatehouse.internal/auth-service/internal/events"
	"gatehouse.internal/auth-service/internal/httpapi"
	"gatehouse.internal/auth-service/internal/keys"
	"gatehouse.internal/auth-service/internal/sequencer"
	"gatehouse.internal/auth-service/internal/sqlstore"
	"gatehouse.internal/shared/bus"
	"gatehouse.internal/shared/httpx"
	"gatehouse.internal/shared/lifecycle"
	"gatehouse.internal/shared/outbox"
	"gatehouse.internal/shared/sqldb"
)

// App is one replica of the auth-service.
type App struct {
	cfg      Config
	log      *slog.Logger
	registry *prometheus.Registry
	health   *httpx.Health
	closers  []func() error // in order of opening

	db        *sqldb.DB
	store     *sqlstore.Store
	bus       *bus.Bus
	keys      *keys.Manager
	sequencer *sequencer.Sequencer
	publisher *events.Publisher
	accounts  *outbox.Relay // delivers account events
	mails     *outbox.Relay // delivers letters; apart, so that a slow mail server delays nothing else
	service   *auth.Service
	hasher    *password.Argon2id
	trail     *trail.Keeper // of the audit trail
	public    *httpx.Server
	ops       *httpx.Server

	madeAdmin bool
}

// New connects to what the service needs, brings the database up to date,
// creates the first administrator if one is configured and there is none, and
// listens. It waits for the database until ctx ends; the broker, Redis and the
// mail server may come up later. What it has opened is closed by Run, or by New
// itself if it fails.
func New(ctx context.Context, cfg Config, log *slog.Logger) (*App, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	a := &App{cfg: cfg, log: log.With("service", "auth-service"), registry: prometheus.NewRegistry(), health: &httpx.Health{}}
	a.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	if cfg.OTLPEndpoint != "" {
		a.log.Warn("OTEL_EXPORTER_OTLP_ENDPOINT is set, but this version exports no traces")
	}
	for _, step := range []func(context.Context) error{
		a.openStore, a.openBus, a.openPublisher, a.openKeys, a.openSequencer, a.openService, a.openTrail, a.listen,
	} {
		if err := step(ctx); err != nil {
			return nil, errors.Join(err, a.close())
		}
	}
	return a, nil
}

// listen takes the addresses. Nothing is answered there before Run.
func (a *App) listen(context.Context) error {
	api, err := a.api()
	if err != nil {
		return err
	}
	if a.ops, err = a.listenOn("ops server", a.cfg.OpsAddr, httpx.OpsHandler(a.health, a.registry, a.cfg.Pprof)); err != nil {
		return err
	}
	a.public, err = a.listenOn("HTTP server", a.cfg.Addr, api)
	return err
}

func (a *App) listenOn(name, addr string, handler http.Handler) (*httpx.Server, error) {
	server, err := httpx.Listen(name, addr, handler, httpx.WithLog(a.log))
	if err != nil {
		return nil, err
	}
	a.closers = append(a.closers, server.Close)
	return server, nil
}

func (a *App) api() (http.Handler, error) {
	tokens, err := a.verifier()
	if err != nil {
		return nil, err
	}
	return httpapi.New(httpapi.Config{
		Service: a.service, Tokens: tokens, Keys: adminKeys{a.keys, a.store, a.service, a.sequencer, a.log}, Nodes: a.sequencer.Presence, RoleTables: a.store,
		Issuer: a.cfg.Issuer, PublicURL: a.cfg.PublicURL, AllowedOrigins: a.cfg.AllowedOrigins,
		TrustedProxies: a.cfg.TrustedProxies, Log: a.log, Registry: a.registry,
	})
}

// Run serves until ctx ends or a part of the service fails. It stops in the
// reverse order of starting: not ready, no more requests, no more deliveries,
// and last the connections.
func (a *App) Run(ctx context.Context) error {
	err := lifecycle.Run(ctx, a.log,
		a.ops.Part(),
		lifecycle.Part{Name: "signing keys", Run: a.keys.Run},
		lifecycle.Part{Name: "key watch", Run: func(ctx context.Context) error { return a.publisher.WatchKeys(ctx, a.keys) }},
		lifecycle.Part{Name: "uses of sessions", Run: func(ctx context.Context) error { return a.publisher.WatchUses(ctx, a.store, time.Now) }},
		lifecycle.Part{Name: "sequencer", Run: a.sequencer.Run},
		lifecycle.Part{Name: "account stream", Run: a.publisher.KeepStream},
		lifecycle.Part{Name: "role table", Run: a.publisher.RolesChanged},
		lifecycle.Part{Name: "account events", Run: a.accounts.Run},
		lifecycle.Part{Name: "mails", Run: a.mails.Run},
		lifecycle.Part{Name: "pruning", Run: a.service.Run},
		lifecycle.Part{Name: "secrets of second factors", Run: a.service.KeepSealed},
		lifecycle.Part{Name: "imported hashes", Run: a.expectHashes},
		lifecycle.Part{Name: "audit trail", Run: a.trail.Run},
		a.public.Part(),
		lifecycle.Part{Name: "readiness", Run: a.drain},
	)
	return errors.Join(err, a.close())
}

// drain makes the service not ready as the first step of stopping.
func (a *App) drain(ctx context.Context) error {
	<-ctx.Done()
	a.health.Drain()
	return nil
}

// close gives back what New has opened, the newest first. A listener that was
// served on is closed already.
func (a *App) close() error {
	var problems []error
	for i := len(a.closers) - 1; i >= 0; i-- {
		problems = append(problems, a.closers[i]())
	}
	a.closers = nil
	return errors.Join(problems...)
}

// Addr is the address that the API listens on, with its real port.
func (a *App) Addr() string { return a.public.Addr() }

// OpsAddr is the address that health and metrics are at, with its real port.
func (a *App) OpsAddr() string { return a.ops.Addr() }

// NotReady asks the parts that the service needs and returns what those say
// that are not ready, by name. An empty answer means ready.
func (a *App) NotReady(ctx context.Context) map[string]string { return a.health.NotReady(ctx) }

// CreatedAdministrator reports whether New created the first administrator.
func (a *App) CreatedAdministrator() bool { return a.madeAdmin }
