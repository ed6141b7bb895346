package sqldb_test

import (
	"context"
	"testing"
	"testing/fstest"

	"gatehouse.internal/shared/embedded/testenv"
	"gatehouse.internal/shared/sqldb"
)

var migrations = fstest.MapFS{"0001_things.sql": {Data: []byte(`
-- +goose Up
CREATE TABLE things (
	id TEXT PRIMARY KEY, name TEXT UNIQUE, count BIGINT NOT NULL, flag BOOLEAN NOT NULL, body BYTEA);
CREATE TABLE parts (id TEXT PRIMARY KEY, thing TEXT NOT NULL REFERENCES things (id));
CREATE INDEX things_flagged ON things (name) WHERE flag;
-- +goose Down
DROP TABLE parts;
DROP TABLE things;
`)}}

// open gives a migrated database.
func open(t *testing.T, url string) *sqldb.DB {
	t.Helper()
	db, err := sqldb.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := db.Migrate(context.Background(), migrations); err != nil {
		t.Fatal(err)
	}
	return db
}

func TestMigrate(t *testing.T) {
	testenv.EachDatabase(t, func(t *testing.T, url string) {
		db := open(t, url)
		if err := db.Migrate(t.Context(), migrations); err != nil {
			t.Errorf("migrating again: %v", err)
		}
		if _, err := db.ExecContext(t.Context(), "INSERT INTO things (id, name, count, flag) VALUES ($1, $2, $3, $4)", "a", "b", 1, true); err != nil {
			t.Error(err)
		}
	})
}
