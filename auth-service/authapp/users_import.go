package authapp

import (
	"bufio"
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"gatehouse.internal/auth-service/internal/auth"
)

// Bounds of a file of users.
const (
	maxImportFile   = 256 << 20
	maxImportLine   = 64 << 10
	maxImportErrors = 100 // that are printed
)

// errBadImport is why "users import" exits with 1 after it has printed what is
// wrong.
var errBadImport = errors.New("nothing was imported")

// usersImport is the command "users import": it adds the users of a file, JSON
// lines or CSV by its name, with the password hashes that they have elsewhere.
// Everything that is wrong is printed as FILE:LINE, and then nothing changes.
func usersImport(ctx context.Context, cfg *Config, args []string, stdout io.Writer) error {
	if len(args) != 1 {
		return errors.New("users import: one FILE is needed, of JSON lines (.jsonl) or CSV (.csv)")
	}
	users, problems, err := readUsers(args[0])
	if err != nil {
		return fmt.Errorf("users import: %w", err)
	}
	if len(problems) > 0 {
		return printProblems(stdout, args[0], problems)
	}
	store, db, err := openDatabase(ctx, cfg)
	if err != nil {
		return fmt.Errorf("users import: %w", err)
	}
	defer func() { _ = db.Close() }() // everything is committed by then
	if problems, err = auth.ImportUsers(ctx, store, users); err != nil {
		return err
	}
	if len(problems) > 0 {
		return printProblems(stdout, args[0], problems)
	}
	_, err = fmt.Fprintf(stdout, "%d users imported\n", len(users))
	return err
}

func printProblems(stdout io.Writer, file string, problems []auth.LineProblem) error {
	var out bytes.Buffer
	for _, p := range problems[:min(len(problems), maxImportErrors)] {
		fmt.Fprintf(&out, "%s:%d: %s\n", file, p.Line, p.Message)
	}
	if more := len(problems) - maxImportErrors; more > 0 {
		fmt.Fprintf(&out, "and %d more\n", more)
	}
	if _, err := stdout.Write(out.Bytes()); err != nil {
		return fmt.Errorf("print problems: %w", err)
	}
	return errBadImport
}

// importedUser is a user as a file of JSON lines has it; the columns of a CSV
// file have the same names.
type importedUser struct {
	Email         string `json:"email"`
	PasswordHash  string `json:"password_hash"`
	EmailVerified bool   `json:"email_verified"`
	FirstName     string `json:"first_name"`
	LastName      string `json:"last_name"`
}

func (u importedUser) at(line int) auth.Imported {
	return auth.Imported{
		Line: line, Email: u.Email, PasswordHash: u.PasswordHash, EmailVerified: u.EmailVerified,
		FirstName: u.FirstName, LastName: u.LastName,
	}
}

// readUsers reads a file. An error says that it cannot be read at all.
func readUsers(path string) ([]auth.Imported, []auth.LineProblem, error) {
	read, known := map[string]func(io.Reader) ([]auth.Imported, []auth.LineProblem, error){
		".jsonl": readJSONLines, ".ndjson": readJSONLines, ".csv": readCSV,
	}[strings.ToLower(filepath.Ext(path))]
	if !known {
		return nil, nil, errors.New("the file must be called .jsonl, .ndjson or .csv")
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = file.Close() }() // it was only read
	info, err := file.Stat()
	if err != nil {
		return nil, nil, err
	}
	if info.Size() > maxImportFile {
		return nil, nil, fmt.Errorf("the file has more than %d MiB; split it", maxImportFile>>20)
	}
	return read(io.LimitReader(file, maxImportFile))
}

func readJSONLines(r io.Reader) (users []auth.Imported, problems []auth.LineProblem, err error) {
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxImportLine)
	n := 0
	for lines.Scan() {
		n++
		if len(bytes.TrimSpace(lines.Bytes())) == 0 {
			continue
		}
		var u importedUser
		d := json.NewDecoder(bytes.NewReader(lines.Bytes()))
		d.DisallowUnknownFields()
		if err := d.Decode(&u); err != nil {
			problems = append(problems, auth.LineProblem{Line: n, Message: jsonProblem(err)})
			continue
		}
		if _, err := d.Token(); !errors.Is(err, io.EOF) {
			problems = append(problems, auth.LineProblem{Line: n, Message: "there is more than one JSON object"})
			continue
		}
		users = append(users, u.at(n))
	}
	if errors.Is(lines.Err(), bufio.ErrTooLong) {
		return nil, append(problems, auth.LineProblem{Line: n + 1, Message: fmt.Sprintf("the line has over %d KiB", maxImportLine>>10)}), nil
	}
	return users, problems, lines.Err()
}

// jsonProblem tells what is wrong without repeating what is there, which may be
// a hash.
func jsonProblem(err error) string {
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return fmt.Sprintf("%s: a JSON %s is not a %s", wrong.Field, strings.Fields(wrong.Value)[0], wrong.Type)
	}
	if text := err.Error(); strings.HasPrefix(text, "json: unknown field ") {
		return strings.TrimPrefix(text, "json: ")
	}
	return "not a JSON object"
}

var importColumns = []string{"email", "password_hash", "email_verified", "first_name", "last_name"}

func readCSV(r io.Reader) (users []auth.Imported, problems []auth.LineProblem, err error) {
	table := csv.NewReader(r)
	header, err := table.Read()
	if err != nil {
		return nil, []auth.LineProblem{{Line: 1, Message: "there is no line with the names of the columns"}}, nil //nolint:nilerr // it is told as a problem
	}
	for i, name := range header {
		header[i] = strings.TrimSpace(strings.TrimPrefix(name, "\ufeff"))
		if !slices.Contains(importColumns, header[i]) {
			problems = append(problems, auth.LineProblem{Line: 1, Message: fmt.Sprintf("unknown column %.40q", header[i])})
		}
		if slices.Contains(header[:i], header[i]) {
			problems = append(problems, auth.LineProblem{Line: 1, Message: fmt.Sprintf("column %.40q is there twice", header[i])})
		}
	}
	for len(problems) == 0 {
		record, err := table.Read()
		if errors.Is(err, io.EOF) {
			return users, nil, nil
		}
		if err != nil {
			if bad, ok := errors.AsType[*csv.ParseError](err); ok {
				return nil, append(problems, auth.LineProblem{Line: bad.Line, Message: bad.Err.Error()}), nil
			}
			return nil, nil, err
		}
		line, _ := table.FieldPos(0)
		u, problem := csvUser(header, record)
		if problem != "" {
			problems = append(problems, auth.LineProblem{Line: line, Message: problem})
			return csvRest(table, header, problems)
		}
		users = append(users, u.at(line))
	}
	return nil, problems, nil
}

// csvRest finds what else is wrong, once nothing can be imported any more.
func csvRest(table *csv.Reader, header []string, problems []auth.LineProblem) ([]auth.Imported, []auth.LineProblem, error) {
	for {
		record, err := table.Read()
		if err != nil {
			return nil, problems, nil //nolint:nilerr // the file is refused already
		}
		if _, problem := csvUser(header, record); problem != "" {
			line, _ := table.FieldPos(0)
			problems = append(problems, auth.LineProblem{Line: line, Message: problem})
		}
	}
}

func csvUser(header, record []string) (u importedUser, problem string) {
	for i, name := range header {
		switch value := record[i]; name {
		case "email":
			u.Email = value
		case "password_hash":
			u.PasswordHash = value
		case "first_name":
			u.FirstName = value
		case "last_name":
			u.LastName = value
		case "email_verified":
			verified, err := strconv.ParseBool(value)
			if err != nil && value != "" {
				return u, "email_verified: is neither true nor false"
			}
			u.EmailVerified = verified
		}
	}
	return u, ""
}
