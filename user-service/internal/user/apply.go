package user

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"

	"gatehouse.internal/shared/contract"
)

// Bounds of what an event may say. They are wider than any rule of the
// auth-service: they keep out nonsense, not people.
const (
	maxEventText  = 1000
	maxEventRoles = 100
)

// Observe takes note of an account event. Events may come in any order and any
// number of times.
func (s *Service) Observe(ctx context.Context, e contract.Event) error {
	_, err := s.Store.Change(ctx, e.Data.ID, func(r Record) (Record, error) {
		return r.apply(&e), nil
	})
	if err != nil {
		return fmt.Errorf("take note of %s: %w", e.Type, err)
	}
	s.arrivals.announce(e.Data.ID)
	return nil
}

// apply returns the record after an event. Whatever the order in which a set
// of events is applied, and however often each, the outcome is the same: the
// state is that of the highest version, times are the latest of any event, a
// name is the one given at registration, and deletion is final.
func (r Record) apply(e *contract.Event) Record {
	a := &e.Data
	if r.Deleted() {
		return r
	}
	if e.Type == contract.AccountDeleted || a.Status == contract.StatusDeleted {
		// A tombstone, so that late events do not bring the account back. It
		// holds nothing of the person.
		return Record{ID: a.ID, Status: contract.StatusDeleted}
	}
	// A sign-in and an announcement carry the state as it was read, not a change
	// of it: at equal versions, the event of the change itself knows better.
	rank := e.ID
	if e.Type == contract.AccountSignedIn || e.Type == contract.AccountAnnounced {
		rank = ""
	} else {
		r.ChangedAt = later(r.ChangedAt, micros(e.Time))
	}
	if !r.Known() || a.Version > r.Version || a.Version == r.Version && rank > r.EventID {
		r.ID, r.Email, r.EmailVerified = a.ID, a.Email, a.EmailVerified
		r.Roles, r.Status, r.CreatedAt = a.Roles, a.Status, micros(a.CreatedAt)
		r.Version, r.EventID = a.Version, rank
	}
	if e.Type == contract.AccountEmailChanged {
		r.UpdatedAt = later(r.UpdatedAt, micros(e.Time))
	}
	r.UpdatedAt = later(r.UpdatedAt, r.CreatedAt)
	r.LastLoginAt = later(r.LastLoginAt, login(e))
	r.FirstName = given(r.FirstName, a.FirstName)
	r.LastName = given(r.LastName, a.LastName)
	return r
}

// given returns the name that is kept, or the one of the event if none is.
func given(kept *string, name string) *string {
	if kept != nil || name == "" {
		return kept
	}
	return &name
}

// login gives the time of the last sign-in that the event knows of.
func login(e *contract.Event) time.Time {
	if e.Data.LastLoginAt != nil {
		return micros(*e.Data.LastLoginAt)
	}
	if e.Type == contract.AccountSignedIn {
		return micros(e.Time)
	}
	return time.Time{}
}

// micros gives the time as it is kept.
func micros(t time.Time) time.Time { return t.UTC().Truncate(time.Microsecond) }

// CheckEvent says what is wrong with an event that can never be applied. An
// event of a newer auth-service, with types and states that are unknown here,
// is good: it carries the whole state.
func CheckEvent(e *contract.Event) error {
	a := &e.Data
	deleted := e.Type == contract.AccountDeleted || a.Status == contract.StatusDeleted
	problem := func(wrong bool, text string) error {
		if wrong {
			return errors.New(text)
		}
		return nil
	}
	return errors.Join(
		problem(e.SpecVersion != "1.0", "specversion is not 1.0"),
		problem(!strings.HasPrefix(e.Type, "account."), "type is not that of an account event"),
		problem(e.ID == "" || !plain(e.ID), "id is missing or malformed"),
		problem(!isID(a.ID), "data.id is not a UUID"),
		problem(e.Subject != a.ID, "subject is not data.id"),
		problem(e.Time.IsZero(), "time is missing"),
		problem(a.Version < 0, "data.version is negative"),
		problem(!deleted && (a.Email == "" || !plain(a.Email)), "data.email is missing or malformed"),
		problem(!deleted && (a.Status == "" || !plain(a.Status)), "data.status is missing or malformed"),
		problem(!deleted && a.CreatedAt.IsZero(), "data.created_at is missing"),
		problem(len(a.Roles) > maxEventRoles || !plain(a.Roles...), "data.roles are too many or malformed"),
		problem(!plain(a.FirstName, a.LastName), "data.first_name or data.last_name is malformed"),
	)
}

// plain reports whether the texts are of a sensible length and can be stored:
// a database refuses a NUL, and would refuse it for ever.
func plain(texts ...string) bool {
	for _, t := range texts {
		if len(t) > maxEventText || strings.ContainsFunc(t, unicode.IsControl) {
			return false
		}
	}
	return true
}

// isID reports whether the text is a UUID in its canonical spelling.
func isID(text string) bool {
	if len(text) != 36 {
		return false
	}
	for i, c := range []byte(text) {
		dash := i == 8 || i == 13 || i == 18 || i == 23
		digit := c >= '0' && c <= '9' || c >= 'a' && c <= 'f'
		if dash != (c == '-') || !dash && !digit {
			return false
		}
	}
	return true
}
