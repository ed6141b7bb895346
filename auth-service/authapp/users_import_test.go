package authapp_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/bcrypt"

	"gatehouse.internal/auth-service/authapp"
	"gatehouse.internal/shared/embedded/testenv"
	"gatehouse.internal/shared/sqldb"
)

// importUsers runs the command on a file with this content.
func importUsers(t *testing.T, databaseURL, name, content string) (string, error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	environ := []string{"DATABASE_URL=" + databaseURL}
	for _, v := range environment() {
		if !strings.HasPrefix(v, "DATABASE_URL=") {
			environ = append(environ, v)
		}
	}
	var stdout, stderr bytes.Buffer
	err := authapp.Main(t.Context(), []string{"users", "import", file}, environ, &stdout, &stderr)
	return strings.ReplaceAll(stdout.String(), file, name), err
}

func bcryptOf(t *testing.T, password string) string {
	t.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte(password), 10)
	if err != nil {
		t.Fatal(err)
	}
	return string(hash)
}

func TestUsersImport_SW4_hashes_are_verified_and_upgraded_at_the_first_sign_in(t *testing.T) {
	testenv.EachDatabase(t, func(t *testing.T, url string) {
		hash := bcryptOf(t, "hunter2") // as short as another system allowed
		csv := "email,password_hash,email_verified,first_name\nAda@example.com," + hash + ",true,Ada\n"
		if out, err := importUsers(t, url, "users.csv", csv); err != nil || out != "1 users imported\n" {
			t.Fatalf("%q, %v", out, err)
		}
		lines := fmt.Sprintf("{\"email\":\"bob@example.com\",\"password_hash\":%q}\n\n", hash)
		if out, err := importUsers(t, url, "users.jsonl", lines); err != nil || out != "1 users imported\n" {
			t.Fatalf("%q, %v", out, err)
		}
		cfg := settings(t, startMailbox(t).url)
		cfg.DatabaseURL = url
		app := start(t, cfg)
		for _, email := range []string{"ada@example.com", "bob@example.com"} {
			if status := app.call("POST", "/auth/login", "", map[string]string{"email": email, "password": "hunter3"}, nil); status != 401 {
				t.Errorf("a wrong password of %s: status %d", email, status)
			}
			app.login(email, "hunter2")
		}
		db, err := sqldb.Open(t.Context(), url)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = db.Close() }()
		var stored []string
		if err := db.Select(&stored, `SELECT password_hash FROM users WHERE email <> 'root@example.com' ORDER BY email`); err != nil {
			t.Fatal(err)
		}
		for _, h := range stored {
			if !strings.HasPrefix(h, "$argon2id$") {
				t.Errorf("after a sign-in %.10q is stored", h)
			}
		}
		app.login("ada@example.com", "hunter2")
		if strings.Contains(app.log.String(), "ada@") || strings.Contains(app.log.String(), hash) {
			t.Error("the log tells who was imported")
		}
	})
}

// manyKinds gives users whose hashes all have other parameters.
func manyKinds(n int) string {
	var lines strings.Builder
	for i := range n {
		fmt.Fprintf(&lines, "{\"email\":\"u%d@example.com\",\"password_hash\":\"$argon2id$v=19$m=%d,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc\"}\n", i, 20000+i)
	}
	return lines.String()
}

func TestUsersImport_reports_every_bad_line_and_changes_nothing(t *testing.T) {
	hash := bcryptOf(t, "hunter2")
	good := func(email string) string { return fmt.Sprintf(`{"email":%q,"password_hash":%q}`, email, hash) }
	for _, c := range []struct{ name, file, content, want string }{
		{"bad JSON lines", "users.jsonl", strings.Join([]string{
			good("ada@example.com"), `{"email":5}`, `{"emial":"x"}`, good("eve@example.com") + " {}", `nothing`,
		}, "\n"), "users.jsonl:2: email: a JSON number is not a string\nusers.jsonl:3: unknown field \"emial\"\n" +
			"users.jsonl:4: there is more than one JSON object\nusers.jsonl:5: not a JSON object\n"},
		{"bad users", "users.jsonl", strings.Join([]string{
			good("ada@example.com"), good("ADA@example.com"), good("taken@example.com"), good("nobody"), `{"email":"c@example.com","password_hash":"hunter2"}`,
			strings.Replace(good("d@example.com"), "$10$", "$04$", 1),
		}, "\n"), "users.jsonl:2: email: the address is in line 1 already\nusers.jsonl:3: email: the address has an account already\n" +
			"users.jsonl:4: email: is not an e-mail address\n" +
			"users.jsonl:5: password_hash: is neither a bcrypt hash nor one of Argon2id with parameters within bounds\n" +
			"users.jsonl:6: password_hash: has the bcrypt cost 4, which is not within 10 and 14\n"},
		{"parameters of Argon2id of too many kinds", "users.jsonl", manyKinds(7),
			"users.jsonl:6: password_hash: has parameters of Argon2id beside 5 others, each of which makes every sign-in slower\n" +
				"users.jsonl:7: password_hash: has parameters of Argon2id beside 5 others, each of which makes every sign-in slower\n"},
		{"parameters of Argon2id that are ruinous", "users.jsonl",
			`{"email":"ada@example.com","password_hash":"$argon2id$v=19$m=1048576,t=64,p=4$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc"}`,
			"users.jsonl:1: password_hash: is out of bounds: argon2id: 1048576 KiB of memory are not within 7168 and 262144\n"},
		{"a long line", "users.ndjson", strings.Repeat("x", 70<<10), "users.ndjson:1: the line has over 64 KiB\n"},
		{"unknown columns", "users.csv", "email,password,email\n", "users.csv:1: unknown column \"password\"\nusers.csv:1: column \"email\" is there twice\n"},
		{"no columns", "users.csv", "", "users.csv:1: there is no line with the names of the columns\n"},
		{"a row that is too short", "users.csv", "email,password_hash\na@example.com\n", "users.csv:2: wrong number of fields\n"},
		{"values of the wrong kind", "users.csv", "email,password_hash,email_verified\n\"a\n\",x,maybe\nb@example.com,x,maybe\n",
			"users.csv:2: email_verified: is neither true nor false\nusers.csv:4: email_verified: is neither true nor false\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			testenv.EachDatabase(t, func(t *testing.T, url string) {
				if out, err := importUsers(t, url, "before.jsonl", good("taken@example.com")); err != nil {
					t.Fatalf("%q, %v", out, err)
				}
				out, err := importUsers(t, url, c.file, c.content)
				if out != c.want || err == nil || !strings.Contains(err.Error(), "nothing was imported") {
					t.Errorf("printed %q, want %q; %v", out, c.want, err)
				}
				if strings.Contains(out, hash) || strings.Contains(out, "example.com") {
					t.Errorf("the output repeats what is in the file: %s", out)
				}
				db, err := sqldb.Open(t.Context(), url)
				if err != nil {
					t.Fatal(err)
				}
				defer func() { _ = db.Close() }()
				var users, letters int
				if err := db.Get(&users, `SELECT COUNT(*) FROM users`); err != nil || users != 1 {
					t.Errorf("%d users are there (%v), want the one from before", users, err)
				}
				if err := db.Get(&letters, `SELECT COUNT(*) FROM outbox`); err != nil || letters != 1 {
					t.Errorf("%d events wait (%v), want the one from before", letters, err)
				}
			})
		})
	}
	for _, file := range []string{"users.xml", "missing"} {
		if _, err := importUsers(t, testenv.SQLite(t), file, "x"); err == nil {
			t.Errorf("%s is accepted", file)
		}
	}
}
