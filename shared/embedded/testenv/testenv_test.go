package testenv_test

import (
	"context"
	"log/slog"
	"net/url"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"gatehouse.internal/shared/bus"
	"gatehouse.internal/shared/embedded/testenv"
	"gatehouse.internal/shared/sqldb"
)

func TestEachDatabase_leavesNothingBehind(t *testing.T) {
	var used string
	t.Run("a test", func(t *testing.T) {
		testenv.EachDatabase(t, func(t *testing.T, url string) {
			db, err := sqldb.Open(t.Context(), url)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = db.Close() }()
			if _, err := db.ExecContext(t.Context(), "CREATE TABLE left_over (id TEXT)"); err != nil {
				t.Fatal(err)
			}
			if db.Dialect() == sqldb.Postgres {
				used = url
			}
		})
	})
	if used == "" {
		t.Skip("no PostgreSQL")
	}
	parsed, err := url.Parse(used)
	if err != nil {
		t.Fatal(err)
	}
	db, err := sqldb.Open(t.Context(), used)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	var schemas int
	err = db.Get(&schemas, "SELECT count(*) FROM information_schema.schemata WHERE schema_name = $1", parsed.Query().Get("search_path"))
	if err != nil || schemas != 0 {
		t.Errorf("%d schemas are left, %v", schemas, err)
	}
}

func TestEachNATS_leavesNothingBehind(t *testing.T) {
	var usedURL, usedPrefix string
	t.Run("a test", func(t *testing.T) {
		testenv.EachNATS(t, func(t *testing.T, url, prefix string) {
			b := connect(t, url, prefix)
			stream := bus.Stream{Name: b.Subjects().AccountStream(), Subjects: []string{b.Subjects().Accounts()}}
			if err := b.EnsureStream(t.Context(), stream); err != nil {
				t.Fatal(err)
			}
			usedURL, usedPrefix = url, prefix
		})
	})
	if t.Failed() || usedURL == "" {
		return
	}
	if parsed, err := url.Parse(usedURL); err != nil || parsed.Port() != "4222" {
		t.Skip("no NATS")
	}
	names, err := connect(t, usedURL, usedPrefix).StreamNames(t.Context())
	if err != nil || len(names) != 0 {
		t.Errorf("streams %v are left, %v", names, err)
	}
}

func connect(t *testing.T, url, prefix string) *bus.Bus {
	t.Helper()
	b, err := bus.Connect(bus.Config{URL: url, Prefix: prefix}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	deadline := time.Now().Add(10 * time.Second)
	for b.Ready(context.Background()) != nil {
		if time.Now().After(deadline) {
			t.Fatal("the bus is not ready")
		}
	}
	return b
}

func TestEachRedis_leavesNothingBehind(t *testing.T) {
	var usedURL, usedPrefix string
	t.Run("a test", func(t *testing.T) {
		testenv.EachRedis(t, func(t *testing.T, url, prefix string) {
			client := dial(t, url)
			for _, key := range []string{":a", ":b"} {
				if err := client.Set(t.Context(), prefix+key, "x", time.Minute).Err(); err != nil {
					t.Fatal(err)
				}
			}
			usedURL, usedPrefix = url, prefix
		})
	})
	if parsed, err := url.Parse(usedURL); err != nil || parsed.Port() != "6379" {
		t.Skip("no Redis")
	}
	if left := dial(t, usedURL).Keys(t.Context(), usedPrefix+"*").Val(); len(left) != 0 {
		t.Errorf("keys %v are left", left)
	}
}

func dial(t *testing.T, url string) *redis.Client {
	t.Helper()
	options, err := redis.ParseURL(url)
	if err != nil {
		t.Fatal(err)
	}
	client := redis.NewClient(options)
	t.Cleanup(func() { _ = client.Close() })
	return client
}
