package sqlstore

import (
	"context"
	"fmt"
	"strings"
	"unicode"

	"gatehouse.internal/shared/sqldb"
	"gatehouse.internal/user-service/internal/user"
)

// wildcards are the characters of LIKE that a query means as they are.
var wildcards = strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`)

// selection is a query in the making.
type selection struct {
	conditions []string
	args       []any
}

// value adds an argument and gives its placeholder.
func (q *selection) value(arg any) string {
	q.args = append(q.args, arg)
	return fmt.Sprintf("$%d", len(q.args))
}

func (q *selection) where(condition string) { q.conditions = append(q.conditions, condition) }

func (q *selection) all() string { return strings.Join(q.conditions, " AND ") }

// living begins a selection of accounts that are not deleted.
func living() *selection {
	return &selection{conditions: []string{"status <> 'deleted'"}}
}

// place selects what comes after the filter's cursor, in the wanted state.
func (q *selection) place(f *user.Filter) {
	if f.After.ID != "" {
		q.where("(created_at, id) > (" + q.value(sqldb.Micros(f.After.CreatedAt)) + ", " + q.value(f.After.ID) + ")")
	}
	if f.Status != "" {
		q.where("status = " + q.value(f.Status))
	}
}

// text selects by query and role. A role is looked for as the JSON text that it
// has within the array, and by replace besides LIKE, which does not tell
// capitals apart on SQLite.
func (q *selection) text(f *user.Filter) error {
	if f.Query != "" {
		q.where("search LIKE " + q.value("%"+wildcards.Replace(user.Fold(f.Query))+"%") + ` ESCAPE '\'`)
	}
	if f.Role == "" {
		return nil
	}
	role, err := encodeText(f.Role)
	if err != nil {
		return fmt.Errorf("encode role: %w", err)
	}
	q.where("roles LIKE " + q.value("%"+wildcards.Replace(role)+"%") + ` ESCAPE '\'`)
	q.where("replace(roles, " + q.value(role) + ", '') <> roles")
	return nil
}

// window is how many accounts are read in order before an index of texts is
// asked: what more than one in 200 accounts has is on the first page by then,
// and what fewer have, the index finds at once.
const window = 10_000

// List returns the records that the filter lets through. What is common is found
// by reading in order, what is rare by an index of texts where there is one: an
// index that gave all the accounts of a common text would have them sorted for
// every page.
func (s *Store) List(ctx context.Context, f user.Filter) ([]user.Record, error) {
	if !s.byText || !indexed(&f) {
		return s.inOrder(ctx, &f)
	}
	records, err := s.inWindow(ctx, &f)
	if err != nil || len(records) >= f.Limit {
		return records, err
	}
	return s.byIndex(ctx, &f)
}

// indexed reports whether an index of texts knows what to look for: a role, or
// three letters or digits in a row.
func indexed(f *user.Filter) bool {
	if f.Role != "" {
		return true
	}
	run := 0
	for _, r := range f.Query {
		if run++; !unicode.IsLetter(r) && !unicode.IsDigit(r) {
			run = 0
		}
		if run == 3 {
			return true
		}
	}
	return false
}

const inOrder = ` ORDER BY created_at, id LIMIT `

// inOrder reads accounts in order until there are enough.
func (s *Store) inOrder(ctx context.Context, f *user.Filter) ([]user.Record, error) {
	q := living()
	q.place(f)
	if err := q.text(f); err != nil {
		return nil, err
	}
	return s.list(ctx, q, `SELECT `+columns+` FROM users WHERE `+q.all()+inOrder+q.value(f.Limit))
}

// inWindow looks among the next accounts in order.
func (s *Store) inWindow(ctx context.Context, f *user.Filter) ([]user.Record, error) {
	q := living()
	q.place(f)
	inner := `SELECT ` + columns + `, search FROM users WHERE ` + q.all() + inOrder + q.value(window)
	q.conditions = nil
	if err := q.text(f); err != nil {
		return nil, err
	}
	return s.list(ctx, q, `SELECT `+columns+` FROM (`+inner+`) AS following WHERE `+q.all()+inOrder+q.value(f.Limit))
}

// byIndex has the index find all accounts with the text, and takes the page out
// of them. That is materialized, so that PostgreSQL does not go back to reading
// in order.
func (s *Store) byIndex(ctx context.Context, f *user.Filter) ([]user.Record, error) {
	q := living()
	if err := q.text(f); err != nil {
		return nil, err
	}
	found := `SELECT ` + columns + ` FROM users WHERE ` + q.all()
	q.conditions = []string{"TRUE"}
	q.place(f)
	return s.list(ctx, q, `WITH found AS MATERIALIZED (`+found+`) SELECT `+columns+` FROM found WHERE `+q.all()+inOrder+q.value(f.Limit))
}

func (s *Store) list(ctx context.Context, q *selection, query string) ([]user.Record, error) {
	var rows []row
	if err := s.db.SelectContext(ctx, &rows, query, q.args...); err != nil {
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
