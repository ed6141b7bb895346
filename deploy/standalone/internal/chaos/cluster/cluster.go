package cluster

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"gatehouse.internal/deploy/standalone/internal/chaos/faultproxy"
	"gatehouse.internal/shared/embedded"
)

// Config says how large a cluster is and where it finds things.
type Config struct {
	Dir         string // for logs, streams and settings; it must exist
	Binaries    string // the folder where Build has put them
	DatabaseURL string // of a user of PostgreSQL who may create databases
	Name        string // of its databases: small letters, digits and underscores
	Gateways    int
	Auths       int
	Brokers     int
	// Direct leaves out the links: parts speak to one another without a proxy
	// between them, which costs time and processor. Link gives nil then.
	Direct bool
	// Service is the program behind the clients' routes, started as
	// "PROGRAM echo -addr ADDRESS"; devtools if it is empty.
	Service string
	// Clocks says that the binaries are of BuildWithClock.
	Clocks bool
}

// Cluster is a running system.
type Cluster struct {
	Dir, Binaries string
	URLs          []string // of the gateways
	Gateways      []*Process
	Auths         []*Process
	Users         *Process
	Brokers       []*Process
	Redis         *Process // nil if it is embedded in this process

	config      Config
	databases   *databases
	insideRedis *embedded.Redis
	processes   []*Process // in the order in which they were started
	ready       map[string]string
	client      *http.Client

	brokerAddrs, authAddrs []string
	redisAddr, userAddr    string
	smtpPort, echoPort     int

	closing chan struct{} // closed by Close
	group   sync.WaitGroup

	mu        sync.Mutex
	links     map[string]*faultproxy.Link
	addresses map[string]string // of all ways, with a link and without, by name
}

// Start starts a cluster and waits until every part is ready. What was started
// is ended if that fails.
func Start(ctx context.Context, cfg Config) (*Cluster, error) {
	c := &Cluster{
		Dir: cfg.Dir, Binaries: cfg.Binaries, config: cfg, ready: map[string]string{},
		closing: make(chan struct{}), links: map[string]*faultproxy.Link{}, addresses: map[string]string{},
		client: &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}},
	}
	if err := c.start(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("start a cluster: %w", err), errors.New(c.Logs(2000)), c.Close())
	}
	return c, nil
}

func (c *Cluster) start(ctx context.Context) (err error) {
	if c.databases, err = openDatabases(ctx, c.config.DatabaseURL, c.config.Name); err != nil {
		return err
	}
	k, m, n := c.config.Brokers, c.config.Auths, c.config.Gateways
	free, err := ports(ctx, 2*k+2*m+2*n+2+4)
	if err != nil {
		return err
	}
	take := func(n int) []int {
		taken := free[:n]
		free = free[n:]
		return taken
	}
	one := func() int { return take(1)[0] }
	c.smtpPort, c.echoPort = one(), one()
	mailPort, redisPort := one(), one()
	tools := filepath.Join(c.Binaries, "devtools")
	if _, err := c.process("mailbox", tools, nil, "mailbox", "-addr", loopback(mailPort), "-smtp-addr", loopback(c.smtpPort)); err != nil {
		return err
	}
	service := c.config.Service
	if service == "" {
		service = tools
	}
	if _, err := c.process("echo", service, nil, "echo", "-addr", loopback(c.echoPort)); err != nil {
		return err
	}
	for _, step := range []func() error{
		func() error { return c.startRedis(redisPort) },
		func() error { return c.startBrokers(take(k), take(k)) },
		func() error { return c.startAuths(take(m), take(m)) },
		func() error { return c.startUsers(one(), one()) },
		func() error { return c.startGateways(take(n), take(n)) },
	} {
		if err := step(); err != nil {
			return err
		}
	}
	c.watchLogs()
	return c.Await(ctx)
}

// process defines a process and starts it.
func (c *Cluster) process(name, path string, env []string, args ...string) (*Process, error) {
	p := &Process{
		Name: name, path: path, args: args, logFile: filepath.Join(c.Dir, name+".log"),
		clockFile: filepath.Join(c.Dir, name+".clock"),
	}
	p.env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + c.Dir, clockVariable + "=" + p.clockFile}, env...)
	c.processes = append(c.processes, p)
	return p, p.Start()
}

// open opens the way from one part to the address of another, and gives the
// address that the first one is to use.
func (c *Cluster) open(from, to, target string) (string, error) {
	name := from + ">" + to
	c.mu.Lock()
	defer c.mu.Unlock()
	c.addresses[name] = target
	if c.config.Direct {
		return target, nil
	}
	l, err := faultproxy.Open(name, target)
	if err != nil {
		return "", err
	}
	c.links[name], c.addresses[name] = l, l.Addr()
	return l.Addr(), nil
}

// address is where one part reaches another.
func (c *Cluster) address(from, to string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.addresses[from+">"+to]
}

// Add starts a further process, which ends with the cluster. Its environment
// is env and what every process gets.
func (c *Cluster) Add(name, path string, env []string, args ...string) (*Process, error) {
	return c.process(name, path, env, args...)
}

// OpsURL is where a service answers for health and metrics; "" for a process
// that does not.
func (c *Cluster) OpsURL(p *Process) string { return strings.TrimSuffix(c.ready[p.Name], "/readyz") }

// Link gives the link between two parts, nil if there is none.
func (c *Cluster) Link(from, to string) *faultproxy.Link {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.links[from+">"+to]
}

// Links gives the links for which want is true, sorted by name.
func (c *Cluster) Links(want func(name string) bool) []*faultproxy.Link {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []*faultproxy.Link
	for name, l := range c.links {
		if want(name) {
			out = append(out, l)
		}
	}
	slices.SortFunc(out, func(a, b *faultproxy.Link) int {
		if a.Name() < b.Name() {
			return -1
		}
		return 1
	})
	return out
}

// Heal ends every fault: links pass, stopped processes go on, those that have
// ended start again, clocks are right. It does not wait for what follows from that.
func (c *Cluster) Heal() error {
	for _, l := range c.Links(func(string) bool { return true }) {
		l.Heal()
	}
	var errs []error
	for _, p := range c.processes {
		errs = append(errs, p.Resume(), p.Start())
		if c.config.Clocks {
			errs = append(errs, c.SetClock(p, 0))
		}
	}
	return errors.Join(errs...)
}

// Close ends the processes, in the reverse order of their start, and the links,
// and drops the databases. It is called once.
func (c *Cluster) Close() error {
	var errs []error
	close(c.closing)
	c.group.Wait()
	for _, l := range c.Links(func(string) bool { return true }) {
		l.Heal()
	}
	for _, p := range slices.Backward(c.processes) {
		errs = append(errs, p.Kill())
	}
	for _, l := range c.Links(func(string) bool { return true }) {
		errs = append(errs, l.Close())
	}
	if c.insideRedis != nil {
		errs = append(errs, c.insideRedis.Close())
	}
	if c.databases != nil {
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		defer cancel()
		errs = append(errs, c.databases.close(ctx))
	}
	return errors.Join(errs...)
}
