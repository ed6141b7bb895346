package auth_test

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse.internal/auth-service/internal/auth"
	"gatehouse.internal/shared/contract"
	"gatehouse.internal/shared/fault"
	"gatehouse.internal/shared/sqldb"
)

// clock is the time of a test.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// fakeHasher costs nothing and counts.
type fakeHasher struct {
	version string
	calls   atomic.Int32
	err     error
}

func (f *fakeHasher) Hash(_ context.Context, password string) (string, error) {
	f.calls.Add(1)
	return f.version + "$" + hex.EncodeToString(hashOf(password)), f.err
}

func (f *fakeHasher) Matches(_ context.Context, phc, password string) (bool, error) {
	f.calls.Add(1)
	_, sum, _ := strings.Cut(phc, "$")
	return sum == hex.EncodeToString(hashOf(password)), f.err
}

func (f *fakeHasher) Outdated(phc string) bool { return !strings.HasPrefix(phc, f.version+"$") }

// fakeSigner writes claims down as they are.
type fakeSigner struct {
	clock *clock
	err   error // of Sign
	down  error // of Verify
}

func (f *fakeSigner) Sign(_ context.Context, c contract.Claims) (string, error) {
	data, err := json.Marshal(c)
	if f.err != nil {
		err = f.err
	}
	return base64.RawURLEncoding.EncodeToString(data), err
}

func (f *fakeSigner) Verify(_ context.Context, raw string) (*contract.Claims, error) {
	if f.down != nil {
		return nil, f.down
	}
	var c contract.Claims
	data, err := base64.RawURLEncoding.DecodeString(raw)
	if err != nil || json.Unmarshal(data, &c) != nil {
		return nil, fault.New(fault.TokenInvalid, "")
	}
	if !f.clock.Now().Before(c.ExpiresAt) {
		return nil, fault.New(fault.TokenExpired, "")
	}
	return &c, nil
}

// gateway is a node that knows the revocation log as it is committed.
type gateway struct {
	db    *sqldb.DB
	mu    sync.Mutex
	waits [][]string // what Committed was called with
}

func (g *gateway) Committed(_ context.Context, ids []string) auth.Propagation {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.waits = append(g.waits, ids)
	return auth.Propagation{Nodes: 3, Applied: 3, Elapsed: time.Millisecond}
}

// verdict is what a gateway says of a token: "", token_revoked or token_stale.
func (g *gateway) verdict(t testing.TB, c *contract.Claims) fault.Kind {
	t.Helper()
	var rows []struct {
		Kind       int64 `db:"kind"`
		MinVersion int64 `db:"min_version"`
	}
	err := g.db.SelectContext(t.Context(), &rows, `SELECT kind, min_version FROM revocations
		WHERE subject = $1 OR subject = $2 OR subject = $3`, c.TokenID, c.SessionID, c.Subject)
	if err != nil {
		t.Fatal(err)
	}
	var verdict fault.Kind
	for _, r := range rows {
		switch contract.RevocationKind(r.Kind) {
		case contract.RevokeToken, contract.RevokeSession:
			return fault.TokenRevoked
		case contract.RevokeUser:
			if c.Version < uint64(r.MinVersion) {
				return fault.TokenRevoked
			}
		case contract.RevokeUserStale:
			if c.Version < uint64(r.MinVersion) {
				verdict = fault.TokenStale
			}
		}
	}
	return verdict
}

// faultyStore is a store that can fail where databases do.
type faultyStore struct {
	auth.Store
	rollBack atomic.Bool // transactions are rolled back at the end
	unknown  atomic.Bool // transactions are committed, but nobody learns of it
	down     atomic.Bool // reads fail
	again    atomic.Bool // transactions are rolled back once, and run again
	running  atomic.Int32
}

func errDown() error { return fault.New(fault.Unavailable, "down") }

func (f *faultyStore) InTx(ctx context.Context, change func(auth.Tx) error) error {
	f.running.Add(1)
	defer f.running.Add(-1)
	if f.again.Load() {
		_ = f.Store.InTx(ctx, func(tx auth.Tx) error { return errors.Join(change(tx), errDown()) })
	}
	err := f.Store.InTx(ctx, func(tx auth.Tx) error {
		if err := change(tx); err != nil {
			return err
		}
		if f.rollBack.Load() {
			return errDown()
		}
		return nil
	})
	if err == nil && f.unknown.Load() {
		return errDown()
	}
	return err
}

func (f *faultyStore) UserByEmail(ctx context.Context, email string) (auth.User, error) {
	if f.down.Load() {
		return auth.User{}, errDown()
	}
	return f.Store.UserByEmail(ctx, email)
}

func (f *faultyStore) Session(ctx context.Context, id string) (auth.Session, error) {
	if f.down.Load() {
		return auth.Session{}, errDown()
	}
	return f.Store.Session(ctx, id)
}
