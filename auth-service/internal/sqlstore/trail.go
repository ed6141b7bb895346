package sqlstore

import (
	"context"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/jmoiron/sqlx"

	"gatehouse.internal/auth-service/internal/auth"
	"gatehouse.internal/auth-service/internal/auth/trail"
	"gatehouse.internal/shared/sqldb"
)

var _ trail.Store = (*Store)(nil)

// stateRow is audit_chain, and what is in audit beside it.
type stateRow struct {
	StartNumber int64  `db:"start_number"`
	StartHash   string `db:"start_hash"`
	StartSeal   string `db:"start_seal"`
	HeadNumber  int64  `db:"head_number"`
	HeadHash    string `db:"head_hash"`
	HeadSeal    string `db:"head_seal"`
	Last        int64  `db:"last"`
	Waiting     int    `db:"waiting"`
	Oldest      int64  `db:"oldest"`
}

func (x stateRow) state() trail.State {
	return trail.State{
		Start: markOf(x.StartNumber, x.StartHash, x.StartSeal), Head: markOf(x.HeadNumber, x.HeadHash, x.HeadSeal),
		Last: uint64(x.Last), Waiting: x.Waiting, Oldest: sqldb.Time(x.Oldest),
	}
}

// markOf gives a mark. What is no hexadecimal any more is no hash of ours, and
// the zero hash is none either.
func markOf(number int64, hash, seal string) trail.Mark {
	sealed, _ := hex.DecodeString(seal)
	return trail.Mark{Number: uint64(number), Hash: hashOf(hash), Seal: sealed}
}

func hashOf(text string) (out [32]byte) {
	if raw, err := hex.DecodeString(text); err == nil && len(raw) == len(out) {
		copy(out[:], raw)
	}
	return out
}

func textOf(hash [32]byte) string { return hex.EncodeToString(hash[:]) }

// maxWaiting is how far waiting events are counted.
const maxWaiting = "10000"

const selectTrail = `SELECT start_number, start_hash, start_seal, head_number, head_hash, head_seal,
	COALESCE((SELECT number FROM audit WHERE number IS NOT NULL ORDER BY number DESC LIMIT 1), 0) AS last,
	(SELECT COUNT(*) FROM (SELECT 1 FROM audit WHERE number IS NULL LIMIT ` + maxWaiting + `) AS w) AS waiting,
	COALESCE((SELECT at FROM audit WHERE number IS NULL ORDER BY at, id LIMIT 1), 0) AS oldest
	FROM audit_chain WHERE id = 1`

// TrailState looks at the audit trail.
func (r reader) TrailState(ctx context.Context) (trail.State, error) {
	var x stateRow
	if err := r.q.GetContext(ctx, &x, selectTrail); err != nil {
		return trail.State{}, failed("look at audit trail", err)
	}
	return x.state(), nil
}

// entryRow is a row of audit with its place.
type entryRow struct {
	auditRow
	Number int64  `db:"number"`
	Salts  string `db:"salts"`
	Erased string `db:"erased"`
	Hash   string `db:"hash"`
}

const selectEntries = `SELECT ` + auditColumns + `, number, salts, erased, hash FROM audit`

func (x *entryRow) entry() trail.Entry {
	e := trail.Entry{AuditEvent: x.event(), Number: uint64(x.Number), Hash: hashOf(x.Hash)}
	salts, _ := hex.DecodeString(x.Salts)
	digests := strings.Split(x.Erased, ",")
	for i := range e.Parts {
		if len(salts) == trail.Parts*16 {
			copy(e.Parts[i].Salt[:], salts[i*16:])
		}
		if len(digests) == trail.Parts && digests[i] != "" {
			e.Parts[i].Erased, e.Parts[i].Digest = true, hashOf(digests[i])
		}
	}
	return e
}

// partsOf gives salts and digests as they are stored.
func partsOf(e *trail.Entry) (salts, erased string) {
	var raw []byte
	digests, any := make([]string, trail.Parts), false
	for i := range e.Parts {
		raw = append(raw, e.Parts[i].Salt[:]...)
		if e.Parts[i].Erased {
			digests[i], any = textOf(e.Parts[i].Digest), true
		}
	}
	if any {
		erased = strings.Join(digests, ",")
	}
	return hex.EncodeToString(raw), erased
}

// TrailEntries returns entries in order.
func (s *Store) TrailEntries(ctx context.Context, after uint64, limit int) ([]trail.Entry, error) {
	var rows []entryRow
	err := s.db.SelectContext(ctx, &rows, selectEntries+` WHERE number > $1 ORDER BY number LIMIT $2`, int64(after), limit)
	if err != nil {
		return nil, failed("read audit trail", err)
	}
	return entriesOf(rows), nil
}

func entriesOf(rows []entryRow) []trail.Entry {
	out := make([]trail.Entry, 0, len(rows))
	for i := range rows {
		out = append(out, rows[i].entry())
	}
	return out
}

// inTrail runs change in a transaction; such transactions follow one another.
func (s *Store) inTrail(ctx context.Context, change func(ctx context.Context, t *tx) error) error {
	err := sqldb.InTx(ctx, s.db, func(ctx context.Context, x *sqlx.Tx) error {
		t := s.within(x)
		if err := t.lockName(ctx, "audit"); err != nil {
			return err
		}
		return change(ctx, t)
	})
	return sqldb.Unavailable(err)
}

// ChangeTrail numbers waiting events; see trail.Store.
func (s *Store) ChangeTrail(ctx context.Context, limit int, change func(trail.State, []auth.AuditEvent) (trail.Step, error)) error {
	return s.inTrail(ctx, func(ctx context.Context, t *tx) error {
		before, err := t.TrailState(ctx)
		if err != nil {
			return err
		}
		var rows []auditRow
		if err := t.tx.SelectContext(ctx, &rows, `SELECT `+auditColumns+` FROM audit WHERE number IS NULL ORDER BY at, id LIMIT $1`, limit); err != nil {
			return failed("read new audit events", err)
		}
		waiting := make([]auth.AuditEvent, 0, len(rows))
		for _, x := range rows {
			waiting = append(waiting, x.event())
		}
		step, err := change(before, waiting)
		if err != nil {
			return err
		}
		if err := t.number(ctx, step.Entries); err != nil {
			return err
		}
		return t.saveMarks(ctx, step.Start, step.Head)
	})
}

// number gives rows their places, all in one statement.
func (t *tx) number(ctx context.Context, entries []trail.Entry) error {
	if len(entries) == 0 {
		return nil
	}
	c := conditions{}
	for i := range entries {
		e := &entries[i]
		salts, _ := partsOf(e)
		c.parts = append(c.parts, fmt.Sprintf("(%s, CAST(%s AS BIGINT), %s, %s)",
			c.value(e.ID), c.value(int64(e.Number)), c.value(salts), c.value(textOf(e.Hash))))
	}
	n, err := t.exec(ctx, "number audit events", `WITH v (id, number, salts, hash) AS (VALUES `+strings.Join(c.parts, ", ")+`)
		UPDATE audit SET number = v.number, salts = v.salts, hash = v.hash FROM v WHERE audit.id = v.id AND audit.number IS NULL`, c.args...)
	if err == nil && n != len(entries) {
		return fmt.Errorf("number audit events: %d of %d were there", n, len(entries))
	}
	return err
}

func (t *tx) saveMarks(ctx context.Context, start, head trail.Mark) error {
	_, err := t.exec(ctx, "save ends of audit trail", `UPDATE audit_chain SET start_number = $1, start_hash = $2, start_seal = $3,
		head_number = $4, head_hash = $5, head_seal = $6 WHERE id = 1`,
		int64(start.Number), markText(start), hex.EncodeToString(start.Seal), int64(head.Number), markText(head), hex.EncodeToString(head.Seal))
	return err
}

func markText(m trail.Mark) string {
	if m.Number == 0 {
		return ""
	}
	return textOf(m.Hash)
}

// CutTrail deletes the oldest entries; see trail.Store.
func (s *Store) CutTrail(ctx context.Context, limit int, cut func(trail.State, []trail.Entry) (trail.Mark, error)) (int, error) {
	gone := 0
	err := s.inTrail(ctx, func(ctx context.Context, t *tx) error {
		gone = 0
		before, err := t.TrailState(ctx)
		if err != nil {
			return err
		}
		var rows []entryRow
		err = t.tx.SelectContext(ctx, &rows, selectEntries+` WHERE number IS NOT NULL ORDER BY number LIMIT $1`, limit)
		if err != nil {
			return failed("read oldest audit events", err)
		}
		start, err := cut(before, entriesOf(rows))
		if err != nil || start.Number == before.Start.Number {
			return err
		}
		n, err := t.exec(ctx, "delete oldest audit events", `DELETE FROM audit WHERE number <= $1`, int64(start.Number))
		if err != nil {
			return err
		}
		if uint64(n) != start.Number-before.Start.Number {
			return fmt.Errorf("delete oldest audit events: %d went, not %d", n, start.Number-before.Start.Number)
		}
		gone = n
		return t.saveMarks(ctx, start, before.Head)
	})
	if err != nil {
		return 0, err
	}
	return gone, nil
}

// Erasures returns the accounts that are to be erased.
func (s *Store) Erasures(ctx context.Context, limit int) ([]trail.Erasure, error) {
	var rows []struct {
		UserID    string `db:"user_id"`
		Pseudonym string `db:"pseudonym"`
		CreatedAt int64  `db:"created_at"`
	}
	err := s.db.SelectContext(ctx, &rows, `SELECT user_id, pseudonym, created_at FROM audit_erasures ORDER BY created_at, user_id LIMIT $1`, limit)
	if err != nil {
		return nil, failed("read accounts to pseudonymise", err)
	}
	out := make([]trail.Erasure, 0, len(rows))
	for _, x := range rows {
		out = append(out, trail.Erasure{UserID: x.UserID, Pseudonym: x.Pseudonym, At: sqldb.Time(x.CreatedAt)})
	}
	return out, nil
}

// EraseTrail has entries changed that name a user; see trail.Store.
func (s *Store) EraseTrail(ctx context.Context, userID string, limit int, erase func(*trail.Entry)) (int, error) {
	changed := 0
	err := s.inTrail(ctx, func(ctx context.Context, t *tx) error {
		changed = 0
		var rows []entryRow
		err := t.tx.SelectContext(ctx, &rows, selectEntries+` WHERE number IS NOT NULL AND (actor_id = $1 OR target_id = $1) LIMIT $2`, userID, limit)
		if err != nil {
			return failed("read audit events of an account", err)
		}
		for _, e := range entriesOf(rows) {
			erase(&e)
			if err := t.saveErased(ctx, &e); err != nil {
				return err
			}
			changed++
		}
		return nil
	})
	return changed, err
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
