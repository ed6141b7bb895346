package authapp

import (
	"context"
	"crypto/ed25519"
	"time"

	"github.com/prometheus/client_golang/prometheus"

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
	return s.store.SaveKeys(ctx, decideKeys(decide))
}

// decideKeys gives a decision on records as one on what is stored.
func decideKeys(decide func([]keys.Record) ([]keys.Record, error)) func([]sqlstore.Key) ([]sqlstore.Key, error) {
	return func(existing []sqlstore.Key) ([]sqlstore.Key, error) {
		changed, err := decide(recordsOf(existing))
		out := make([]sqlstore.Key, 0, len(changed))
		for _, r := range changed {
			out = append(out, sqlstore.Key(r))
		}
		return out, err
	}
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
