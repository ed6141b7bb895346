package sqlstore

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"gatehouse.internal/shared/contract"
	"gatehouse.internal/shared/sqldb"
)

// RoleTable returns the table that is published, or fault.NotFound before the
// first.
func (r reader) RoleTable(ctx context.Context) (contract.RoleTable, error) {
	var row struct {
		Version int64  `db:"version"`
		Roles   string `db:"roles"`
	}
	if err := r.q.GetContext(ctx, &row, `SELECT version, roles FROM role_table WHERE id = 1`); err != nil {
		return contract.RoleTable{}, failed("read role table", err)
	}
	out := contract.RoleTable{Version: row.Version}
	if err := json.Unmarshal([]byte(row.Roles), &out.Roles); err != nil {
		return contract.RoleTable{}, fmt.Errorf("decode role table: %w", err)
	}
	return out, nil
}

// PublishRoles puts the table in the place of the one before. Its version is
// above every earlier one, also of a history that the database has lost, unless
// the clock was set back meanwhile.
func (s *Store) PublishRoles(ctx context.Context, t contract.RoleTable, now time.Time) error {
	roles, err := json.Marshal(t.Roles)
	if err != nil {
		return fmt.Errorf("encode role table: %w", err)
	}
	_, err = s.db.ExecContext(ctx, `INSERT INTO role_table (id, version, roles) VALUES (1, $1, $2)
		ON CONFLICT (id) DO UPDATE SET roles = excluded.roles,
		version = CASE WHEN role_table.version < excluded.version THEN excluded.version ELSE role_table.version + 1 END`,
		sqldb.Micros(now), string(roles))
	return failed("publish role table", err)
}
