package routefile

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"gatehouse.internal/gateway/internal/route"
)

// How soon a change is seen.
const (
	defaultPoll  = 5 * time.Second
	defaultQuiet = 300 * time.Millisecond
	// maxLogged bounds how many problems one log record names.
	maxLogged = 20
)

// Config is what a Loader needs.
type Config struct {
	Paths    []string // files or folders; none for the built-in routes alone
	Settings Settings
	// Apply, if not nil, is called with every good table before it is served,
	// the first one included, and never twice at once. A table that it refuses
	// is not served.
	Apply func(*route.Table) error
	Log   *slog.Logger

	Poll  time.Duration // how often the files are looked at; 5 s if 0
	Quiet time.Duration // how long they must stay as they are; 300 ms if 0
}

// Loader holds the table that is served, and renews it when the files change.
type Loader struct {
	config Config
	table  atomic.Pointer[route.Table]
	looked [sha256.Size]byte // what Run saw last

	mu       sync.Mutex
	seen     [sha256.Size]byte
	problems error
}

// Open reads the files for the first time. The error names every problem.
func Open(c Config) (*Loader, error) {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Poll <= 0 {
		c.Poll = defaultPoll
	}
	if c.Quiet <= 0 {
		c.Quiet = defaultQuiet
	}
	c.Paths = distinct(c.Paths)
	l := &Loader{config: c}
	all := readAll(c.Paths)
	l.seen = all.digest()
	if err := l.serve(all); err != nil {
		return nil, err
	}
	return l, nil
}

// Table is the table to serve the next request with.
func (l *Loader) Table() *route.Table { return l.table.Load() }

// Problems are what keeps the files, as they were last seen, from being
// served; nil if they are served. It is of type route.Problems unless Apply
// returned something else.
func (l *Loader) Problems() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.problems
}

// Reload looks at the files and serves them if they changed and are good. It
// returns what Problems does.
func (l *Loader) Reload() error { return l.renew(readAll(l.config.Paths)) }

func (l *Loader) renew(all sources) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	digest := all.digest()
	if digest == l.seen {
		return l.problems
	}
	l.seen = digest
	l.problems = l.serve(all)
	if l.problems != nil {
		l.logProblems()
	} else {
		l.config.Log.Info("routes changed", "routes", len(l.Table().Routes()))
	}
	return l.problems
}

// serve makes a table of the files and puts it in place of the present one.
func (l *Loader) serve(all sources) error {
	table, err := all.compile(l.config.Settings)
	if err != nil {
		return err
	}
	if l.config.Apply != nil {
		if err := l.config.Apply(table); err != nil {
			return fmt.Errorf("apply the routes: %w", err)
		}
	}
	l.table.Store(table)
	return nil
}

func (l *Loader) logProblems() {
	shown := []string{l.problems.Error()}
	count := 1
	if problems, ok := errors.AsType[route.Problems](l.problems); ok {
		count = len(problems)
		shown = shown[:0]
		for _, p := range problems[:min(count, maxLogged)] {
			shown = append(shown, p.String())
		}
	}
	l.config.Log.Error("routes have problems and were not changed", "count", count, "problems", shown)
}
