package sqlstore

import (
	"context"
	"encoding/hex"

	"gatehouse.internal/auth-service/internal/auth"
	"gatehouse.internal/auth-service/internal/auth/trail"
	"gatehouse.internal/shared/sqldb"
)

// AddErasure notes that a user is to be taken out of the audit trail.
func (t *tx) AddErasure(ctx context.Context, e auth.Erasure) error {
	_, err := t.exec(ctx, "note account for pseudonymisation", `INSERT INTO audit_erasures (user_id, pseudonym, created_at, seal)
		VALUES ($1, $2, $3, $4) ON CONFLICT (user_id) DO UPDATE SET pseudonym = excluded.pseudonym, created_at = excluded.created_at,
		seal = excluded.seal`, e.UserID, e.Pseudonym, sqldb.Micros(e.At), hex.EncodeToString(e.Seal))
	return err
}

// Erasures returns accounts that are to be erased; see trail.Store.
func (s *Store) Erasures(ctx context.Context, after auth.Erasure, limit int) ([]auth.Erasure, error) {
	var rows []struct {
		UserID    string `db:"user_id"`
		Pseudonym string `db:"pseudonym"`
		CreatedAt int64  `db:"created_at"`
		Seal      string `db:"seal"`
	}
	c := conditions{}
	if after.UserID != "" {
		c.parts = append(c.parts, "(created_at, user_id) > ("+c.value(sqldb.Micros(after.At))+", "+c.value(after.UserID)+")")
	}
	query := `SELECT user_id, pseudonym, created_at, seal FROM audit_erasures` + c.where() + ` ORDER BY created_at, user_id LIMIT ` + c.value(limit)
	if err := s.db.SelectContext(ctx, &rows, query, c.args...); err != nil {
		return nil, failed("look for deleted accounts", err)
	}
	out := make([]auth.Erasure, 0, len(rows))
	for _, x := range rows {
		out = append(out, auth.Erasure{UserID: x.UserID, Pseudonym: x.Pseudonym, At: sqldb.Time(x.CreatedAt), Seal: unhex(x.Seal)})
	}
	return out, nil
}

// selectNaming selects entries that name a user, by two walks through two
// indexes; see auditQuery.
const selectNaming = selectEntries + ` WHERE number > $2 AND id IN
	(SELECT id FROM audit WHERE actor_id = $1 UNION SELECT id FROM audit WHERE target_id = $1) ORDER BY number LIMIT $3`

// EraseTrail has entries changed that name a user; see trail.Store.
func (s *Store) EraseTrail(ctx context.Context, userID string, after uint64, limit int, erase func(*trail.Entry) bool) (last uint64, err error) {
	err = s.inTrail(ctx, func(ctx context.Context, t *tx) error {
		last = 0
		var rows []entryRow
		if err := t.tx.SelectContext(ctx, &rows, selectNaming, userID, int64(after), limit); err != nil {
			return failed("read audit events of an account", err)
		}
		for _, e := range entriesOf(rows) {
			if !erase(&e) {
				continue
			}
			if err := t.saveErased(ctx, &e); err != nil {
				return err
			}
		}
		if len(rows) == limit {
			last = uint64(rows[limit-1].Number)
		}
		return nil
	})
	return last, err
}

func (t *tx) saveErased(ctx context.Context, e *trail.Entry) error {
	salts, erased := partsOf(e)
	_, err := t.exec(ctx, "pseudonymise audit event", `UPDATE audit SET actor_id = $1, target_id = $2, session_id = $3, address = $4,
		user_agent = $5, request_id = $6, salts = $7, erased = $8 WHERE number = $9`,
		e.ActorID, e.TargetID, e.SessionID, e.Address, e.UserAgent, e.RequestID, salts, erased, int64(e.Number))
	return err
}

// FinishErasure forgets the user's id; see trail.Store.
func (s *Store) FinishErasure(ctx context.Context, userID string, e auth.AuditEvent) error {
	return s.inTrail(ctx, func(ctx context.Context, t *tx) error {
		n, err := t.exec(ctx, "forget deleted account", `DELETE FROM audit_erasures WHERE user_id = $1`, userID)
		if err != nil || n == 0 {
			return err
		}
		return t.AddAudit(ctx, e)
	})
}
