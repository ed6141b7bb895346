package bus

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"gatehouse.internal/shared/contract"
)

// Bounds of the connection. The library keeps its lock while it connects and
// while it writes, so these are also the longest that a call can be held up.
const (
	connectTimeout = time.Second
	writeTimeout   = time.Second
	pingInterval   = time.Second
	maxPings       = 2
	minReconnect   = 50 * time.Millisecond
	maxReconnect   = 500 * time.Millisecond
	closeTimeout   = time.Second
	callTimeout    = 5 * time.Second // of a call whose context has no deadline
)

// maxReplicas is the most that the broker allows.
const maxReplicas = 5

// Config says where the broker is and who we are.
type Config struct {
	URL    string `env:"NATS_URL"`                           // nats://host:port, several separated by commas
	Creds  string `env:"NATS_CREDS"`                         // path of a credentials file, if the broker asks for one
	Prefix string `env:"NATS_PREFIX" envDefault:"gatehouse"` // first word of every subject and stream
	// Replicas is how many servers of a cluster keep a copy of each stream that
	// does not say so itself.
	Replicas int    `env:"NATS_REPLICAS" envDefault:"1"`
	Name     string // of the client, for the broker's monitoring; its first word, the kind of client, is also that of its inboxes
}

// Bus is a connection to the broker. Its methods may be called at any time and
// from any goroutine.
type Bus struct {
	conn      *nats.Conn
	js        jetstream.JetStream
	log       *slog.Logger
	subjects  contract.Subjects
	connected atomic.Bool // as the library last told, readable without its lock

	replicas int
	made     atomic.Pointer[nats.Conn] // conn, for callbacks that come before Connect has it

	mu      sync.Mutex
	closed  bool
	refusal string // why the last attempt to connect failed
	subs    map[*subscription]struct{}
	hooks   map[int]func() // called after every (re)connect
	hookID  int
	streams map[string]Stream // ensured through this bus
}

// Connect starts a connection. It does not wait for a server that is away: the
// connection is made as soon as there is one.
func Connect(cfg Config, log *slog.Logger) (*Bus, error) {
	if cfg.URL == "" {
		return nil, errors.New("connect to NATS: NATS_URL is empty")
	}
	if cfg.Replicas < 0 || cfg.Replicas > maxReplicas {
		return nil, fmt.Errorf("connect to NATS: NATS_REPLICAS: %d is not within 1 and %d", cfg.Replicas, maxReplicas)
	}
	if cfg.Creds != "" {
		// The library would try for ever, as with a server that is away.
		if _, err := os.ReadFile(cfg.Creds); err != nil {
			return nil, fmt.Errorf("connect to NATS: read NATS_CREDS: %w", err)
		}
	}
	b := &Bus{
		log:      log,
		subjects: contract.Subjects{Prefix: cmp.Or(cfg.Prefix, contract.DefaultPrefix)},
		replicas: cfg.Replicas,
		subs:     map[*subscription]struct{}{},
		hooks:    map[int]func(){},
		streams:  map[string]Stream{},
	}
	options := b.options(cfg)
	conn, err := nats.Connect(cfg.URL, options...)
	if bad, ok := errors.AsType[*url.Error](err); ok {
		err = fmt.Errorf("NATS_URL is not a URL: %w", bad.Err) // without its text, which may hold a password
	}
	if err != nil {
		return nil, fmt.Errorf("connect to NATS: %w", err)
	}
	b.conn = conn
	b.made.Store(conn)
	// What a stream never acknowledges is not kept for ever.
	if b.js, err = jetstream.New(conn, jetstream.WithDefaultTimeout(callTimeout), jetstream.WithPublishAsyncTimeout(callTimeout)); err != nil {
		conn.Close()
		return nil, fmt.Errorf("connect to NATS: %w", err)
	}
	if conn.IsConnected() {
		b.connected.Store(true)
	}
	return b, nil
}

func (b *Bus) options(cfg Config) []nats.Option {
	options := []nats.Option{
		nats.Name(cfg.Name),
		nats.CustomInboxPrefix(inboxPrefix(cfg.Name)),
		nats.RetryOnFailedConnect(true),
		nats.MaxReconnects(-1),
		// No buffer for a server that is away: what was refused with an error
		// must not be delivered later.
		nats.ReconnectBufSize(-1),
		// A name is looked up within the bound of the dial. The library's own
		// look-up has none, and would keep the lock while no name server answers.
		nats.SkipHostLookup(),
		nats.CustomReconnectDelay(func(attempts int) time.Duration {
			// The library tells nobody of a handshake that failed: not of a
			// certificate that has expired, not of a password that is wrong.
			if conn := b.made.Load(); conn != nil {
				b.refused(conn.LastError())
			}
			limit := min(minReconnect<<min(attempts, 10), maxReconnect)
			return minReconnect + rand.N(limit)
		}),
		// A server that has forgotten us may know us again: keep trying.
		nats.IgnoreAuthErrorAbort(),
		nats.Timeout(connectTimeout),
		nats.FlusherTimeout(writeTimeout),
		nats.PingInterval(pingInterval),
		nats.MaxPingsOutstanding(maxPings),
		nats.SyncQueueLen(pendingMessages),
		nats.ConnectHandler(func(*nats.Conn) { b.onConnect() }),
		nats.ReconnectHandler(func(*nats.Conn) { b.onConnect() }),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			b.connected.Store(false)
			if !b.isClosed() {
				b.log.Warn("broker connection lost", "error", err)
			}
		}),
		nats.ReconnectErrHandler(func(_ *nats.Conn, err error) { b.refused(err) }),
		nats.ErrorHandler(func(_ *nats.Conn, sub *nats.Subscription, err error) {
			subject := ""
			if sub != nil {
				subject = sub.Subject
			}
			b.log.Warn("broker reports a problem", "subject", subject, "error", err)
		}),
	}
	if cfg.Creds != "" {
		options = append(options, nats.UserCredentials(cfg.Creds))
	}
	return options
}

// inboxPrefix gives each kind of client inboxes of its own, by the first word
// of its name, so that the broker's permissions can keep answers and the
// messages of streams from the other services.
func inboxPrefix(name string) string {
	kind, _, _ := strings.Cut(name, " ")
	return "_INBOX." + strings.Map(func(r rune) rune {
		if r > ' ' && r < 0x7f && !strings.ContainsRune(".*>", r) {
			return r
		}
		return '-'
	}, cmp.Or(kind, "client"))
}

// refused notes why an attempt to connect failed, once for each reason.
func (b *Bus) refused(err error) {
	if err == nil {
		return
	}
	why := err.Error()
	if invalid, ok := errors.AsType[x509.CertificateInvalidError](err); ok {
		why = fmt.Sprintf("certificate invalid for reason %d", invalid.Reason) // its text tells the time
	}
	b.mu.Lock()
	tell := !b.closed && why != b.refusal
	b.refusal = why
	b.mu.Unlock()
	if tell {
		b.log.Warn("broker cannot be reached", "error", err)
	}
}

func (b *Bus) onConnect() {
	b.connected.Store(true)
	b.log.Info("broker connected")
	b.mu.Lock()
	b.refusal = ""
	hooks := slices.Collect(maps.Values(b.hooks))
	b.mu.Unlock()
	for _, hook := range hooks {
		hook()
	}
}

// OnReconnect has f called after each time the connection is made. f must not
// block: the next event waits for it.
func (b *Bus) OnReconnect(f func()) { b.hook(f) }

// hook registers f and gives a function that removes it.
func (b *Bus) hook(f func()) (remove func()) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.hookID++
	id := b.hookID
	b.hooks[id] = f
	return func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		delete(b.hooks, id)
	}
}

// Subjects gives the subjects and stream names under the bus's prefix.
func (b *Bus) Subjects() contract.Subjects { return b.subjects }

// Ready tells whether the server answers, by asking it.
func (b *Bus) Ready(ctx context.Context) error {
	if !b.connected.Load() {
		return b.failure("reach the broker", nats.ErrDisconnected)
	}
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	if err := b.conn.FlushWithContext(ctx); err != nil {
		return b.failure("reach the broker", err)
	}
	return nil
}

// Close stops the subscriptions, waits for their handlers, sends what is still
// in the buffer and closes the connection. It may be called again.
func (b *Bus) Close() {
	b.mu.Lock()
	wasClosed := b.closed
	b.closed = true
	subs := slices.Collect(maps.Keys(b.subs))
	b.mu.Unlock()
	if wasClosed {
		return
	}
	for _, sub := range subs {
		sub.Stop()
	}
	if b.connected.Load() {
		if err := b.conn.FlushTimeout(closeTimeout); err != nil {
			b.log.Warn("broker connection closed with messages unsent", "error", err)
		}
	}
	b.conn.Close()
	b.connected.Store(false)
}

func (b *Bus) isClosed() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.closed
}
