package keys_test

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gatehouse.internal/auth-service/internal/keys"
	"gatehouse.internal/shared/contract"
	"gatehouse.internal/shared/token"
)

func TestManager_Rotate(t *testing.T) {
	w := newWorld()
	m := w.open(t)
	first, second := kid(t, m, keys.StateActive), kid(t, m, keys.StateNext)
	raw := w.sign(t, m)
	generation := m.Generation()
	record, err := m.Rotate(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if record.KeyID != second || record.State != keys.StateActive || !record.ActivatedAt.Equal(w.now()) {
		t.Errorf("got %+v, want the key that was next, active from now", record)
	}
	if kid(t, m, keys.StateRetiring) != first || kid(t, m, keys.StateNext) == second {
		t.Errorf("states are %v", states(m, contract.KeyUseSignature))
	}
	if m.Generation() <= generation || w.changed.Load() != 2 {
		t.Errorf("generation %d after %d, told %d times", m.Generation(), generation, w.changed.Load())
	}
	if claims, err := w.verify(t, m, w.sign(t, m)); err != nil || claims.KeyID != second {
		t.Errorf("signed with %v (%v), want %s", claims, err, second)
	}
	if _, err := w.verify(t, m, raw); err != nil {
		t.Errorf("a token of the old key: %v", err)
	}
}

func TestManager_S_T20_OldKeysVerifyUntilTheirLastTokenIsGone(t *testing.T) {
	w := newWorld()
	m := w.open(t)
	first := kid(t, m, keys.StateActive)
	if _, err := m.Rotate(t.Context()); err != nil {
		t.Fatal(err)
	}
	tend := func() { w.open(t) } // another replica's start does what Run does
	w.move(life + token.DefaultLeeway + keys.SetCacheTime)
	tend()
	if err := m.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := states(m, contract.KeyUseSignature)[first]; got != keys.StateRetiring {
		t.Errorf("after its last token and the caches' time it is %s, want retiring", got)
	}
	w.move(time.Minute)
	tend()
	if err := m.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := states(m, contract.KeyUseSignature)[first]; got != keys.StateRetired {
		t.Errorf("a minute later it is %s, want retired", got)
	}
	if _, there := published(m)[first]; there {
		t.Error("a retired key is published")
	}
	stored, err := w.store.Keys(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range stored {
		if (len(r.Sealed) == 0) != (r.KeyID == first) {
			t.Errorf("key %s, %s, has %d sealed bytes", r.KeyID, r.State, len(r.Sealed))
		}
	}
}

func TestManager_TwoReplicasRotatingAtOnceRotateOnce(t *testing.T) {
	w := newWorld()
	slow := &slowStore{Store: w.store, both: make(chan struct{}), entered: make(chan struct{}, 2)}
	a := w.open(t, func(o *keys.Options) { o.Store = slow })
	b := w.open(t, func(o *keys.Options) { o.Store = slow })
	second := kid(t, a, keys.StateNext)
	slow.hold.Store(true)
	var wg sync.WaitGroup
	for _, m := range []*keys.Manager{a, b} {
		wg.Go(func() {
			r, err := m.Rotate(t.Context())
			if err != nil || r.KeyID != second {
				t.Errorf("got %s (%v), want %s", r.KeyID, err, second)
			}
		})
	}
	<-slow.entered
	<-slow.entered // both have decided on what they saw
	close(slow.both)
	wg.Wait()
	if err := errors.Join(a.Reload(t.Context()), b.Reload(t.Context())); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(a.List(t.Context()), b.List(t.Context())); diff != "" || len(states(a, contract.KeyUseSignature)) != 3 {
		t.Errorf("want three signing keys on both, got %v; differ:\n%s", states(a, contract.KeyUseSignature), diff)
	}
}

// slowStore lets saves in only when both callers have come.
type slowStore struct {
	keys.Store
	hold    atomic.Bool
	entered chan struct{}
	both    chan struct{}
}

func (s *slowStore) SaveKeys(ctx context.Context, decide func([]keys.Record) ([]keys.Record, error)) error {
	if s.hold.Load() {
		s.entered <- struct{}{}
		<-s.both
	}
	return s.Store.SaveKeys(ctx, decide)
}

func TestManager_TwoReplicasStartingAtOnceMakeOneSetOfKeys(t *testing.T) {
	w := newWorld()
	slow := &slowStore{Store: w.store, both: make(chan struct{}), entered: make(chan struct{}, 2)}
	slow.hold.Store(true)
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() { w.open(t, func(o *keys.Options) { o.Store = slow }) })
	}
	<-slow.entered
	<-slow.entered
	close(slow.both)
	wg.Wait()
	if got := len(w.open(t).List(t.Context())); got != 3 {
		t.Errorf("%d keys, want 3", got)
	}
}

func TestManager_ReplicasLearnByReload(t *testing.T) {
	w := newWorld()
	a, b := w.open(t), w.open(t)
	if _, err := a.Rotate(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := b.Reload(t.Context()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(a.Set(t.Context()), b.Set(t.Context())); diff != "" {
		t.Errorf("sets differ (-a +b):\n%s", diff)
	}
	if _, err := w.verify(t, a, w.sign(t, b)); err != nil {
		t.Error(err)
	}
}

func TestOpen_storedKeysAreEncryptedAnewWithTheKeyInUse(t *testing.T) {
	w := newWorld()
	before := w.open(t)
	signed := w.sign(t, before)
	next := func(others ...[]byte) func(*keys.Options) {
		return func(o *keys.Options) { o.EncryptionKey, o.OtherKeys = bytes.Repeat([]byte{8}, 32), others }
	}
	old := bytes.Repeat([]byte{7}, 32)
	w.open(t, func(o *keys.Options) { o.OtherKeys = [][]byte{bytes.Repeat([]byte{8}, 32)} }) // knows the next one
	w.open(t, next(old))
	after := w.open(t, next()) // the old key is given up
	if before.Set(t.Context()).Keys[0].KeyID != after.Set(t.Context()).Keys[0].KeyID || len(signed) == 0 {
		t.Error("the keys themselves have changed")
	}
	o := w.options()
	if _, err := keys.Open(t.Context(), o); err == nil {
		t.Error("the old key alone opens what was encrypted anew")
	}
}

func TestReseal_encryptsAnewAndChangesNothingElse(t *testing.T) {
	w := newWorld()
	before := w.open(t)
	old, next := bytes.Repeat([]byte{7}, 32), bytes.Repeat([]byte{8}, 32)
	reseal := func(key []byte, others ...[]byte) [2]int {
		t.Helper()
		stored, anew, err := keys.Reseal(t.Context(), w.store, key, others)
		if err != nil {
			t.Fatal(err)
		}
		return [2]int{stored, anew}
	}
	if got := reseal(old); got != [2]int{3, 0} {
		t.Errorf("with the key in use %v, want 3 keys and none anew", got)
	}
	if got := reseal(next, old); got != [2]int{3, 3} {
		t.Errorf("with another key %v, want 3 keys, all anew", got)
	}
	if got := reseal(next, old); got != [2]int{3, 0} {
		t.Errorf("again %v, want none anew", got)
	}
	if _, _, err := keys.Reseal(t.Context(), w.store, old, nil); err == nil {
		t.Error("a key that opens nothing is taken")
	}
	after := w.open(t, func(o *keys.Options) { o.EncryptionKey = next })
	if diff := cmp.Diff(before.List(t.Context()), after.List(t.Context())); diff != "" {
		t.Errorf("keys (-before +after):\n%s", diff)
	}
}
