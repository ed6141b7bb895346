package authapp

import (
	"context"
	"crypto/ed25519"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"gatehouse.internal/auth-service/internal/auth"
	"gatehouse.internal/auth-service/internal/httpapi"
	"gatehouse.internal/auth-service/internal/keys"
	"gatehouse.internal/auth-service/internal/sqlstore"
	"gatehouse.internal/shared/contract"
	"gatehouse.internal/shared/outbox"
	"gatehouse.internal/shared/sqldb"
)

// The adapters know nothing of one another; these types join them.

// keyStore keeps signing keys in the service's own store.
type keyStore struct{ store *sqlstore.Store }

// Keys returns all records, oldest first.
func (s keyStore) Keys(ctx context.Context) ([]keys.Record, error) {
	stored, err := s.store.Keys(ctx)
	return recordsOf(stored), err
}

// SaveKeys stores what decide returns; see keys.Store.
func (s keyStore) SaveKeys(ctx context.Context, decide func([]keys.Record) ([]keys.Record, error)) error {
	return s.store.SaveKeys(ctx, func(existing []sqlstore.Key) ([]sqlstore.Key, error) {
		changed, err := decide(recordsOf(existing))
		out := make([]sqlstore.Key, 0, len(changed))
		for _, r := range changed {
			out = append(out, sqlstore.Key(r))
		}
		return out, err
	})
}

func recordsOf(stored []sqlstore.Key) []keys.Record {
	out := make([]keys.Record, 0, len(stored))
	for _, k := range stored {
		out = append(out, keys.Record(k))
	}
	return out
}

// eventKeys finds the public keys of revocation events among the published.
type eventKeys struct{ manager *keys.Manager }

// EventKey returns the key of that id if it signs revocation events.
func (e eventKeys) EventKey(kid string) (ed25519.PublicKey, bool) {
	key, err := e.manager.Key(context.Background(), kid) // from memory
	if err != nil || key.Use != contract.KeyUseEvents {
		return nil, false
	}
	public, ok := key.Public.(ed25519.PublicKey)
	return public, ok
}

// adminKeys shows the keys to administrators.
type adminKeys struct {
	manager *keys.Manager
	revoker auth.Revoker
	log     *slog.Logger
}

// Set returns the public keys that are published.
func (k adminKeys) Set(ctx context.Context) contract.JWKSet { return k.manager.Set(ctx) }

// List returns all keys that ever were.
func (k adminKeys) List(ctx context.Context) []httpapi.SigningKey {
	var out []httpapi.SigningKey
	for _, r := range k.manager.List(ctx) {
		out = append(out, shown(r))
	}
	return out
}

// publishTime is how long a key is in the key set at least before it signs on an
// administrator's word: gateways hear of it and fetch the set in far less.
const publishTime = time.Second

// published waits until the next key is known everywhere.
func (k adminKeys) published(ctx context.Context) error {
	var wait time.Duration
	for _, r := range k.manager.List(ctx) {
		if r.State == keys.StateNext && r.Use == contract.KeyUseSignature {
			wait = min(publishTime, publishTime-time.Since(r.CreatedAt))
		}
	}
	if wait <= 0 {
		return nil
	}
	select {
	case <-ctx.Done():
		return fmt.Errorf("wait until the next key is known: %w", ctx.Err())
	case <-time.After(wait):
		return nil
	}
}

// Rotate makes the next key sign, once it has been published for a moment.
func (k adminKeys) Rotate(ctx context.Context) (httpapi.SigningKey, error) {
	if err := k.published(ctx); err != nil {
		return httpapi.SigningKey{}, err
	}
	r, err := k.manager.Rotate(ctx)
	if err == nil {
		k.log.InfoContext(ctx, "signing key rotated by an administrator", "active", r.KeyID)
	}
	return shown(r), err
}

// Revoke takes a key out of the set and has the gateways refuse its tokens.
func (k adminKeys) Revoke(ctx context.Context, keyID string) (httpapi.SigningKey, auth.Propagation, error) {
	r, err := k.manager.Revoke(ctx, keyID)
	if err != nil {
		return httpapi.SigningKey{}, auth.Propagation{}, err
	}
	k.log.WarnContext(ctx, "signing key revoked by an administrator", "key", r.KeyID)
	var reached auth.Propagation
	if r.Use == contract.KeyUseSignature { // the others sign no tokens, and are in no revocation log
		reached = k.revoker.Committed(ctx, []string{sqlstore.KeyRevocation(r.KeyID)})
	}
	return shown(r), reached, nil
}

func shown(r keys.Record) httpapi.SigningKey {
	return httpapi.SigningKey{
		KeyID: r.KeyID, Use: r.Use, Algorithm: r.Algorithm, State: r.State,
		CreatedAt: r.CreatedAt, ActivatedAt: r.ActivatedAt, RetiredAt: r.RetiredAt, NotAfter: r.NotAfter,
	}
}

// outboxCollector counts what waits in the outbox, when asked.
type outboxCollector struct{ db *sqldb.DB }

var (
	outboxWaiting = prometheus.NewDesc("gatehouse_auth_outbox_waiting", "Messages that are not delivered yet.", nil, nil)
	outboxParked  = prometheus.NewDesc("gatehouse_auth_outbox_parked", "Messages given up, until an operator decides.", nil, nil)
	outboxAge     = prometheus.NewDesc("gatehouse_auth_outbox_oldest_seconds", "Age of the oldest message that waits.", nil, nil)
)

// Describe names the figures.
func (outboxCollector) Describe(out chan<- *prometheus.Desc) {
	out <- outboxWaiting
	out <- outboxParked
	out <- outboxAge
}

// Collect looks into the table. A database that is away leaves the figures out.
func (o outboxCollector) Collect(out chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	counts, err := outbox.Count(ctx, o.db)
	if err != nil {
		return
	}
	age := 0.0
	if !counts.Oldest.IsZero() {
		age = time.Since(counts.Oldest).Seconds()
	}
	out <- prometheus.MustNewConstMetric(outboxWaiting, prometheus.GaugeValue, float64(counts.Waiting))
	out <- prometheus.MustNewConstMetric(outboxParked, prometheus.GaugeValue, float64(counts.Parked))
	out <- prometheus.MustNewConstMetric(outboxAge, prometheus.GaugeValue, age)
}
