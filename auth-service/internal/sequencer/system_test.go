package sequencer

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/uuid"
	"github.com/jmoiron/sqlx"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/redis/go-redis/v9"

	"gatehouse.internal/shared/bus"
	"gatehouse.internal/shared/contract"
	"gatehouse.internal/shared/embedded/testenv"
	"gatehouse.internal/shared/revocation"
	"gatehouse.internal/shared/sqldb"
)

// schema is the sequencer's part of the auth-service's migrations.
var schema = fstest.MapFS{"0001_revocations.sql": {Data: []byte(`-- +goose Up
CREATE TABLE revocations (id TEXT PRIMARY KEY, number BIGINT UNIQUE, kind BIGINT NOT NULL, subject TEXT NOT NULL,
	min_version BIGINT NOT NULL, cause TEXT NOT NULL, expires_at BIGINT NOT NULL, created_at BIGINT NOT NULL);
CREATE INDEX revocations_open ON revocations (created_at, id) WHERE number IS NULL;
CREATE TABLE revocation_state (id BIGINT PRIMARY KEY, epoch BIGINT NOT NULL, last_number BIGINT NOT NULL, published BIGINT NOT NULL,
	incarnation TEXT NOT NULL DEFAULT '');
INSERT INTO revocation_state (id, epoch, last_number, published) VALUES (1, 1, 0, 0);
`)}}

// signer is the issuer's events key.
type signer struct{ key ed25519.PrivateKey }

func (s signer) EventSigner(context.Context) (string, ed25519.PrivateKey, error) {
	return "events-1", s.key, nil
}

func (s signer) EventKey(kid string) (ed25519.PublicKey, bool) {
	public, ok := s.key.Public().(ed25519.PublicKey)
	return public, ok && kid == "events-1"
}

func newSigner() signer {
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		panic(err) // without randomness nothing here means anything
	}
	return signer{key}
}

// system is an auth-service's sequencers and a gateway's followers around one
// database, one broker and one Redis.
type system struct {
	t           testing.TB
	db          *sqldb.DB
	natsURL     string
	prefix      string
	redis       *redis.Client
	redisPrefix string
	signer      signer
	log         *slog.Logger
	logged      *lockedBuffer
}

// lockedBuffer keeps what was logged, to show it when a test fails.
type lockedBuffer struct {
	mu sync.Mutex
	bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.Buffer.Write(p)
}

// each runs a test on every kind of database, with an embedded broker and Redis.
func each(t *testing.T, run func(s *system)) {
	testenv.EachDatabase(t, func(t *testing.T, url string) { run(newSystem(t, url)) })
}

func newSystem(t testing.TB, databaseURL string) *system {
	t.Helper()
	db, err := sqldb.Open(t.Context(), databaseURL)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	if err := db.Migrate(t.Context(), schema); err != nil {
		t.Fatal(err)
	}
	s := &system{t: t, db: db, signer: newSigner(), logged: &lockedBuffer{}}
	s.log = slog.New(slog.NewTextHandler(s.logged, nil))
	s.natsURL, s.prefix = testenv.NATS(t)
	redisURL, redisPrefix := testenv.Redis(t)
	options, err := revocation.RedisOptions(redisURL)
	if err != nil {
		t.Fatal(err)
	}
	s.redis, s.redisPrefix = redis.NewClient(options), redisPrefix
	t.Cleanup(func() { _ = s.redis.Close() })
	t.Cleanup(func() {
		if t.Failed() {
			s.logged.mu.Lock()
			defer s.logged.mu.Unlock()
			t.Logf("logged:\n%s", s.logged.String())
		}
	})
	return s
}

func (s *system) connect(name string) *bus.Bus {
	s.t.Helper()
	b, err := bus.Connect(bus.Config{URL: s.natsURL, Prefix: s.prefix, Name: name}, s.log)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(b.Close)
	return b
}

// background runs a part until the test or the returned function ends it.
func (s *system) background(run func(ctx context.Context) error) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			s.t.Errorf("a part ended with %v", err)
		}
	})
	s.t.Cleanup(stop)
	return stop
}

// sequencer starts a replica.
func (s *system) sequencer() (*Sequencer, func()) {
	s.t.Helper()
	q, err := New(Config{
		DB: s.db, Bus: s.connect("auth-service"), Redis: s.redis, RedisPrefix: s.redisPrefix, Signer: s.signer, Keys: s.signer,
		Now: time.Now, Log: s.log, Registry: prometheus.NewRegistry(),
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return q, s.background(q.Run)
}

// node starts a gateway's view.
func (s *system) node(name string) *revocation.View {
	s.t.Helper()
	view := revocation.NewView(name, s.signer, time.Now)
	follower := &revocation.Follower{View: view, Bus: s.connect(name), Log: s.log, Now: time.Now, Address: "http://" + name, Version: "test"}
	s.background(follower.Run)
	return view
}

// insert commits revocations of new sessions, and returns their row ids and
// sessions.
func (s *system) insert(n int) (ids, sessions []string) {
	s.t.Helper()
	err := sqldb.InTx(s.t.Context(), s.db, func(ctx context.Context, tx *sqlx.Tx) error {
		ids, sessions = nil, nil
		for range n {
			rowID, session := uuid.Must(uuid.NewV7()).String(), uuid.Must(uuid.NewV7()).String()
			_, err := tx.ExecContext(ctx, `INSERT INTO revocations (id, kind, subject, min_version, cause, expires_at, created_at)
				VALUES ($1, $2, $3, 0, 'test', $4, $5)`, rowID, int64(contract.RevokeSession), session,
				sqldb.Micros(time.Now().Add(time.Hour)), sqldb.Micros(time.Now()))
			if err != nil {
				return err
			}
			ids, sessions = append(ids, rowID), append(sessions, session)
		}
		return nil
	})
	if err != nil {
		s.t.Fatal(err)
	}
	return ids, sessions
}

func ofSession(session string) *contract.Claims {
	return &contract.Claims{Refs: contract.Refs{Session: contract.ParseSubjectID(session)}}
}

// eventually waits for a condition.
func (s *system) eventually(what string, within time.Duration, condition func() bool) {
	s.t.Helper()
	ticker := time.NewTicker(2 * time.Millisecond)
	defer ticker.Stop()
	deadline := time.After(within)
	for !condition() {
		select {
		case <-ticker.C:
		case <-deadline:
			s.t.Fatalf("not within %v: %s", within, what)
		}
	}
}

func fresh(views ...*revocation.View) func() bool {
	return func() bool {
		for _, v := range views {
			if age, known := v.Progress.Age(); !known || age > revocation.SoftLimit {
				return false
			}
		}
		return true
	}
}

func (s *system) count(query string) int {
	s.t.Helper()
	var n int
	if err := s.db.GetContext(s.t.Context(), &n, query); err != nil {
		s.t.Fatal(err)
	}
	return n
}

func nodes(s *system, n int) []*revocation.View {
	var out []*revocation.View
	for i := range n {
		out = append(out, s.node(fmt.Sprintf("node-%d", i)))
	}
	return out
}

func (s *system) deleteStream(ctx context.Context) error {
	conn, err := nats.Connect(s.natsURL)
	if err != nil {
		return err
	}
	defer conn.Close()
	js, err := jetstream.New(conn)
	if err != nil {
		return err
	}
	return js.DeleteStream(ctx, contract.Subjects{Prefix: s.prefix}.RevocationStream())
}
