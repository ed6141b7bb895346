package sqlstore

import (
	"embed"
	"errors"
	"io/fs"
	"slices"
	"strings"

	"gatehouse.internal/shared/sqldb"
)

//go:embed migrations/*.sql migrations/postgres/*.sql
var migrations embed.FS

// schema is the migrations of a kind of database: the common ones, and those in
// the folder that is named after it.
type schema struct{ common, own fs.FS }

func schemaOf(d sqldb.Dialect) (fs.FS, error) {
	common, err := fs.Sub(migrations, "migrations")
	if err != nil || d != sqldb.Postgres {
		return common, err
	}
	own, err := fs.Sub(migrations, "migrations/postgres")
	return schema{common, own}, err
}

// Open opens a file of either folder.
func (s schema) Open(name string) (fs.File, error) {
	f, err := s.own.Open(name)
	if errors.Is(err, fs.ErrNotExist) || name == "." {
		return s.common.Open(name)
	}
	return f, err
}

// ReadDir lists both folders as one.
func (s schema) ReadDir(name string) ([]fs.DirEntry, error) {
	all, err := fs.ReadDir(s.common, name)
	if err != nil {
		return nil, err
	}
	own, err := fs.ReadDir(s.own, name)
	all = slices.DeleteFunc(append(all, own...), fs.DirEntry.IsDir)
	slices.SortFunc(all, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return all, err
}
