package auth

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"gatehouse.internal/auth-service/internal/auth/password"
	"gatehouse.internal/shared/contract"
	"gatehouse.internal/shared/fault"
)

// EventImported says that an account came from another system.
const EventImported = "imported"

// MaxImported bounds one import, which is one transaction.
const MaxImported = 100_000

// Imported is a user of another system.
type Imported struct {
	Line                int // where it was read, for problems
	Email               string
	EmailVerified       bool
	PasswordHash        string // see password.CheckHash
	FirstName, LastName string
}

// HashReader reads which hashes of passwords are stored.
type HashReader interface {
	// HashKinds returns what the stored hashes of Argon2id begin with, each once;
	// see password.Kind.
	HashKinds(ctx context.Context) ([]string, error)
}

// LineProblem is what is wrong with an Imported. It repeats nothing of it.
type LineProblem struct {
	Line    int
	Message string
}

// errImport rolls an import back.
var errImport = errors.New("import: some users cannot be taken over")

// ImportUsers adds users with the passwords that they have elsewhere: all of
// them, or, if anything is wrong with any, none. It returns every problem, by
// line. What it cannot tell, such as an outage, is an error.
func ImportUsers(ctx context.Context, store Store, users []Imported) ([]LineProblem, error) {
	if len(users) > MaxImported {
		return nil, fmt.Errorf("import: %d users are more than %d; split the file", len(users), MaxImported)
	}
	s := &Service{store: store, now: time.Now, random: rand.Reader, wake: func() {}, log: slog.New(slog.DiscardHandler)}
	clean, problems := checkImported(users)
	_, err := s.do(ctx, Caller{}, func(w *work) error {
		stored, err := w.HashKinds(ctx)
		if err != nil {
			return fmt.Errorf("look for stored hashes: %w", err)
		}
		taken := append(slices.Clone(problems), tooManyKinds(clean, stored)...)
		for _, u := range clean {
			switch added, err := w.takeOver(ctx, u); {
			case err != nil:
				return err
			case !added:
				taken = append(taken, LineProblem{u.Line, "email: the address has an account already"})
			}
		}
		if len(taken) > 0 {
			problems = taken
			return errImport
		}
		return nil
	})
	if errors.Is(err, errImport) {
		slices.SortStableFunc(problems, func(a, b LineProblem) int { return a.Line - b.Line })
		return problems, nil
	}
	if err != nil {
		return nil, fmt.Errorf("import users: %w", err)
	}
	return nil, nil
}

// checkImported gives the users that are well-formed, in the form in which they
// are stored, and what is wrong with the others.
func checkImported(users []Imported) (clean []Imported, problems []LineProblem) {
	seen := map[string]int{}
	for _, u := range users {
		before := len(problems)
		refuse := func(field string, err error) {
			if err != nil {
				problems = append(problems, LineProblem{u.Line, field + ": " + err.Error()})
			}
		}
		email, err := parseEmail("email", u.Email)
		if err != nil {
			err = errors.New(fieldsOf(err)[0].Message)
		} else if line, twice := seen[email]; twice {
			err = fmt.Errorf("the address is in line %d already", line)
		} else {
			seen[email] = u.Line
		}
		refuse("email", err)
		refuse("password_hash", password.CheckHash(u.PasswordHash))
		u.Email = email
		u.FirstName, err = contract.CheckName(u.FirstName)
		refuse("first_name", err)
		u.LastName, err = contract.CheckName(u.LastName)
		refuse("last_name", err)
		if len(problems) == before {
			clean = append(clean, u)
		}
	}
	return clean, problems
}

// tooManyKinds finds the users with hashes of Argon2id whose parameters would be
// too many beside those of the others and those that are stored.
func tooManyKinds(users []Imported, stored []string) (problems []LineProblem) {
	for _, u := range users {
		kind := password.Kind(u.PasswordHash)
		switch {
		case kind == "" || slices.Contains(stored, kind):
		case len(stored) < password.MostKinds:
			stored = append(stored, kind)
		default:
			problems = append(problems, LineProblem{u.Line, fmt.Sprintf(
				"password_hash: has parameters of Argon2id beside %d others, each of which makes every sign-in slower", password.MostKinds)})
		}
	}
	return problems
}

// takeOver adds an account, and reports false if its address is taken.
func (w *work) takeOver(ctx context.Context, in Imported) (bool, error) {
	u := w.newUser(Registration{Email: in.Email, FirstName: in.FirstName, LastName: in.LastName}, in.PasswordHash)
	u.EmailVerified = in.EmailVerified
	if err := w.AddUser(ctx, u); fault.Is(err, fault.Conflict) {
		return false, nil
	} else if err != nil {
		return false, fmt.Errorf("add user: %w", err)
	}
	if err := w.tell(ctx, u, contract.AccountRegistered); err != nil {
		return false, err
	}
	return true, w.record(ctx, AuditEvent{Event: EventImported, TargetID: u.ID})
}
