// Package gatewayapp is the gateway as a program: it reads the settings, puts
// the parts together and runs them. The order in which a request is checked is
// in pipeline.go.
//
// It promises that New returns with both addresses taken, that the gateway is
// not ready before it knows the issuer's keys and all revocations, and that Run
// stops in the order that loses no request: not ready first, with clients told
// to leave; after the drain delay the endless answers, then the requests under
// way. It refuses settings and route files that cannot work, all problems of
// them at once.
package gatewayapp

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"gatehouse.internal/gateway/internal/access"
	"gatehouse.internal/gateway/internal/acme"
	"gatehouse.internal/gateway/internal/limit"
	"gatehouse.internal/gateway/internal/proxy"
	"gatehouse.internal/gateway/internal/proxy/live"
	"gatehouse.internal/gateway/internal/routefile"
	"gatehouse.internal/shared/authn"
	"gatehouse.internal/shared/bus"
	"gatehouse.internal/shared/httpx"
	"gatehouse.internal/shared/lifecycle"
	"gatehouse.internal/shared/revocation"
	"gatehouse.internal/shared/token"
)

// App is a gateway, ready to run.
type App struct {
	cfg      Config
	log      *slog.Logger
	registry *prometheus.Registry
	metrics  *metrics

	bus          *bus.Bus
	redis        io.Closer
	limiter      *limit.Limiter
	keys         *token.RemoteKeys
	watch        *keyWatch
	uses         *uses
	roles        *authn.RemoteRoles
	checker      *revocation.Checker
	live         *live.Registry
	backends     *backends
	routes       *routefile.Loader
	health       *httpx.Health
	certificates *acme.Certificates // nil unless they are issued by ACME
	pacer        *pacer             // of garbage collection; nil if the operator has set a pace
	server       *httpx.Server
	ops          *httpx.Server
}

// New takes both addresses and reads the routes. The broker, Redis and all
// services may be away still. Whoever calls New must call Run, which gives
// everything back.
func New(_ context.Context, cfg Config, log *slog.Logger) (*App, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg.complete()
	a := &App{cfg: cfg, log: log.With("service", "gateway", "node", cfg.NodeID), health: new(httpx.Health), registry: prometheus.NewRegistry()}
	if cfg.OTLPEndpoint != "" {
		a.log.Warn("OTEL_EXPORTER_OTLP_ENDPOINT is set, but this version exports no traces")
	}
	a.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	a.metrics = newMetrics(a.registry)
	for _, open := range []func() error{a.openTokens, a.openRevocations, a.openRoutes, a.listen} {
		if err := open(); err != nil {
			return nil, errors.Join(err, a.close())
		}
	}
	return a, nil
}

// openTokens makes what judges access tokens.
func (a *App) openTokens() (err error) {
	if a.bus, err = bus.Connect(a.cfg.NATS, a.log); err != nil {
		return err
	}
	a.keys = token.NewRemoteKeys(token.RemoteKeysConfig{URLs: a.cfg.JWKSURL, Now: time.Now, Log: a.log})
	a.roles = newRoles(a)
	a.watch = newKeyWatch(a.bus, a.keys, a.log)
	a.uses = newUses(func(ctx context.Context, payload []byte) error {
		_, err := a.bus.Request(ctx, a.bus.Subjects().SessionUses(), payload)
		return err
	}, a.log)
	return nil
}

// openRevocations makes what knows of revocations.
func (a *App) openRevocations() error {
	client, err := revocation.NewRedisClient(a.cfg.RedisURL)
	if err != nil {
		return fmt.Errorf("REDIS_URL: %w", err)
	}
	a.redis = client
	view := revocation.NewView(a.cfg.NodeID, a.keys, time.Now)
	a.checker = &revocation.Checker{
		View:    view,
		Second:  revocation.NewRedis(client, a.cfg.RedisPrefix, a.keys, time.Now),
		Metrics: revocation.NewMetrics(a.registry, view),
	}
	a.live = newLive(a.checker, a.metrics)
	view.Applied = a.live.Applied
	a.registry.MustRegister(longAnswers(a.live)...)
	a.limiter, err = limit.New(limit.Config{URL: a.cfg.RedisURL, Prefix: a.cfg.RedisPrefix, Now: time.Now, Log: a.log})
	return err
}

// openRoutes reads the route files.
func (a *App) openRoutes() (err error) {
	a.backends = newBackends(&backends{
		live: a.live, pseudonym: proxy.Pseudonym(a.cfg.NodeID), metrics: a.metrics, log: a.log, refresh: a.cfg.DNSRefresh,
	})
	a.registry.MustRegister(newTargetStates(a.backends))
	a.routes, err = routefile.Open(routefile.Config{
		Paths: a.cfg.Routes, Apply: a.applyRoutes, Log: a.log,
		Settings: routefile.Settings{AuthTargets: a.cfg.AuthURL, UserTargets: a.cfg.UserURL, CredentialLimit: a.cfg.CredentialLimit},
	})
	return err
}

// listen takes both addresses.
func (a *App) listen() error {
	handler, err := a.handler()
	if err != nil {
		return err
	}
	secure, err := a.serveTLS()
	if err != nil {
		return err
	}
	a.server, err = httpx.Listen("http", a.cfg.Addr, handler, httpx.WithLog(a.log), secure,
		httpx.WithCleartextHTTP2(), httpx.WithConnectionMetrics(a.registry, "gateway"), httpx.WithDrain(finishTime+a.cfg.DrainDelay, a.cfg.DrainDelay),
		httpx.WithLimits(httpx.Limits{
			Connections: a.cfg.MaxConnections, ConnectionsPerClient: cmp.Or(a.cfg.MaxConnectionsPerClient, connectionsPerClient), Exempt: a.cfg.TrustedProxies,
		}))
	if err != nil {
		return err
	}
	a.health.Add("keys", a.keys.Ready)
	a.health.Add("revocations", a.checker.Ready)
	a.ops, err = httpx.Listen("ops", a.cfg.OpsAddr, httpx.OpsHandler(a.health, a.registry, a.cfg.Profiling), httpx.WithLog(a.log))
	return err
}

// handler makes the pipeline and what is around it.
func (a *App) handler() (*echo.Echo, error) {
	verifier, err := token.NewVerifier(token.Settings{Issuer: a.cfg.Issuer, Audience: a.cfg.Audience}, countedKeys{a.keys, a.checker.View.Set, a.metrics}, time.Now)
	if err != nil {
		return nil, err
	}
	signer, assertionKeys, err := a.openAssertions()
	if err != nil {
		return nil, err
	}
	origins, err := access.NewOrigins(a.cfg.AllowedOrigins...)
	if err != nil {
		return nil, fmt.Errorf("GATEWAY_ALLOWED_ORIGINS: %w", err)
	}
	checked := &tokens{cache: token.NewCache(verifier, verifiedTokens), metrics: a.metrics}
	p := &pipeline{
		backends: a.backends,
		gate: &access.Gate{
			Tokens:      checked,
			Revocations: a.checker,
			Permissions: a.roles,
			Origins:     origins,
		},
		owner:   checked.cache.Verify,
		limiter: a.limiter,
		trust:   a.cfg.TrustedProxies,
		cors:    cors{origins: origins, any: len(a.cfg.AllowedOrigins) > 0},
		metrics: a.metrics,
		uses:    a.uses,
		sign:    signer.Assertion,
		own:     ownAnswers(a.backends, assertionKeys.Set()),
	}
	e := httpx.New(httpx.Options{
		Log: a.log, Service: "gateway", MaxBody: -1, TrustedProxies: a.cfg.TrustedProxies, Registry: a.registry, TrustRequestID: true,
	})
	e.Pre(p.middleware())
	return e, nil
}

// Run serves until ctx ends or a part fails, and then gives everything back.
func (a *App) Run(ctx context.Context) error {
	follower := &revocation.Follower{
		View: a.checker.View, Bus: a.bus, Log: a.log, Metrics: a.checker.Metrics, Now: time.Now,
		Address: a.Addr(), Version: version(), KeysStale: a.watch.stale,
	}
	parts := []lifecycle.Part{ // stopped in reverse order
		{Name: "keys", Run: a.keys.Run},
		{Name: "key watch", Run: a.watch.run},
		{Name: "role table", Run: a.roles.Run},
		{Name: "role watch", Run: a.watchRoles},
		{Name: "revocations", Run: follower.Run},
		{Name: "routes", Run: a.routes.Run},
		{Name: "uses of sessions", Run: a.uses.run},
		a.ops.Part(),
		{Name: "long answers", Run: a.live.Run},
		a.server.Part(),
		{Name: "endless answers", Run: a.live.Leave},
		{Name: "readiness", Run: a.drain, StopTimeout: a.cfg.DrainDelay + lifecycle.DefaultStopTimeout},
	}
	if a.pacer != nil {
		parts = append([]lifecycle.Part{{Name: "pace of garbage collection", Run: a.pacer.run}}, parts...)
	}
	if a.certificates != nil {
		parts = append([]lifecycle.Part{{Name: "certificates", Run: a.certificates.Run}}, parts...)
	}
	return errors.Join(lifecycle.Run(ctx, a.log, parts...), a.close())
}

// connectionsPerClient is a tenth of all by default.
const connectionsPerClient = 2_000

// finishTime is how long requests may take to end once no new connection is
// taken; connections that rest are closed after the drain delay, too.
const finishTime = 10 * time.Second

// drain has the gateway not ready as soon as it is asked to stop, and its
// clients leave. It goes on serving until whoever sends them has had the time
// to notice.
func (a *App) drain(ctx context.Context) error {
	<-ctx.Done()
	a.health.Drain()
	a.server.Drain()
	if a.cfg.DrainDelay > 0 {
		time.Sleep(a.cfg.DrainDelay)
	}
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
	if a.backends != nil {
		a.backends.close()
	}
	if a.limiter != nil {
		problems = append(problems, a.limiter.Close())
	}
	if a.redis != nil {
		problems = append(problems, a.redis.Close())
	}
	if a.bus != nil {
		a.bus.Close()
	}
	return errors.Join(problems...)
}

// Addr is where requests are answered.
func (a *App) Addr() string { return a.server.Addr() }

// OpsAddr is where health and metrics are.
func (a *App) OpsAddr() string { return a.ops.Addr() }

// Ready is nil if the gateway can decide about requests.
func (a *App) Ready(ctx context.Context) error {
	return errors.Join(a.keys.Ready(ctx), a.checker.Ready(ctx))
}
