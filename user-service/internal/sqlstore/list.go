package sqlstore

import (
	"context"
	"fmt"
	"math"
	"strings"

	"gatehouse.internal/shared/sqldb"
	"gatehouse.internal/user-service/internal/user"
)

// selectPage finds the records of a filter. A role is looked for as the JSON
// text that it has within the array, and by replace, which unlike LIKE tells
// capitals apart on both databases.
const selectPage = `SELECT ` + columns + ` FROM users
	WHERE status <> 'deleted'
		AND (created_at, id) > ($1, $2)
		AND ($3 = '' OR status = $3)
		AND ($4 = '' OR replace(roles, $4, '') <> roles)
		AND search LIKE $5 ESCAPE '\'
	ORDER BY created_at, id
	LIMIT $6`

// wildcards are the characters of LIKE that a query means as they are.
var wildcards = strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`)

// List returns the records that the filter lets through.
func (s *Store) List(ctx context.Context, f user.Filter) ([]user.Record, error) {
	after := int64(math.MinInt64)
	if f.After.ID != "" {
		after = sqldb.Micros(f.After.CreatedAt)
	}
	role := ""
	if f.Role != "" {
		var err error
		if role, err = encodeText(f.Role); err != nil {
			return nil, fmt.Errorf("encode role: %w", err)
		}
	}
	query := "%" + wildcards.Replace(user.Fold(f.Query)) + "%"
	var rows []row
	err := s.db.SelectContext(ctx, &rows, selectPage, after, f.After.ID, f.Status, role, query, f.Limit)
	if err != nil {
		return nil, fmt.Errorf("list users: %w", sqldb.Unavailable(err))
	}
	records := make([]user.Record, 0, len(rows))
	for i := range rows {
		r, err := rows[i].record()
		if err != nil {
			return nil, err
		}
		records = append(records, r)
	}
	return records, nil
}
