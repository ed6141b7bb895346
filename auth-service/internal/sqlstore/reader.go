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
