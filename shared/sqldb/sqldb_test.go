package sqldb_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"gatehouse.internal/shared/embedded/testenv"
	"gatehouse.internal/shared/fault"
	"gatehouse.internal/shared/sqldb"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const firstMigration = `
-- +goose Up
CREATE TABLE things (
	id TEXT PRIMARY KEY, name TEXT UNIQUE, count BIGINT NOT NULL, flag BOOLEAN NOT NULL, body BYTEA);
CREATE TABLE parts (id TEXT PRIMARY KEY, thing TEXT NOT NULL REFERENCES things (id));
CREATE INDEX things_flagged ON things (name) WHERE flag;
-- +goose Down
DROP TABLE parts;
DROP TABLE things;
`

func migrations() fstest.MapFS {
	return fstest.MapFS{"0001_things.sql": {Data: []byte(firstMigration)}}
}

// connect gives a database as its URL says.
func connect(t testing.TB, url string) *sqldb.DB {
	t.Helper()
	db, err := sqldb.Open(context.Background(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

// open gives a migrated database.
func open(t testing.TB, url string) *sqldb.DB {
	t.Helper()
	db := connect(t, url)
	if err := db.Migrate(context.Background(), migrations()); err != nil {
		t.Fatal(err)
	}
	return db
}

// insert adds a thing.
func insert(t testing.TB, db *sqldb.DB, id string) {
	t.Helper()
	if _, err := db.ExecContext(context.Background(), "INSERT INTO things (id, count, flag) VALUES ($1, 0, $2)", id, true); err != nil {
		t.Fatal(err)
	}
}

func TestMigrate(t *testing.T) {
	for _, c := range []struct {
		name string
		run  func(t *testing.T, url string)
	}{
		{"doing it again changes nothing", func(t *testing.T, url string) {
			db := open(t, url)
			insert(t, db, "a")
			if err := db.Migrate(t.Context(), migrations()); err != nil {
				t.Fatal(err)
			}
			var n int
			if err := db.Get(&n, "SELECT count(*) FROM things"); err != nil || n != 1 {
				t.Errorf("%d things, %v", n, err)
			}
		}},
		{"several replicas may start at once", func(t *testing.T, url string) {
			var starts sync.WaitGroup
			for range 4 {
				db := connect(t, url)
				starts.Go(func() {
					if err := db.Migrate(t.Context(), migrations()); err != nil {
						t.Error(err)
					}
				})
			}
			starts.Wait()
		}},
		{"an older program starts on a newer database", func(t *testing.T, url string) {
			db := connect(t, url)
			newer := migrations()
			newer["0002_more.sql"] = &fstest.MapFile{Data: []byte("-- +goose Up\nALTER TABLE things ADD COLUMN more TEXT;\n")}
			for _, files := range []fstest.MapFS{newer, migrations()} {
				if err := db.Migrate(t.Context(), files); err != nil {
					t.Fatal(err)
				}
			}
		}},
		{"a broken migration leaves nothing of itself", func(t *testing.T, url string) {
			db := connect(t, url)
			files := migrations()
			files["0002_broken.sql"] = &fstest.MapFile{Data: []byte("-- +goose Up\nCREATE TABLE half (id TEXT);\nCREATE TABLE things (id TEXT);\n")}
			if err := db.Migrate(t.Context(), files); err == nil {
				t.Fatal("it was applied")
			}
			if _, err := db.Exec("SELECT * FROM half"); err == nil {
				t.Error("half of it was applied")
			}
			if err := db.Migrate(t.Context(), migrations()); err != nil {
				t.Errorf("the good part: %v", err)
			}
		}},
		{"no files are an error", func(t *testing.T, url string) {
			if err := connect(t, url).Migrate(t.Context(), fstest.MapFS{}); err == nil {
				t.Error("no error")
			}
		}},
	} {
		t.Run(c.name, func(t *testing.T) { testenv.EachDatabase(t, c.run) })
	}
}

func TestOneTextForBothDialects(t *testing.T) {
	testenv.EachDatabase(t, func(t *testing.T, url string) {
		db := open(t, url)
		type thing struct {
			ID    string
			Name  *string
			Count int64
			Flag  bool
			Body  []byte
		}
		at := time.Date(2026, 11, 21, 1, 2, 3, 456789123, time.FixedZone("", 5*3600))
		name := "naïve"
		want := thing{ID: "a", Name: &name, Count: sqldb.Micros(at), Flag: true, Body: []byte{0, 255, '\''}}
		var got thing
		// Placeholders out of order, and one used twice for the same type.
		const upsert = `
			INSERT INTO things (flag, count, id, name, body) VALUES ($4, $3, $1, $2, $5)
			ON CONFLICT (id) DO UPDATE SET count = excluded.count, flag = excluded.flag WHERE things.id = $1
			RETURNING id, name, count, flag, body`
		for range 2 {
			if err := db.GetContext(t.Context(), &got, upsert, want.ID, want.Name, want.Count, want.Flag, want.Body); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("want -, got +:\n%s", diff)
			}
		}
		if back := sqldb.Time(got.Count); !back.Equal(at.Truncate(time.Microsecond)) || back.Location() != time.UTC {
			t.Errorf("time came back as %s", back)
		}
		var without thing
		if err := db.Get(&without, `INSERT INTO things (id, count, flag) VALUES ($1, $2, $3) RETURNING id, name, count, flag, body`, "b", 0, false); err != nil {
			t.Fatal(err)
		}
		if without.Name != nil || without.Body != nil || without.Flag {
			t.Errorf("empty values came back as %+v", without)
		}
		var moved []string
		if err := db.Select(&moved, `UPDATE things SET count = other.count + 1 FROM things AS other WHERE other.id = $1 AND things.id = $2 RETURNING things.id`, "a", "b"); err != nil || len(moved) != 1 {
			t.Errorf("UPDATE FROM moved %v, %v", moved, err)
		}
		var names []string
		if err := db.Select(&names, db.Rebind("SELECT name FROM things WHERE flag = $1 ORDER BY name"), true); err != nil || len(names) != 1 {
			t.Errorf("names are %v, %v", names, err)
		}
	})
}

func TestTime_zeroIsZero(t *testing.T) {
	if got := sqldb.Micros(time.Time{}); got != 0 {
		t.Errorf("Micros of the zero time is %d", got)
	}
	if got := sqldb.Time(0); !got.IsZero() {
		t.Errorf("Time of 0 is %s", got)
	}
}

func TestErrorsByCode(t *testing.T) {
	testenv.EachDatabase(t, func(t *testing.T, url string) {
		db := open(t, url)
		insert(t, db, "a")
		for _, c := range []struct {
			name, statement    string
			unique, foreignKey bool
		}{
			{"a primary key that is there", "INSERT INTO things (id, count, flag) VALUES ('a', 1, true)", true, false},
			{"a unique name that is there", "UPDATE things SET name = 'x'; INSERT INTO things (id, name, count, flag) VALUES ('b', 'x', 1, true)", true, false},
			{"a reference to nothing", "INSERT INTO parts (id, thing) VALUES ('p', 'none')", false, true},
			{"a syntax error", "SELEKT 1", false, false},
		} {
			_, err := db.Exec(c.statement)
			if err == nil {
				t.Errorf("%s: no error", c.name)
			}
			if sqldb.IsUnique(err) != c.unique || sqldb.IsForeignKey(err) != c.foreignKey {
				t.Errorf("%s: unique %v, foreign key %v: %v", c.name, sqldb.IsUnique(err), sqldb.IsForeignKey(err), err)
			}
			if fault.Is(sqldb.Unavailable(err), fault.Unavailable) {
				t.Errorf("%s: is taken for a database that is away: %v", c.name, err)
			}
		}
	})
}

func TestOpen_refusesWhatCannotWork(t *testing.T) {
	for _, url := range []string{
		"", "mysql://x", "sqlite:", "sqlite::memory:", "sqlite:file::memory:", "sqlite:x.db?mode=ro", "postgres://[::1", "postgres://x?sslmode=nonsense",
	} {
		if db, err := sqldb.Open(t.Context(), url); err == nil {
			t.Errorf("%q was opened", url)
			_ = db.Close()
		}
	}
	_, err := sqldb.Open(t.Context(), "postgres://user:hunter2@[::1")
	if err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("the password is in the error, or there is none: %v", err)
	}
}

func TestOpen_sqliteFile(t *testing.T) {
	// A path with everything that has a meaning in a URI.
	path := filepath.Join(t.TempDir(), "new folder", "100% #1 &_pragma=x.db")
	db := open(t, "sqlite:"+path)
	insert(t, db, "a")
	files, err := filepath.Glob(filepath.Join(filepath.Dir(path), "100*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no files: %v", err)
	}
	for _, file := range files {
		info, err := os.Stat(file)
		if err != nil {
			t.Fatal(err)
		}
		if mode := info.Mode().Perm(); mode != 0o600 {
			t.Errorf("%s has mode %o", filepath.Base(file), mode)
		}
	}
	for pragma, want := range map[string]string{"journal_mode": "wal", "synchronous": "2", "foreign_keys": "1"} {
		var got string
		if err := db.Get(&got, "PRAGMA "+pragma); err != nil || got != want {
			t.Errorf("%s is %s, %v; want %s", pragma, got, err, want)
		}
	}
}

func TestOpen_givesUpWithItsContext(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	began := time.Now()
	_, err := sqldb.Open(ctx, "postgres://root@127.0.0.1:1/test?sslmode=disable")
	if !fault.Is(err, fault.Unavailable) || time.Since(began) > 5*time.Second {
		t.Errorf("got %v after %s", err, time.Since(began))
	}
}
