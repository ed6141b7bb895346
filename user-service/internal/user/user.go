// Package user knows who is registered and what people say of themselves.
//
// It decides what an account event means for what is kept of the account, what
// a person may write into their profile, and whom an administrator's search
// finds. It promises that events may come twice, late and in any order, and
// that what a person wrote is never overwritten by an event. It refuses
// profiles with control characters, unknown languages and time zones, and
// pictures from anywhere but https.
//
// Accounts themselves belong to the auth-service: email, roles and state are
// known here from its events alone.
package user

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"time"

	"gatehouse.internal/shared/contract"
	"gatehouse.internal/shared/fault"
)

// Record is all that is kept of one account. Times are UTC in whole
// microseconds, and zero when unknown.
type Record struct {
	ID string

	// What the auth-service says.
	Email         string
	EmailVerified bool
	Roles         []string
	Status        string // contract.StatusActive and so on
	CreatedAt     time.Time
	ChangedAt     time.Time // of the account, by its newest event
	LastLoginAt   time.Time
	Version       int64  // of the state that is held
	EventID       string // of the event that brought this state

	// What the person says. A name is nil until registration or the person
	// has given one; "" is a name that the person has removed.
	FirstName, LastName *string
	DisplayName         string
	Locale              string // BCP 47
	TimeZone            string // IANA
	AvatarURL           string
	UpdatedAt           time.Time // of the profile
}

// Known reports whether anything was ever heard of the account.
func (r *Record) Known() bool { return r.ID != "" }

// Deleted reports whether the record only remembers that the account is gone.
func (r *Record) Deleted() bool { return r.Status == contract.StatusDeleted }

// Profile is what a person sees of themselves. A text that is not set is "".
type Profile struct {
	ID, Email            string
	FirstName, LastName  string
	DisplayName          string
	Locale, TimeZone     string
	AvatarURL            string
	CreatedAt, UpdatedAt time.Time
}

// profile gives the person's view of the record.
func (r *Record) profile() Profile {
	return Profile{
		ID: r.ID, Email: r.Email, FirstName: text(r.FirstName), LastName: text(r.LastName),
		DisplayName: r.DisplayName, Locale: r.Locale, TimeZone: r.TimeZone, AvatarURL: r.AvatarURL,
		CreatedAt: r.CreatedAt, UpdatedAt: r.UpdatedAt,
	}
}

// Tag names this very state of the profile: two profiles have the same tag only
// if they are the same in every field. It is taken from the content and not
// from a counter, so that it stays right on every replica and after a rebuild.
func (p *Profile) Tag() string {
	hash := sha256.New()
	for _, field := range []string{
		p.ID, p.Email, p.FirstName, p.LastName, p.DisplayName, p.Locale, p.TimeZone, p.AvatarURL,
		p.CreatedAt.Format(time.RFC3339Nano), p.UpdatedAt.Format(time.RFC3339Nano),
	} {
		// The length keeps "ab","c" and "a","bc" apart. A hash takes every write.
		_, _ = fmt.Fprintf(hash, "%d:", len(field))
		_, _ = io.WriteString(hash, field)
	}
	return base64.RawURLEncoding.EncodeToString(hash.Sum(nil)[:15])
}

// Account is what an administrator sees of an account.
type Account struct {
	ID, Email            string
	EmailVerified        bool
	FirstName, LastName  string
	DisplayName          string
	Roles                []string
	Status               string
	CreatedAt, UpdatedAt time.Time // updated: the profile or the account, whichever was later
	LastLoginAt          time.Time // zero: never
}

// account gives the administrator's view of the record.
func (r *Record) account() Account {
	return Account{
		ID: r.ID, Email: r.Email, EmailVerified: r.EmailVerified,
		FirstName: text(r.FirstName), LastName: text(r.LastName), DisplayName: r.DisplayName,
		Roles: r.Roles, Status: r.Status, CreatedAt: r.CreatedAt, UpdatedAt: later(r.UpdatedAt, r.ChangedAt),
		LastLoginAt: r.LastLoginAt,
	}
}

// text gives a name, or "" when there is none.
func text(name *string) string {
	if name == nil {
		return ""
	}
	return *name
}

// later returns the later of two times.
func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}

// Store keeps the records. Implementations are held to this by
// usertest.TestStore.
type Store interface {
	// Find returns the record of an account, that of a deleted one too. An
	// account that nothing was heard of is fault.NotFound.
	Find(ctx context.Context, id string) (Record, error)

	// Change replaces the record of an account by what fn makes of it, in one
	// step: changes of one account happen one after the other. For an account
	// that nothing was heard of, fn gets an empty record. Nothing is written
	// when fn fails, whose error is returned, nor when it changes nothing. fn
	// may be called several times and must have no effect of its own.
	Change(ctx context.Context, id string, fn func(Record) (Record, error)) (Record, error)

	// List returns the records that the filter lets through, ordered by
	// creation and id, at most Limit of them, and no deleted ones.
	List(ctx context.Context, f Filter) ([]Record, error)
}

// Service is the rules over a store.
type Service struct {
	Store Store
	Now   func() time.Time // time.Now in production
	// Patience is how long a request waits for the first event of the caller's
	// account, which may be on its way when they sign in at once.
	Patience time.Duration

	arrivals arrivals
}

// errNoAccount answers for accounts that are deleted or were never there.
var errNoAccount = fault.New(fault.NotFound, "There is no such account.")
