package authapp

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"gatehouse.internal/auth-service/internal/auth"
	"gatehouse.internal/auth-service/internal/httpapi"
	"gatehouse.internal/auth-service/internal/keys"
	"gatehouse.internal/auth-service/internal/sqlstore"
	"gatehouse.internal/shared/contract"
)

// adminKeys shows the keys to administrators.
type adminKeys struct {
	manager *keys.Manager
	store   *sqlstore.Store
	service *auth.Service
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
func (k adminKeys) Rotate(ctx context.Context, c auth.Caller) (httpapi.SigningKey, error) {
	if err := k.published(ctx); err != nil {
		return httpapi.SigningKey{}, err
	}
	r, err := k.manager.Through(auditedKeys{keyStore{k.store}, k.service, c}).Rotate(ctx)
	if err == nil {
		k.log.InfoContext(ctx, "signing key rotated by an administrator", "active", r.KeyID)
	}
	return shown(r), err
}

// Revoke takes a key out of the set and has the gateways refuse its tokens.
func (k adminKeys) Revoke(ctx context.Context, c auth.Caller, keyID string) (httpapi.SigningKey, auth.Propagation, error) {
	r, err := k.manager.Through(auditedKeys{keyStore{k.store}, k.service, c}).Revoke(ctx, keyID)
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

// auditedKeys keeps signing keys like keyStore, and writes down in the same
// transaction what an administrator has done to them: a key that is taken out by
// somebody who hangs up at once is in the audit trail all the same.
type auditedKeys struct {
	keyStore
	service *auth.Service
	caller  auth.Caller
}

// SaveKeys stores what decide returns; see keys.Store.
func (s auditedKeys) SaveKeys(ctx context.Context, decide func([]keys.Record) ([]keys.Record, error)) error {
	return s.store.SaveKeysAudited(ctx, decideKeys(decide), s.events)
}

// events tells of keys that were revoked or, if there is none, of the one that
// signs now.
func (s auditedKeys) events(changed []sqlstore.Key) (out []auth.AuditEvent, err error) {
	what := map[string]string{keys.StateRevoked: auth.EventKeyRevoked, keys.StateActive: auth.EventKeyRotated}
	for _, state := range []string{keys.StateRevoked, keys.StateActive} {
		for _, k := range changed {
			if k.State != state {
				continue
			}
			e, err := s.service.EventOf(s.caller, auth.AuditEvent{Event: what[state], Reason: k.KeyID})
			if err != nil {
				return nil, err
			}
			out = append(out, e)
		}
		if len(out) > 0 {
			break
		}
	}
	return out, nil
}
