package route

import (
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Upstream is a service behind the gateway: its replicas and how to use them.
// What is zero has the default of the part that obeys it.
type Upstream struct {
	Name     string
	Targets  []string // http://host:port or https://host:port
	Weights  []int    // of the targets; nil for 1 each
	Balance  string   // round_robin, least_conn or random_two
	Protocol string   // http1, h2 or h2c
	TLS      *TLS     // of https targets; nil for the system's authorities

	Health      *Health // nil for no probes
	Ejection    Ejection
	Retries     *Retries // nil for none but on refused connections
	Breaker     *Breaker // nil for none
	Failing     []int    // statuses of answers that count as failures
	MaxInFlight int      // calls at once, for each target

	Timeout        time.Duration // until an answer begins
	ConnectTimeout time.Duration // until there is a connection
	IdleTimeout    time.Duration // for which an answer that has begun may stand still

	Source Position
}

// Health says how an upstream's targets are probed.
type Health struct {
	Path      string
	Interval  time.Duration
	Timeout   time.Duration // of one probe
	Unhealthy int           // missed probes in a row that make a target sick
	Healthy   int           // probes in a row that make it well again
	Statuses  []int         // that say it is well; nil for every one below 500
}

// Ejection says when calls that fail leave a target out, and for how long.
type Ejection struct {
	Failures   int // in a row
	First, Max time.Duration
}

// Retries say how often a request that may be repeated is.
type Retries struct {
	Attempts      int // beside the first
	BudgetPercent int // how many retries for a hundred calls
}

// Breaker says when an upstream as a whole is left alone for a while.
type Breaker struct {
	FailurePercent int
	MinCalls       int
	OpenFor        time.Duration
}

// TLS says by which files an https target is trusted and trusts the gateway.
// The paths are absolute.
type TLS struct {
	CA, Cert, Key string // PEM; empty for none
	ServerName    string // in place of the target's host

	At TLSPlaces `json:"-"` // where the files are named
}

// TLSPlaces are where files are named, for whoever reads them.
type TLSPlaces struct{ CA, Cert, Key Position }

// The bounds and defaults of what an upstream may ask for.
const (
	maxTargets  = 256
	maxWeight   = 100
	maxInFlight = 1 << 20
	maxAttempts = 5

	DefaultBudgetPercent  = 20
	DefaultFailurePercent = 50
	DefaultMinCalls       = 20
	DefaultOpenFor        = 5 * time.Second
)

// check reports what is wrong with an upstream, and fills in defaults.
func (d *UpstreamDefinition) check(c checker) {
	if !isName(d.Name) {
		c.report("name", "%q is not 1 to 64 letters, digits, dashes, dots and underscores", d.Name)
	}
	d.checkTargets(c)
	c.oneOf("balance", d.Balance, "round_robin", "least_conn", "random_two")
	if !c.written("balance") {
		d.Balance = "round_robin"
	}
	c.duration("timeout", d.Timeout, time.Millisecond, maxTimeout)
	if !c.written("timeout") {
		d.Timeout = DefaultTimeout
	}
	c.duration("connect_timeout", d.ConnectTimeout, time.Millisecond, time.Minute)
	c.duration("idle_timeout", d.IdleTimeout, time.Millisecond, maxTimeout)
	c.within("max_requests", d.MaxInFlight, 1, maxInFlight)
	c.statuses("failure_statuses", d.Failing, 500)
	d.checkProtocol(c)
	d.checkFailures(c)
	if d.Health != nil {
		d.checkHealth(c)
	}
}

func (d *UpstreamDefinition) checkTargets(c checker) {
	if len(d.Targets) == 0 {
		c.report("targets", "missing; an upstream has at least one")
	}
	if len(d.Targets) > maxTargets {
		c.report("targets", "names %d, more than %d", len(d.Targets), maxTargets)
	}
	for i, target := range d.Targets {
		if !isTarget(target) {
			// The text is not repeated: it might hold a password.
			c.reportItem("targets", i, "number %d is not http://host:port or https://host:port", i+1)
		}
		if slices.Contains(d.Targets[:i], target) {
			c.reportItem("targets", i, "number %d appears twice", i+1)
		}
	}
	for i, weight := range d.Weights {
		if weight < 1 || weight > maxWeight {
			c.reportItem("targets", i, "the weight %d of number %d is not within 1 and %d", weight, i+1, maxWeight)
		}
	}
}

// checkProtocol sees to it that the targets can speak what they are said to.
func (d *UpstreamDefinition) checkProtocol(c checker) {
	c.oneOf("protocol", d.Protocol, "http1", "h2", "h2c")
	secure := 0
	for i, target := range d.Targets {
		u, err := url.Parse(target)
		if err != nil {
			continue // reported
		}
		if u.Scheme == "https" {
			secure++
		}
		if d.Protocol == "h2" && u.Scheme == "http" {
			c.reportItem("targets", i, "number %d needs https for protocol: h2; HTTP/2 in clear is h2c", i+1)
		}
		if d.Protocol == "h2c" && u.Scheme == "https" {
			c.reportItem("targets", i, "number %d needs http for protocol: h2c; HTTP/2 over TLS is h2", i+1)
		}
	}
	if d.TLS == nil {
		return
	}
	files := *d.TLS
	files.At = TLSPlaces{CA: c.at["tls.ca"].Position, Cert: c.at["tls.cert"].Position, Key: c.at["tls.key"].Position}
	d.TLS = &files
	if secure == 0 {
		c.report("tls", "says nothing, as no target is https")
	}
	for field, file := range map[string]string{"tls.ca": d.TLS.CA, "tls.cert": d.TLS.Cert, "tls.key": d.TLS.Key} {
		if c.written(field) && !filepath.IsAbs(file) {
			c.report(field, "%q is not an absolute path", file)
		}
	}
	if c.written("tls.cert") != c.written("tls.key") {
		c.report("tls", "a certificate and its key come together")
	}
	if c.written("tls.server_name") {
		if _, ok := normalHost(d.TLS.ServerName); !ok {
			c.report("tls.server_name", "%q is not a host name", d.TLS.ServerName)
		}
	}
}

// checkFailures sees to what is done about calls that fail.
func (d *UpstreamDefinition) checkFailures(c checker) {
	c.within("ejection.failures", d.Ejection.Failures, 1, 1000)
	c.duration("ejection.first", d.Ejection.First, 100*time.Millisecond, time.Hour)
	c.duration("ejection.max", d.Ejection.Max, max(100*time.Millisecond, d.Ejection.First), time.Hour)
	if d.Retries != nil {
		r := *d.Retries
		if !c.written("retries.attempts") {
			c.report("retries.attempts", "missing")
		}
		c.within("retries.attempts", r.Attempts, 1, maxAttempts)
		c.within("retries.budget_percent", r.BudgetPercent, 1, 100)
		if !c.written("retries.budget_percent") {
			r.BudgetPercent = DefaultBudgetPercent
		}
		d.Retries = &r
	}
	if d.Breaker != nil {
		b := *d.Breaker
		c.within("breaker.failure_percent", b.FailurePercent, 1, 100)
		c.within("breaker.min_calls", b.MinCalls, 1, 1_000_000)
		c.duration("breaker.open_for", b.OpenFor, 100*time.Millisecond, 10*time.Minute)
		if !c.written("breaker.failure_percent") {
			b.FailurePercent = DefaultFailurePercent
		}
		if !c.written("breaker.min_calls") {
			b.MinCalls = DefaultMinCalls
		}
		if !c.written("breaker.open_for") {
			b.OpenFor = DefaultOpenFor
		}
		d.Breaker = &b
	}
}

func (d *UpstreamDefinition) checkHealth(c checker) {
	health := *d.Health
	if !c.written("health.path") {
		c.report("health.path", "missing")
	} else if !isPlainPath(health.Path) {
		c.report("health.path", "%q is not a path", health.Path)
	}
	c.duration("health.interval", health.Interval, 100*time.Millisecond, time.Hour)
	c.duration("health.timeout", health.Timeout, 10*time.Millisecond, time.Minute)
	c.within("health.unhealthy", health.Unhealthy, 1, 100)
	c.within("health.healthy", health.Healthy, 1, 100)
	c.statuses("health.statuses", health.Statuses, 200)
	if !c.written("health.interval") {
		health.Interval = DefaultHealthInterval
	}
	d.Health = &health
}

// within reports a number that was written and is not within bounds.
func (c checker) within(field string, n, lowest, highest int) {
	if c.written(field) && (n < lowest || n > highest) {
		c.report(field, "%d is not within %d and %d", n, lowest, highest)
	}
}

// statuses reports statuses that are none of an answer, or below the lowest.
func (c checker) statuses(field string, statuses []int, lowest int) {
	if c.written(field) && len(statuses) == 0 {
		c.report(field, "names no status; leave it out")
	}
	for i, status := range statuses {
		if status < lowest || status > 599 {
			c.reportItem(field, i, "%d is not a status within %d and 599", status, lowest)
		}
	}
}

// isTarget reports whether text is the address of a replica.
func isTarget(text string) bool {
	u, err := url.Parse(text)
	if err != nil {
		return false
	}
	return (u.Scheme == "http" || u.Scheme == "https") && u.Hostname() != "" && u.User == nil && hasGoodPort(u) &&
		(u.Path == "" || u.Path == "/") && u.RawQuery == "" && !u.ForceQuery && u.Fragment == ""
}

// hasGoodPort reports whether the port, if there is one, is one to connect to.
func hasGoodPort(u *url.URL) bool {
	if !strings.HasSuffix(u.Host, ":"+u.Port()) { // net/url takes a colon without one
		return true
	}
	port, err := strconv.ParseUint(u.Port(), 10, 16)
	return err == nil && port > 0
}
