package sqlstore

import (
	"encoding/json"
	"fmt"

	"gatehouse.internal/shared/sqldb"
	"gatehouse.internal/user-service/internal/user"
)

// row is a record as it lies in the table.
type row struct {
	ID            string  `db:"id"`
	Email         string  `db:"email"`
	EmailVerified bool    `db:"email_verified"`
	Roles         string  `db:"roles"`
	Status        string  `db:"status"`
	CreatedAt     int64   `db:"created_at"`
	ChangedAt     int64   `db:"changed_at"`
	LastLoginAt   int64   `db:"last_login_at"`
	Version       int64   `db:"version"`
	EventID       string  `db:"event_id"`
	FirstName     *string `db:"first_name"`
	LastName      *string `db:"last_name"`
	DisplayName   string  `db:"display_name"`
	Locale        string  `db:"locale"`
	TimeZone      string  `db:"time_zone"`
	AvatarURL     string  `db:"avatar_url"`
	UpdatedAt     int64   `db:"updated_at"`
	Search        string  `db:"search"`
}

// columns are those of row that a record is made of.
const columns = `id, email, email_verified, roles, status, created_at, changed_at, last_login_at, version, event_id,
	first_name, last_name, display_name, locale, time_zone, avatar_url, updated_at`

const insertRow = `INSERT INTO users (` + columns + `, search)
	VALUES (:id, :email, :email_verified, :roles, :status, :created_at, :changed_at, :last_login_at, :version, :event_id,
		:first_name, :last_name, :display_name, :locale, :time_zone, :avatar_url, :updated_at, :search)
	ON CONFLICT (id) DO NOTHING`

const updateRow = `UPDATE users SET email = :email, email_verified = :email_verified, roles = :roles, status = :status,
		created_at = :created_at, changed_at = :changed_at, last_login_at = :last_login_at, version = :version,
		event_id = :event_id, first_name = :first_name, last_name = :last_name, display_name = :display_name,
		locale = :locale, time_zone = :time_zone, avatar_url = :avatar_url, updated_at = :updated_at, search = :search
	WHERE id = :id`

// newRow gives the row of a record.
func newRow(r *user.Record) (row, error) {
	roles, err := encodeText(r.Roles)
	if err != nil {
		return row{}, fmt.Errorf("encode roles: %w", err)
	}
	made := row{
		ID: r.ID, Email: r.Email, EmailVerified: r.EmailVerified, Roles: roles, Status: r.Status,
		CreatedAt: sqldb.Micros(r.CreatedAt), ChangedAt: sqldb.Micros(r.ChangedAt), LastLoginAt: sqldb.Micros(r.LastLoginAt),
		Version: r.Version, EventID: r.EventID, FirstName: r.FirstName, LastName: r.LastName, DisplayName: r.DisplayName,
		Locale: r.Locale, TimeZone: r.TimeZone, AvatarURL: r.AvatarURL, UpdatedAt: sqldb.Micros(r.UpdatedAt),
	}
	if !r.Deleted() { // nothing of the person stays, and nothing to be found by
		made.Search = r.SearchText()
	}
	return made, nil
}

// record gives the record of a row.
func (r *row) record() (user.Record, error) {
	made := user.Record{
		ID: r.ID, Email: r.Email, EmailVerified: r.EmailVerified, Status: r.Status,
		CreatedAt: sqldb.Time(r.CreatedAt), ChangedAt: sqldb.Time(r.ChangedAt), LastLoginAt: sqldb.Time(r.LastLoginAt),
		Version: r.Version, EventID: r.EventID, FirstName: r.FirstName, LastName: r.LastName, DisplayName: r.DisplayName,
		Locale: r.Locale, TimeZone: r.TimeZone, AvatarURL: r.AvatarURL, UpdatedAt: sqldb.Time(r.UpdatedAt),
	}
	if err := json.Unmarshal([]byte(r.Roles), &made.Roles); err != nil {
		return user.Record{}, fmt.Errorf("decode roles of user: %w", err)
	}
	return made, nil
}

// encodeText gives a value as JSON text. Roles are written and looked for in
// this one form.
func encodeText(v any) (string, error) {
	text, err := json.Marshal(v)
	return string(text), err
}
