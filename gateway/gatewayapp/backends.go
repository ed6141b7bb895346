package gatewayapp

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"reflect"
	"sync"
	"sync/atomic"
	"time"

	"gatehouse.internal/gateway/internal/proxy"
	"gatehouse.internal/gateway/internal/proxy/coding"
	"gatehouse.internal/gateway/internal/proxy/live"
	"gatehouse.internal/gateway/internal/route"
	"gatehouse.internal/gateway/internal/upstream"
)

// issuerUpstream is the built-in upstream that issues tokens: the one that
// gets and sets the cookie of the refresh token.
const issuerUpstream = "auth"

// serving is a table and the way to the upstream of each of its routes. It
// never changes; a change of the route files makes another one.
type serving struct {
	table   *route.Table
	proxies map[*route.Route]*proxy.Proxy
}

// backends keeps the upstreams of the table that is served. One whose
// definition a new table leaves as it is keeps what is known of its health and
// its connections.
type backends struct {
	live      *live.Registry
	pseudonym string
	metrics   *metrics
	log       *slog.Logger
	refresh   time.Duration    // how often the names of targets are looked up
	encoders  *coding.Encoders // of compressed answers

	serving atomic.Pointer[serving]

	mu     sync.Mutex // guards what follows
	byName map[string]*backend
	tasks  sync.WaitGroup  // health checks and look-ups of names
	ctx    context.Context // of the tasks; New and close own it
	cancel context.CancelFunc
}

// backend is one upstream in use.
type backend struct {
	spec       route.Upstream
	set        *upstream.Set
	options    proxy.TransportOptions             // but for the time-out
	transports map[time.Duration]*proxy.Transport // by time-out
	proxies    map[time.Duration]*proxy.Proxy
	stop       context.CancelFunc // of its tasks
}

func newBackends(b *backends) *backends {
	b.byName, b.encoders = map[string]*backend{}, coding.NewEncoders()
	b.ctx, b.cancel = context.WithCancel(context.Background())
	return b
}

// apply makes a new table the one that is served.
func (b *backends) apply(table *route.Table) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	next := map[string]*backend{}
	var problems route.Problems
	for _, spec := range table.Upstreams() {
		kept, known := b.byName[spec.Name]
		if !known || !sameUpstream(kept.spec, spec) {
			made, err := b.newBackend(spec)
			if err != nil {
				problems = append(problems, problemOf(spec, err))
				continue
			}
			kept = made
		}
		next[spec.Name] = kept
	}
	if err := problems.Err(); err != nil {
		return err
	}
	s := &serving{table: table, proxies: map[*route.Route]*proxy.Proxy{}}
	for _, r := range table.Routes() {
		if r.Upstream != route.GatewayUpstream {
			s.proxies[r] = b.proxyFor(next[r.Upstream], r.Timeout)
		}
	}
	b.replace(next)
	b.serving.Store(s)
	return nil
}

// sameUpstream compares definitions, wherever they were written.
func sameUpstream(a, b route.Upstream) bool {
	a.Source, b.Source = route.Position{}, route.Position{}
	a.TLS, b.TLS = withoutPlaces(a.TLS), withoutPlaces(b.TLS)
	return reflect.DeepEqual(a, b)
}

func withoutPlaces(t *route.TLS) *route.TLS {
	if t == nil {
		return nil
	}
	files := *t
	files.At = route.TLSPlaces{}
	return &files
}

// problemOf tells what is wrong with an upstream, and in which line.
func problemOf(spec route.Upstream, err error) route.Problem {
	if file, is := errors.AsType[*proxy.FileError](err); is && spec.TLS != nil {
		at := map[string]route.Position{"ca": spec.TLS.At.CA, "cert": spec.TLS.At.Cert, "key": spec.TLS.At.Key}[file.Field]
		return route.Problem{Position: at, Message: "tls." + file.Field + ": " + file.Error()}
	}
	return route.Problem{Position: spec.Source, Message: "upstream " + spec.Name + ": " + err.Error()}
}

func (b *backends) newBackend(spec route.Upstream) (*backend, error) {
	log := b.log.With("upstream", spec.Name)
	settings := upstream.Settings{
		Targets: spec.Targets, Weights: spec.Weights, Balance: upstream.Balance(spec.Balance), MaxInFlight: spec.MaxInFlight,
		Ejection: upstream.Ejection(spec.Ejection), Ramp: recoveryRamp,
	}
	if spec.Retries != nil {
		settings.RetryPercent = spec.Retries.BudgetPercent
	}
	if spec.Breaker != nil {
		settings.Breaker = new(upstream.Breaker(*spec.Breaker))
	}
	set, err := upstream.New(settings)
	if err != nil {
		return nil, err
	}
	made := &backend{
		spec: spec, set: set, transports: map[time.Duration]*proxy.Transport{}, proxies: map[time.Duration]*proxy.Proxy{},
		options: proxy.TransportOptions{Protocol: proxy.Protocol(spec.Protocol), Connect: spec.ConnectTimeout},
	}
	if t := spec.TLS; t != nil {
		files := &proxy.TLSFiles{CA: t.CA, Cert: t.Cert, Key: t.Key, ServerName: t.ServerName, Log: log}
		if _, err := files.Config(); err != nil {
			return nil, err
		}
		made.options.TLS = files
	}
	names := proxy.NamesOptions{Refresh: b.refresh, Log: log, Failed: func() { b.metrics.lookupFailed(spec.Name) }}
	for _, t := range set.Targets() {
		names.Hosts = append(names.Hosts, t.URL.Hostname())
	}
	made.options.Names = proxy.NewNames(names)
	return made, nil
}

// recoveryRamp is how long a target that is back takes to its full share.
const recoveryRamp = 10 * time.Second

// proxyFor gives the proxy to an upstream with a route's own time-out, or the
// upstream's.
func (b *backends) proxyFor(to *backend, timeout time.Duration) *proxy.Proxy {
	if timeout <= 0 {
		timeout = to.spec.Timeout
	}
	if made, known := to.proxies[timeout]; known {
		return made
	}
	options := to.options
	options.Timeout = timeout
	to.transports[timeout] = proxy.NewTransport(options)
	o := proxy.Options{
		Upstream: to.spec.Name, Set: to.set, Transport: to.transports[timeout], Pseudonym: b.pseudonym,
		HTTP2:   options.Protocol == proxy.HTTP2 || options.Protocol == proxy.H2C,
		Failing: to.spec.Failing, Idle: to.spec.IdleTimeout,
		Issuer: to.spec.Name == issuerUpstream, Live: b.live, Encoders: b.encoders, Log: b.log, Observe: b.metrics.attempts(to.spec.Name), Retried: b.metrics.retried,
	}
	if to.spec.Retries != nil {
		o.Retries = to.spec.Retries.Attempts
	}
	to.proxies[timeout] = proxy.New(o)
	return to.proxies[timeout]
}

// replace begins the tasks of new upstreams and ends those of old ones. Requests that are under way to an old one go on.
func (b *backends) replace(next map[string]*backend) {
	for name, old := range b.byName {
		if next[name] != old {
			old.retire()
		}
	}
	for _, each := range next {
		if each.stop == nil {
			b.watch(each)
		}
	}
	b.byName = next
}

// watch looks up the names of an upstream's targets, and probes them if it has
// a health check.
func (b *backends) watch(each *backend) {
	ctx, stop := context.WithCancel(b.ctx)
	each.stop = stop
	b.tasks.Go(func() { each.options.Names.Run(ctx) })
	if each.spec.Health == nil {
		return
	}
	health := *each.spec.Health
	probe := proxy.NewProbe(health.Path, health.Statuses, each.options)
	b.tasks.Go(func() {
		defer probe.Close()
		each.set.Watch(ctx, upstream.Health{
			Interval: health.Interval, Timeout: cmp.Or(health.Timeout, probeTimeout), Probe: probe.Ask,
			Unhealthy: health.Unhealthy, Healthy: health.Healthy,
			Changed: func(t *upstream.Target, err error) {
				if err != nil {
					b.log.Warn("upstream target is not well", "upstream", each.spec.Name, "target", t.URL.String(), "error", err)
					return
				}
				b.log.Info("upstream target is well", "upstream", each.spec.Name, "target", t.URL.String())
			},
		})
	})
}

// probeTimeout is how long a target has to say that it is well, where its
// upstream does not say.
const probeTimeout = 2 * time.Second

// retire ends the tasks and lets go of idle connections.
func (e *backend) retire() {
	if e.stop != nil {
		e.stop()
	}
	for _, transport := range e.transports {
		transport.CloseIdleConnections()
	}
}

// states tells how each target fares, for metrics.
func (b *backends) states() map[string][]upstream.State {
	b.mu.Lock()
	defer b.mu.Unlock()
	all := map[string][]upstream.State{}
	for name, each := range b.byName {
		for _, target := range each.set.Targets() {
			all[name] = append(all[name], target.State())
		}
	}
	return all
}

// open tells of each upstream with a breaker whether that keeps calls back.
func (b *backends) open() map[string]bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	all := map[string]bool{}
	for name, each := range b.byName {
		if each.spec.Breaker != nil {
			all[name] = each.set.Open()
		}
	}
	return all
}

// close ends all tasks and waits for them.
func (b *backends) close() {
	b.cancel()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, each := range b.byName {
		each.retire()
		for _, transport := range each.transports {
			_ = transport.Close() // never fails
		}
	}
	b.tasks.Wait()
}
