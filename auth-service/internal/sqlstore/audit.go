package sqlstore

import (
	"context"
	"fmt"
	"strings"

	"gatehouse.internal/auth-service/internal/auth"
	"gatehouse.internal/shared/sqldb"
)

// auditRow is a row of audit, without its place in the chain.
type auditRow struct {
	ID        string `db:"id"`
	At        int64  `db:"at"`
	Event     string `db:"event"`
	Outcome   string `db:"outcome"`
	Reason    string `db:"reason"`
	ActorID   string `db:"actor_id"`
	TargetID  string `db:"target_id"`
	SessionID string `db:"session_id"`
	Address   string `db:"address"`
	UserAgent string `db:"user_agent"`
	RequestID string `db:"request_id"`
}

const auditColumns = `id, at, event, outcome, reason, actor_id, target_id, session_id, address, user_agent, request_id`

func (x auditRow) event() auth.AuditEvent {
	return auth.AuditEvent{
		ID: x.ID, At: sqldb.Time(x.At), Event: x.Event, Outcome: x.Outcome, Reason: x.Reason,
		ActorID: x.ActorID, TargetID: x.TargetID, SessionID: x.SessionID,
		Address: x.Address, UserAgent: x.UserAgent, RequestID: x.RequestID,
	}
}

// AddAudit appends to the audit trail.
func (t *tx) AddAudit(ctx context.Context, e auth.AuditEvent) error {
	_, err := t.exec(ctx, "add audit event", `INSERT INTO audit (`+auditColumns+`) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`,
		e.ID, sqldb.Micros(e.At), e.Event, e.Outcome, e.Reason, e.ActorID, e.TargetID, e.SessionID,
		e.Address, e.UserAgent, e.RequestID)
	return err
}

// Audit returns events newest first.
func (r reader) Audit(ctx context.Context, f auth.AuditFilter) ([]auth.AuditEvent, error) {
	var rows []auditRow
	query, args := auditQuery(f)
	if err := r.q.SelectContext(ctx, &rows, query, args...); err != nil {
		return nil, failed("read audit trail", err)
	}
	out := make([]auth.AuditEvent, 0, len(rows))
	for _, x := range rows {
		out = append(out, x.event())
	}
	return out, nil
}

// auditQuery selects the newest events that a filter lets through. Those that
// name a user as actor and those that do as target come from two walks through
// two indexes: a database that is given both as one condition reads the whole
// trail for a user who is seldom named.
func auditQuery(f auth.AuditFilter) (string, []any) {
	c := auditConditions(f)
	if f.BeforeID != "" {
		c.parts = append(c.parts, "(at, id) < ("+c.value(sqldb.Micros(f.BeforeAt))+", "+c.value(f.BeforeID)+")")
	}
	limit := c.value(f.Limit)
	newest := func(c conditions) string {
		return `SELECT ` + auditColumns + ` FROM audit` + c.where() + ` ORDER BY at DESC, id DESC LIMIT ` + limit
	}
	if f.UserID == "" {
		return newest(c), c.args
	}
	user := c.value(f.UserID)
	walks := make([]string, 0, 2)
	for _, column := range []string{"actor_id", "target_id"} {
		walk := conditions{parts: append([]string{column + " = " + user}, c.parts...)}
		walks = append(walks, `SELECT * FROM (`+newest(walk)+`) AS `+column)
	}
	return fmt.Sprintf(`%s ORDER BY at DESC, id DESC LIMIT %s`, strings.Join(walks, ` UNION `), limit), c.args
}

// auditConditions are those of a filter, but for the user and the place.
func auditConditions(f auth.AuditFilter) conditions {
	c := conditions{}
	for _, part := range []struct{ column, value string }{
		{"actor_id", f.ActorID}, {"target_id", f.TargetID}, {"session_id", f.SessionID}, {"address", f.Address},
		{"request_id", f.RequestID}, {"event", f.Event}, {"outcome", f.Outcome},
	} {
		if part.value != "" {
			c.add(part.column+" = ", part.value)
		}
	}
	if !f.From.IsZero() {
		c.add("at >= ", sqldb.Micros(f.From))
	}
	if !f.To.IsZero() {
		c.add("at < ", sqldb.Micros(f.To))
	}
	return c
}

// numberedRow is a row of audit with its place.
type numberedRow struct {
	auditRow
	Number int64  `db:"number"`
	Hash   string `db:"hash"`
}

// NumberedAudit returns events that have a number above after, by number.
func (r reader) NumberedAudit(ctx context.Context, f auth.AuditFilter, after uint64) ([]auth.NumberedEvent, error) {
	c := auditConditions(f)
	c.add("number > ", int64(after))
	if f.UserID != "" {
		user := c.value(f.UserID)
		c.parts = append(c.parts, "(actor_id = "+user+" OR target_id = "+user+")")
	}
	var rows []numberedRow
	query := `SELECT ` + auditColumns + `, number, hash FROM audit` + c.where() + ` ORDER BY number LIMIT ` + c.value(f.Limit)
	if err := r.q.SelectContext(ctx, &rows, query, c.args...); err != nil {
		return nil, failed("read audit trail", err)
	}
	out := make([]auth.NumberedEvent, 0, len(rows))
	for _, x := range rows {
		out = append(out, auth.NumberedEvent{AuditEvent: x.event(), Number: uint64(x.Number), Hash: hashOf(x.Hash)})
	}
	return out, nil
}
