package sqlstore

import (
	"context"
	"encoding/hex"
	"fmt"
	"slices"
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
	KeptAt      int64  `db:"kept_at"`
	KeptSeal    string `db:"kept_seal"`
	EraserKey   string `db:"eraser_key"`
	Last        int64  `db:"last"`
	Waiting     int    `db:"waiting"`
	Oldest      int64  `db:"oldest"`
}

func (x stateRow) state() trail.State {
	return trail.State{
		Start: markOf(x.StartNumber, x.StartHash, x.StartSeal), Head: markOf(x.HeadNumber, x.HeadHash, x.HeadSeal),
		Last: uint64(x.Last), Waiting: x.Waiting, Oldest: sqldb.Time(x.Oldest),
		Kept: trail.Kept{At: sqldb.Time(x.KeptAt), Seal: unhex(x.KeptSeal)}, EraserKey: unhex(x.EraserKey),
	}
}

// unhex reads hexadecimal. What is none is given as it stands, which nobody has
// sealed.
func unhex(text string) []byte {
	raw, err := hex.DecodeString(text)
	if err != nil {
		return []byte(text)
	}
	return raw
}

// markOf gives a mark. What is no hexadecimal any more is no hash of ours, and
// the zero hash is none either.
func markOf(number int64, hash, seal string) trail.Mark {
	return trail.Mark{Number: uint64(number), Hash: hashOf(hash), Seal: unhex(seal)}
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
	kept_at, kept_seal, eraser_key,
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
			copy(e.Parts[i].Proof[:], salts[i*16:])
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
		raw = append(raw, e.Parts[i].Proof[:]...)
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
		for _, e := range step.New {
			if err := t.AddAudit(ctx, e); err != nil {
				return err
			}
		}
		if err := t.number(ctx, step.Entries); err != nil {
			return err
		}
		if err := t.saveKept(ctx, step); err != nil {
			return err
		}
		return t.saveMarks(ctx, step.Start, step.Head)
	})
}

func (t *tx) saveKept(ctx context.Context, step trail.Step) error {
	_, err := t.exec(ctx, "save when audit trail was kept", `UPDATE audit_chain SET kept_at = $1, kept_seal = $2, eraser_key = $3 WHERE id = 1`,
		sqldb.Micros(step.Kept.At), hex.EncodeToString(step.Kept.Seal), hex.EncodeToString(step.EraserKey))
	return err
}

// numberAtOnce are the numbers of rows that one statement gives their places:
// each makes a text of its own, and a connection keeps a bounded number of those
// prepared.
var numberAtOnce = []int{1, 8, 64, 512}

// number gives rows their places, in few statements.
func (t *tx) number(ctx context.Context, entries []trail.Entry) error {
	most := numberAtOnce[len(numberAtOnce)-1]
	for chunk := range slices.Chunk(entries, most) {
		if err := t.numberChunk(ctx, chunk); err != nil {
			return err
		}
	}
	return nil
}

func (t *tx) numberChunk(ctx context.Context, entries []trail.Entry) error {
	query, args := numberQuery(entries)
	n, err := t.exec(ctx, "number audit events", query, args...)
	if err == nil && n != len(entries) {
		return fmt.Errorf("number audit events: %d of %d were there", n, len(entries))
	}
	return err
}

// numberQuery fills the statement up with rows that there are none of.
func numberQuery(entries []trail.Entry) (query string, args []any) {
	size := numberAtOnce[slices.IndexFunc(numberAtOnce, func(n int) bool { return n >= len(entries) })]
	c := conditions{}
	for i := range size {
		var id, number, salts, hash any
		if i < len(entries) {
			e := &entries[i]
			text, _ := partsOf(e)
			id, number, salts, hash = e.ID, int64(e.Number), text, textOf(e.Hash)
		}
		c.parts = append(c.parts, fmt.Sprintf("(CAST(%s AS TEXT), CAST(%s AS BIGINT), CAST(%s AS TEXT), CAST(%s AS TEXT))",
			c.value(id), c.value(number), c.value(salts), c.value(hash)))
	}
	return `WITH v (id, number, salts, hash) AS (VALUES ` + strings.Join(c.parts, ", ") + `)
		UPDATE audit SET number = v.number, salts = v.salts, hash = v.hash FROM v WHERE audit.id = v.id AND audit.number IS NULL`, c.args
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
