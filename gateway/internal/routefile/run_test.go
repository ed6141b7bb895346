package routefile_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse.internal/gateway/internal/route"
	"gatehouse.internal/gateway/internal/routefile"
)

// journal collects log lines.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(p)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()
}

// until waits for a condition that files and timers bring about.
func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(20 * time.Second)
	for !holds() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("never: %s", what)
		}
	}
}

func serves(l *routefile.Loader, path string) bool {
	r, _ := l.Table().Match("GET", "h", path)
	return r != nil
}

func routesOf(path string) string {
	return "upstreams: {a: {targets: [http://a]}}\nroutes: [{name: one, match: {path: " + path + "}, upstream: a, auth: none}]"
}

func TestLoader_Run(t *testing.T) {
	for name, timing := range map[string]routefile.Config{
		"by notification": {Quiet: 5 * time.Millisecond, Poll: time.Hour},
		"by looking, too": {Quiet: 5 * time.Millisecond, Poll: 5 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			dir := folder(t, map[string]string{"r.yaml": routesOf("/one")})
			file := filepath.Join(dir, "r.yaml")
			var log journal
			config := timing
			config.Paths, config.Settings, config.Log = []string{dir}, settings(), slog.New(slog.NewJSONHandler(&log, nil))
			l, err := routefile.Open(config)
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error, 1)
			go func() { done <- l.Run(ctx) }()
			defer func() {
				cancel()
				if err := <-done; err != nil {
					t.Error(err)
				}
			}()

			write(t, file, routesOf("/two"))
			until(t, "a change is served", func() bool { return serves(l, "/two") })
			write(t, file, "routes: [{name: x, auth: maybe}]")
			until(t, "problems are seen", func() bool { return l.Problems() != nil })
			if !serves(l, "/two") {
				t.Error("a bad file replaced a good table")
			}
			until(t, "problems are logged", func() bool { return strings.Contains(log.String(), `r.yaml:1:26: auth`) })
			write(t, file, routesOf("/three"))
			until(t, "a mended file is served", func() bool { return serves(l, "/three") && l.Problems() == nil })
			if err := os.Rename(file, filepath.Join(dir, "other.yaml")); err != nil {
				t.Fatal(err)
			}
			write(t, filepath.Join(dir, "new"), routesOf("/four"))
			if err := os.Remove(filepath.Join(dir, "other.yaml")); err != nil {
				t.Fatal(err)
			}
			until(t, "a file that is gone", func() bool { return !serves(l, "/three") && !serves(l, "/four") })
			if err := os.Rename(filepath.Join(dir, "new"), file); err != nil {
				t.Fatal(err)
			}
			until(t, "a file that was moved here", func() bool { return serves(l, "/four") })
		})
	}
	t.Run("a folder behind a link, as Kubernetes replaces it", func(t *testing.T) {
		dir := t.TempDir()
		for version, path := range map[string]string{"v1": "/one", "v2": "/two"} {
			if err := os.Mkdir(filepath.Join(dir, version), 0o700); err != nil {
				t.Fatal(err)
			}
			write(t, filepath.Join(dir, version, "r.yaml"), routesOf(path))
		}
		link := func(from, to string) {
			if err := errors.Join(os.Symlink(to, filepath.Join(dir, "tmp")), os.Rename(filepath.Join(dir, "tmp"), filepath.Join(dir, from))); err != nil {
				t.Fatal(err)
			}
		}
		link("..data", "v1")
		link("r.yaml", filepath.Join("..data", "r.yaml"))
		l, err := routefile.Open(routefile.Config{Paths: []string{filepath.Join(dir, "r.yaml")}, Settings: settings(), Quiet: 5 * time.Millisecond, Poll: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- l.Run(ctx) }()
		link("..data", "v2")
		until(t, "the new version is served", func() bool { return serves(l, "/two") })
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Run("a folder of a team that comes later", func(t *testing.T) {
		dir := t.TempDir()
		l, err := routefile.Open(routefile.Config{Paths: []string{dir}, Settings: settings(), Quiet: 5 * time.Millisecond, Poll: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- l.Run(ctx) }()
		team := filepath.Join(dir, "team")
		if err := os.Mkdir(team, 0o700); err != nil {
			t.Fatal(err)
		}
		for _, path := range []string{"/one", "/two"} {
			write(t, filepath.Join(team, "r.yaml"), routesOf(path))
			until(t, "a file in it is served", func() bool { return serves(l, path) })
		}
		if err := os.RemoveAll(team); err != nil {
			t.Fatal(err)
		}
		until(t, "a folder that is gone takes its routes along", func() bool { return !serves(l, "/two") })
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	t.Run("nothing to watch", func(t *testing.T) {
		l, err := routefile.Open(routefile.Config{Settings: settings()})
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := l.Run(ctx); err != nil {
			t.Error(err)
		}
	})
}

func TestLoader_Apply(t *testing.T) {
	dir := folder(t, map[string]string{"r.yaml": routesOf("/one")})
	var applied []*route.Table
	var refuse error
	l, err := routefile.Open(routefile.Config{Paths: []string{dir}, Settings: settings(), Apply: func(table *route.Table) error {
		applied = append(applied, table)
		return refuse
	}})
	if err != nil || len(applied) != 1 || applied[0] != l.Table() {
		t.Fatalf("%v, applied %v", err, applied)
	}
	if err := l.Reload(); err != nil || len(applied) != 1 {
		t.Errorf("nothing changed: %v, applied %d times", err, len(applied))
	}
	write(t, filepath.Join(dir, "r.yaml"), routesOf("/two"))
	refuse = errors.New("no such balance")
	if err := l.Reload(); !errors.Is(err, refuse) || !errors.Is(l.Problems(), refuse) || !serves(l, "/one") {
		t.Errorf("a refused table: %v", err)
	}
	refuse = nil
	write(t, filepath.Join(dir, "r.yaml"), routesOf("/three"))
	if err := l.Reload(); err != nil || !serves(l, "/three") || l.Problems() != nil {
		t.Errorf("a good one: %v", err)
	}
}
