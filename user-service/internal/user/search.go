package user

import (
	"context"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"

	"gatehouse.internal/shared/contract"
	"gatehouse.internal/shared/fault"
)

// Bounds of a search.
const (
	DefaultLimit = 50
	MaxLimit     = 200
	MaxQuery     = 200 // code points
	maxRole      = 64
)

// Filter says which accounts are wanted. The zero value of a member lets all
// through.
type Filter struct {
	Query  string // part of the email, a name or the id, in any case
	Role   string
	Status string
	After  Cursor
	Limit  int
}

// Cursor is a place in the list of accounts: behind the account with this time
// of creation and this id. The zero value is the beginning.
type Cursor struct {
	CreatedAt time.Time
	ID        string
}

// Page is a part of the list. Next is nil at its end.
type Page struct {
	Items []Account
	Next  *Cursor
}

// Account returns the account with the given id. One that is deleted, or that
// nothing was heard of, is fault.NotFound.
func (s *Service) Account(ctx context.Context, id string) (Account, error) {
	if !isID(id) {
		return Account{}, errNoAccount
	}
	r, err := s.Store.Find(ctx, id)
	if fault.Is(err, fault.NotFound) || err == nil && r.Deleted() {
		return Account{}, errNoAccount
	}
	if err != nil {
		return Account{}, fmt.Errorf("find account: %w", err)
	}
	return r.account(), nil
}

// Accounts returns a page of the accounts that the filter lets through.
func (s *Service) Accounts(ctx context.Context, f Filter) (Page, error) {
	if err := f.check(); err != nil {
		return Page{}, err
	}
	limit := f.Limit
	f.Limit++ // one more tells whether there is a next page
	records, err := s.Store.List(ctx, f)
	if err != nil {
		return Page{}, fmt.Errorf("list accounts: %w", err)
	}
	page := Page{Items: make([]Account, 0, min(limit, len(records)))}
	for i := range records[:min(limit, len(records))] {
		page.Items = append(page.Items, records[i].account())
	}
	if len(records) > limit {
		last := &records[limit-1]
		page.Next = &Cursor{CreatedAt: last.CreatedAt, ID: last.ID}
	}
	return page, nil
}

// check returns every problem of the filter.
func (f *Filter) check() error {
	var problems []fault.Field
	refuse := func(wrong bool, field, message string) {
		if wrong {
			problems = append(problems, fault.Field{Field: field, Message: message})
		}
	}
	refuse(f.Limit < 1 || f.Limit > MaxLimit, "limit", fmt.Sprintf("must be a number from 1 to %d", MaxLimit))
	refuse(utf8.RuneCountInString(f.Query) > MaxQuery, "query", fmt.Sprintf("must have at most %d characters", MaxQuery))
	refuse(!storable(f.Query), "query", "must be text without control characters")
	refuse(len(f.Role) > maxRole || !storable(f.Role), "role", "must be the name of a role")
	switch f.Status {
	case "", contract.StatusActive, contract.StatusLocked:
	default:
		refuse(true, "status", "must be active or locked")
	}
	refuse(f.After.ID != "" && !isID(f.After.ID), "cursor", "must come from next_cursor")
	if len(problems) > 0 {
		return fault.Invalid(problems...)
	}
	return nil
}

// storable reports whether a database takes the text at all.
func storable(text string) bool {
	return utf8.ValidString(text) && !strings.ContainsFunc(text, contract.IsControl)
}

// SearchText is what queries are looked for in: the texts of the record, one a
// line so that no query can span two of them, folded as queries are.
func (r *Record) SearchText() string {
	first, last := text(r.FirstName), text(r.LastName)
	return Fold(strings.Join([]string{r.ID, r.Email, first + " " + last, last + ", " + first, r.DisplayName}, "\n"))
}

// Fold brings texts that differ in case or encoding alone to the same form.
func Fold(text string) string {
	return cases.Fold().String(norm.NFKC.String(text))
}
