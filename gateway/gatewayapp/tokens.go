package gatewayapp

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"gatehouse.internal/shared/bus"
	"gatehouse.internal/shared/contract"
	"gatehouse.internal/shared/token"
)

// verifiedTokens bounds the cache of checked signatures. The cache forgets by
// halves, so this keeps 100,000 tokens that come in turn.
const verifiedTokens = 200_000

// tokens judges access tokens and counts.
type tokens struct {
	cache   *token.Cache
	metrics *metrics
}

// Verify answers as token.Cache does.
func (t *tokens) Verify(ctx context.Context, raw string) (*contract.Claims, error) {
	claims, err := t.cache.Verify(ctx, raw)
	if err == nil {
		t.metrics.good.Add(1)
	}
	return claims, err
}

// countedKeys counts the signatures that are checked: each look-up of a key is
// one. It tells a key that was revoked from one that never was: both are gone
// from the key set.
type countedKeys struct {
	*token.RemoteKeys
	revoked interface{ HasKey(kid string) bool }
	metrics *metrics
}

// Key answers as token.RemoteKeys does.
func (k countedKeys) Key(ctx context.Context, kid string) (token.Key, error) {
	k.metrics.signatures.Add(1)
	key, err := k.RemoteKeys.Key(ctx, kid)
	if errors.Is(err, token.ErrUnknownKey) && k.revoked.HasKey(kid) {
		return token.Key{}, token.ErrRevokedKey
	}
	return key, err
}

// keyWatchPause is the least time between two fetches that keyWatch causes, so
// that a flood of messages does not become a flood of fetches.
const keyWatchPause = 200 * time.Millisecond

// keyWatch has the key set fetched anew when the issuer says that it changed,
// when the broker is found again (a message may have been lost meanwhile), and
// when a revocation message names a key that is not known.
type keyWatch struct {
	bus  *bus.Bus
	keys *token.RemoteKeys
	log  *slog.Logger
	due  chan struct{} // of size 1
}

func newKeyWatch(b *bus.Bus, keys *token.RemoteKeys, log *slog.Logger) *keyWatch {
	return &keyWatch{bus: b, keys: keys, log: log, due: make(chan struct{}, 1)}
}

// stale asks for a fetch. It never blocks.
func (w *keyWatch) stale() {
	select {
	case w.due <- struct{}{}:
	default:
	}
}

// run watches until ctx ends.
func (w *keyWatch) run(ctx context.Context) error {
	changed, err := w.bus.Subscribe(w.bus.Subjects().KeysChanged(), func(bus.Message) { w.stale() })
	if err != nil {
		return fmt.Errorf("watch for changed keys: %w", err)
	}
	defer changed.Stop()
	w.bus.OnReconnect(w.stale)
	pause := time.NewTimer(0)
	defer pause.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-pause.C:
		}
		select {
		case <-ctx.Done():
			return nil
		case <-w.due:
		}
		if err := w.keys.Refresh(ctx); err != nil && ctx.Err() == nil {
			w.log.Warn("fetch changed key set", "error", err)
		}
		pause.Reset(keyWatchPause)
	}
}
