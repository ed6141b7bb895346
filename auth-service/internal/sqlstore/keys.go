package sqlstore

import (
	"context"
	"time"

	"github.com/jmoiron/sqlx"

	"gatehouse.internal/auth-service/internal/auth"
	"gatehouse.internal/shared/contract"
	"gatehouse.internal/shared/sqldb"
)

// Key is a signing key as it is stored. Its fields are those of keys.Record, in
// the same order, so that one converts to the other: adapters do not import one
// another, and authapp joins the two.
type Key struct {
	KeyID       string
	Use         string
	Algorithm   string
	State       string
	Sealed      []byte
	PublicJWK   []byte
	CreatedAt   time.Time
	ActivatedAt time.Time
	RetiredAt   time.Time
	NotAfter    time.Time
}

// keyRow is a row of signing_keys.
type keyRow struct {
	KeyID       string `db:"key_id"`
	Use         string `db:"key_use"`
	Algorithm   string `db:"algorithm"`
	State       string `db:"state"`
	Sealed      []byte `db:"sealed"`
	PublicJWK   []byte `db:"public_jwk"`
	CreatedAt   int64  `db:"created_at"`
	ActivatedAt int64  `db:"activated_at"`
	RetiredAt   int64  `db:"retired_at"`
	NotAfter    int64  `db:"not_after"`
}

// Keys returns all signing keys, oldest first by CreatedAt, then by KeyID.
func (r reader) Keys(ctx context.Context) ([]Key, error) {
	var rows []keyRow
	err := r.q.SelectContext(ctx, &rows, `SELECT key_id, key_use, algorithm, state, sealed, public_jwk, created_at, activated_at,
		retired_at, not_after FROM signing_keys ORDER BY created_at, key_id`)
	if err != nil {
		return nil, failed("read signing keys", err)
	}
	out := make([]Key, 0, len(rows))
	for _, x := range rows {
		out = append(out, Key{
			KeyID: x.KeyID, Use: x.Use, Algorithm: x.Algorithm, State: x.State, Sealed: x.Sealed, PublicJWK: x.PublicJWK,
			CreatedAt: sqldb.Time(x.CreatedAt), ActivatedAt: sqldb.Time(x.ActivatedAt),
			RetiredAt: sqldb.Time(x.RetiredAt), NotAfter: sqldb.Time(x.NotAfter),
		})
	}
	return out, nil
}

// SaveKeys calls decide with all keys and stores those that it returns, in one
// transaction; calls follow one another. decide may be called again after a
// conflict. An error of decide is returned and nothing is stored.
func (s *Store) SaveKeys(ctx context.Context, decide func(existing []Key) (changed []Key, err error)) error {
	return s.SaveKeysAudited(ctx, decide, func([]Key) ([]auth.AuditEvent, error) { return nil, nil })
}

// SaveKeysAudited is SaveKeys, and appends the events to the audit trail that
// tell of what was changed, in the same transaction.
func (s *Store) SaveKeysAudited(ctx context.Context, decide func(existing []Key) (changed []Key, err error), tell func(changed []Key) ([]auth.AuditEvent, error)) error {
	err := sqldb.InTx(ctx, s.db, func(ctx context.Context, x *sqlx.Tx) error {
		t := s.within(x)
		if err := t.lockName(ctx, "signing_keys"); err != nil {
			return err
		}
		existing, err := t.Keys(ctx)
		if err != nil {
			return err
		}
		changed, err := decide(existing)
		if err != nil {
			return err
		}
		for _, k := range changed {
			if err := t.saveKey(ctx, k); err != nil {
				return err
			}
			if err := t.revokeKey(ctx, k); err != nil {
				return err
			}
		}
		events, err := tell(changed)
		if err != nil {
			return err
		}
		for _, e := range events {
			if err := t.AddAudit(ctx, e); err != nil {
				return err
			}
		}
		return nil
	})
	return sqldb.Unavailable(err)
}

// keyRevocationLife is how long the revocation of a key matters: as long as any
// token lives that the key can have signed, whoever held it (an hour, the most
// that a verifier accepts), and the margins that all revocations have.
const keyRevocationLife = time.Hour + 30*time.Second + 5*time.Minute

// KeyRevocation is the id under which the revocation log has a key.
func KeyRevocation(keyID string) string { return "key:" + keyID }

// revokeKey appends a key that signs tokens to the revocation log as soon as it
// is stored as revoked, and only then.
func (t *tx) revokeKey(ctx context.Context, k Key) error {
	if k.State != stateRevoked || k.Use != contract.KeyUseSignature {
		return nil
	}
	_, err := t.exec(ctx, "revoke signing key", `INSERT INTO revocations (id, number, kind, subject, min_version, cause, expires_at, created_at)
		VALUES ($1, NULL, $2, $3, 0, 'key_revoked', $4, $5) ON CONFLICT (id) DO NOTHING`,
		KeyRevocation(k.KeyID), int64(contract.RevokeKey), k.KeyID, sqldb.Micros(k.RetiredAt.Add(keyRevocationLife)), sqldb.Micros(k.RetiredAt))
	return err
}

// stateRevoked is the state of a key that was taken out in an emergency
// (keys.StateRevoked; the keys package is another adapter).
const stateRevoked = "revoked"

func (t *tx) saveKey(ctx context.Context, k Key) error {
	_, err := t.exec(ctx, "save signing key", `INSERT INTO signing_keys (key_id, key_use, algorithm, state, sealed, public_jwk,
		created_at, activated_at, retired_at, not_after) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
		ON CONFLICT (key_id) DO UPDATE SET key_use = excluded.key_use, algorithm = excluded.algorithm, state = excluded.state,
		sealed = excluded.sealed, public_jwk = excluded.public_jwk, created_at = excluded.created_at,
		activated_at = excluded.activated_at, retired_at = excluded.retired_at, not_after = excluded.not_after`,
		k.KeyID, k.Use, k.Algorithm, k.State, k.Sealed, k.PublicJWK,
		sqldb.Micros(k.CreatedAt), sqldb.Micros(k.ActivatedAt), sqldb.Micros(k.RetiredAt), sqldb.Micros(k.NotAfter))
	return err
}
