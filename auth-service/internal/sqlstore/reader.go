package sqlstore

import (
	"context"
	"fmt"
	"strings"

	"gatehouse.internal/auth-service/internal/auth"
	"gatehouse.internal/shared/contract"
	"gatehouse.internal/shared/sqldb"
)

// querier is a database, or a transaction on it.
type querier interface {
	GetContext(ctx context.Context, dest any, query string, args ...any) error
	SelectContext(ctx context.Context, dest any, query string, args ...any) error
}

// reader reads from a database or in a transaction; see auth.Reader.
type reader struct {
	q           querier
	incarnation string // an SQL expression
}

// conditions gathers what a query asks for, with placeholders in order.
type conditions struct {
	parts []string
	args  []any
}

// value adds an argument and gives its placeholder.
func (c *conditions) value(arg any) string {
	c.args = append(c.args, arg)
	return fmt.Sprintf("$%d", len(c.args))
}

// add adds a condition that ends with one argument.
func (c *conditions) add(text string, arg any) { c.parts = append(c.parts, text+c.value(arg)) }

// where gives the WHERE clause, or nothing.
func (c *conditions) where() string {
	if len(c.parts) == 0 {
		return ""
	}
	return " WHERE " + strings.Join(c.parts, " AND ")
}

// auditRow is a row of audit.
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

// Audit returns events newest first.
func (r reader) Audit(ctx context.Context, f auth.AuditFilter) ([]auth.AuditEvent, error) {
	c := conditions{}
	if f.UserID != "" {
		c.parts = append(c.parts, "(actor_id = "+c.value(f.UserID)+" OR target_id = "+c.value(f.UserID)+")")
	}
	if f.Event != "" {
		c.add("event = ", f.Event)
	}
	if !f.From.IsZero() {
		c.add("at >= ", sqldb.Micros(f.From))
	}
	if !f.To.IsZero() {
		c.add("at < ", sqldb.Micros(f.To))
	}
	if f.BeforeID != "" {
		c.parts = append(c.parts, "(at, id) < ("+c.value(sqldb.Micros(f.BeforeAt))+", "+c.value(f.BeforeID)+")")
	}
	var rows []auditRow
	query := `SELECT id, at, event, outcome, reason, actor_id, target_id, session_id, address, user_agent, request_id
		FROM audit` + c.where() + ` ORDER BY at DESC, id DESC LIMIT ` + c.value(f.Limit)
	if err := r.q.SelectContext(ctx, &rows, query, c.args...); err != nil {
		return nil, failed("read audit trail", err)
	}
	out := make([]auth.AuditEvent, 0, len(rows))
	for _, x := range rows {
		out = append(out, auth.AuditEvent{
			ID: x.ID, At: sqldb.Time(x.At), Event: x.Event, Outcome: x.Outcome, Reason: x.Reason,
			ActorID: x.ActorID, TargetID: x.TargetID, SessionID: x.SessionID,
			Address: x.Address, UserAgent: x.UserAgent, RequestID: x.RequestID,
		})
	}
	return out, nil
}

// TokenRevoked reports whether the access token was revoked by itself.
func (r reader) TokenRevoked(ctx context.Context, tokenID string) (bool, error) {
	var revoked bool
	err := r.q.GetContext(ctx, &revoked, `SELECT EXISTS (SELECT 1 FROM revocations WHERE kind = $1 AND subject = $2)`,
		int64(contract.RevokeToken), tokenID)
	return revoked, failed("look for revoked token", err)
}

// Revocations returns the ids of revocations of a subject, newest first.
func (r reader) Revocations(ctx context.Context, q auth.RevocationQuery) ([]string, error) {
	var ids []string
	err := r.q.SelectContext(ctx, &ids, `SELECT id FROM revocations WHERE subject = $1 AND expires_at > $2
		ORDER BY created_at DESC, id DESC LIMIT $3`, q.Subject, sqldb.Micros(q.At), q.Limit)
	return ids, failed("look for revocations", err)
}
