package user_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gatehouse.internal/shared/contract"
	"gatehouse.internal/shared/fault"
	"gatehouse.internal/user-service/internal/user"
	"gatehouse.internal/user-service/internal/user/usertest"
)

// newService returns the rules over an empty store in memory.
func newService() (*user.Service, *usertest.Memory) {
	store := new(usertest.Memory)
	return &user.Service{Store: store, Now: func() time.Time { return usertest.At.Add(24 * time.Hour) }, Patience: time.Second}, store
}

// event makes a good event of account 1, the nth of its history.
func event(n int, eventType string, change ...func(*contract.Account)) contract.Event {
	a := contract.Account{
		ID: usertest.ID(1), Version: int64(n), Email: "ada@example.com", Roles: []string{"user"},
		Status: contract.StatusActive, CreatedAt: usertest.At,
	}
	if eventType == contract.AccountRegistered {
		a.FirstName, a.LastName = "Ada", "Lovelace"
	}
	for _, f := range change {
		f(&a)
	}
	return contract.Event{
		SpecVersion: "1.0", ID: usertest.ID(100 + n), Source: "auth-service", Type: eventType, Subject: a.ID,
		Time: usertest.At.Add(time.Duration(n) * time.Minute), DataContentType: "application/json", Data: a,
	}
}

// observe applies the events one after the other.
func observe(t *testing.T, s *user.Service, events ...contract.Event) {
	t.Helper()
	for _, e := range events {
		if err := s.Observe(t.Context(), e); err != nil {
			t.Fatalf("Observe %s: %v", e.Type, err)
		}
	}
}

// account returns account 1 as the administrator sees it.
func account(t *testing.T, s *user.Service) user.Account {
	t.Helper()
	a, err := s.Account(t.Context(), usertest.ID(1))
	if err != nil {
		t.Fatalf("Account: %v", err)
	}
	return a
}

func TestService_Observe(t *testing.T) {
	at := usertest.At
	loginAt := at.Add(90 * time.Minute)
	verified := func(a *contract.Account) { a.EmailVerified = true }
	registered := user.Account{
		ID: usertest.ID(1), Email: "ada@example.com", FirstName: "Ada", LastName: "Lovelace",
		Roles: []string{"user"}, Status: contract.StatusActive, CreatedAt: at, UpdatedAt: at.Add(time.Minute),
	}
	for _, c := range []struct {
		name   string
		events []contract.Event
		want   func(*user.Account)
	}{
		{"a registration", []contract.Event{event(1, contract.AccountRegistered)}, func(*user.Account) {}},
		{"the newest version wins", []contract.Event{event(1, contract.AccountRegistered), event(2, contract.AccountEmailVerified, verified)},
			func(a *user.Account) { a.EmailVerified = true; a.UpdatedAt = at.Add(2 * time.Minute) }},
		{"names are filled when registration comes late", []contract.Event{event(2, contract.AccountEmailVerified, verified), event(1, contract.AccountRegistered)},
			func(a *user.Account) { a.EmailVerified = true; a.UpdatedAt = at.Add(2 * time.Minute) }},
		{"a sign-in raises the last login alone", []contract.Event{event(1, contract.AccountRegistered),
			event(1, contract.AccountSignedIn, func(a *contract.Account) { a.LastLoginAt = &loginAt; a.Email = "stale@example.com" })},
			func(a *user.Account) { a.LastLoginAt = loginAt }},
		{"an announcement changes nothing that is known", []contract.Event{event(1, contract.AccountRegistered),
			event(1, contract.AccountAnnounced, func(a *contract.Account) { a.Email = "stale@example.com" })}, func(*user.Account) {}},
		{"an announcement is where one can begin from", []contract.Event{event(3, contract.AccountAnnounced, verified, func(a *contract.Account) {
			a.FirstName, a.LastName, a.LastLoginAt = "Ada", "Lovelace", &loginAt
		})}, func(a *user.Account) { a.EmailVerified, a.LastLoginAt, a.UpdatedAt = true, loginAt, at }},
		{"a sign-in without a time counts when it happened", []contract.Event{event(1, contract.AccountRegistered), event(1, contract.AccountSignedIn)},
			func(a *user.Account) { a.LastLoginAt = at.Add(time.Minute) }},
		{"the last login never goes back", []contract.Event{event(1, contract.AccountRegistered), event(1, contract.AccountSignedIn),
			event(2, contract.AccountRolesChanged, func(a *contract.Account) { a.LastLoginAt = &at })},
			func(a *user.Account) { a.LastLoginAt = at.Add(time.Minute); a.UpdatedAt = at.Add(2 * time.Minute) }},
		{"a sign-in can be the first that is heard", []contract.Event{event(0, contract.AccountSignedIn), event(1, contract.AccountRegistered)},
			func(a *user.Account) { a.LastLoginAt = at }},
		{"a type of tomorrow is a change like any other", []contract.Event{event(1, contract.AccountRegistered),
			event(2, "account.renamed", func(a *contract.Account) { a.Email = "b@example.com" })},
			func(a *user.Account) { a.Email = "b@example.com"; a.UpdatedAt = at.Add(2 * time.Minute) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, _ := newService()
			observe(t, s, c.events...)
			want := registered
			c.want(&want)
			if diff := cmp.Diff(account(t, s), want); diff != "" {
				t.Errorf("(-got +want):\n%s", diff)
			}
		})
	}
	t.Run("deletion is final and leaves nothing of the person", func(t *testing.T) {
		s, store := newService()
		observe(t, s, event(1, contract.AccountRegistered), event(2, contract.AccountDeleted), event(9, contract.AccountRolesChanged))
		want := map[string]user.Record{usertest.ID(1): {ID: usertest.ID(1), Status: contract.StatusDeleted}}
		if diff := cmp.Diff(store.Records(), want); diff != "" {
			t.Errorf("(-got +want):\n%s", diff)
		}
		if _, err := s.Account(t.Context(), usertest.ID(1)); !fault.Is(err, fault.NotFound) {
			t.Errorf("Account: %v", err)
		}
		if _, err := s.Profile(t.Context(), usertest.ID(1)); !fault.Is(err, fault.NotFound) {
			t.Errorf("Profile: %v", err)
		}
	})
	t.Run("what the person wrote wins over events", func(t *testing.T) {
		s, _ := newService()
		observe(t, s, event(2, contract.AccountEmailVerified, verified))
		if _, err := s.Edit(t.Context(), user.Edit{ID: usertest.ID(1), Patch: user.Patch{FirstName: new("Augusta"), LastName: new("")}}); err != nil {
			t.Fatal(err)
		}
		observe(t, s, event(1, contract.AccountRegistered), event(3, contract.AccountRegistered))
		if a := account(t, s); a.FirstName != "Augusta" || a.LastName != "" {
			t.Errorf("named %q %q", a.FirstName, a.LastName)
		}
	})
	t.Run("an outage of the store is told", func(t *testing.T) {
		s, store := newService()
		store.SetDown(fault.New(fault.Unavailable, "away"))
		if err := s.Observe(t.Context(), event(1, contract.AccountRegistered)); !fault.Is(err, fault.Unavailable) {
			t.Errorf("Observe: %v", err)
		}
	})
}

// history makes a random life of an account: what the auth-service would send.
func history(r *rand.Rand) []contract.Event {
	types := []string{
		contract.AccountEmailVerified, contract.AccountEmailChanged, contract.AccountPasswordChanged,
		contract.AccountRolesChanged, contract.AccountStatusChanged, contract.AccountSignedIn,
	}
	state := event(1, contract.AccountRegistered)
	events := []contract.Event{state}
	for n := 2; n < 2+r.IntN(10); n++ {
		e := event(n, types[r.IntN(len(types))])
		e.Data, e.Data.FirstName, e.Data.LastName = state.Data, "", ""
		switch e.Type {
		case contract.AccountSignedIn:
			at := e.Time
			e.Data.LastLoginAt = &at
		case contract.AccountEmailChanged:
			e.Data.Email = fmt.Sprintf("ada%d@example.com", n)
		case contract.AccountRolesChanged:
			e.Data.Roles = []string{"user", fmt.Sprintf("role%d", n)}
		case contract.AccountStatusChanged:
			e.Data.Status = []string{contract.StatusActive, contract.StatusLocked}[r.IntN(2)]
		}
		if e.Type != contract.AccountSignedIn {
			e.Data.Version++
		}
		state.Data = e.Data
		events = append(events, e)
	}
	if r.IntN(5) == 0 {
		e := event(99, contract.AccountDeleted)
		e.Data.Status = contract.StatusDeleted
		events = append(events, e)
	}
	return events
}

func TestService_Observe_anyOrder(t *testing.T) {
	for seed := range uint64(2000) {
		r := rand.New(rand.NewPCG(seed, 1))
		events := history(r)
		s, straight := newService()
		observe(t, s, events...)

		shuffled := append([]contract.Event{}, events...)
		for range r.IntN(len(events) + 1) {
			shuffled = append(shuffled, events[r.IntN(len(events))])
		}
		r.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		s, crooked := newService()
		observe(t, s, shuffled...)
		if diff := cmp.Diff(crooked.Records(), straight.Records()); diff != "" {
			t.Fatalf("seed %d: order and repetition matter (-shuffled +straight):\n%s", seed, diff)
		}
	}
}

func TestCheckEvent(t *testing.T) {
	deleted := event(2, contract.AccountDeleted)
	deleted.Data = contract.Account{ID: usertest.ID(1), Version: 2, Status: contract.StatusDeleted}
	for name, e := range map[string]contract.Event{
		"registered": event(1, contract.AccountRegistered), "version 0": event(0, contract.AccountSignedIn),
		"a type of tomorrow": event(1, "account.merged"), "deleted, of which nothing is left": deleted,
	} {
		if err := user.CheckEvent(&e); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, spoil := range map[string]func(*contract.Event){
		"no specversion":      func(e *contract.Event) { e.SpecVersion = "" },
		"another specversion": func(e *contract.Event) { e.SpecVersion = "2.0" },
		"no type":             func(e *contract.Event) { e.Type = "" },
		"another's type":      func(e *contract.Event) { e.Type = "order.placed" },
		"no id":               func(e *contract.Event) { e.ID = "" },
		"id with a NUL":       func(e *contract.Event) { e.ID = "a\x00" },
		"no time":             func(e *contract.Event) { e.Time = time.Time{} },
		"another's subject":   func(e *contract.Event) { e.Subject = usertest.ID(2) },
		"no account":          func(e *contract.Event) { e.Data.ID, e.Subject = "", "" },
		"account in capitals": func(e *contract.Event) { e.Data.ID = strings.ToUpper(e.Data.ID); e.Subject = e.Data.ID },
		"account with no dash": func(e *contract.Event) {
			e.Data.ID = strings.ReplaceAll(e.Data.ID, "-", "0")
			e.Subject = e.Data.ID
		},
		"negative version":     func(e *contract.Event) { e.Data.Version = -1 },
		"no email":             func(e *contract.Event) { e.Data.Email = "" },
		"email with a NUL":     func(e *contract.Event) { e.Data.Email = "a\x00@example.com" },
		"no status":            func(e *contract.Event) { e.Data.Status = "" },
		"no creation":          func(e *contract.Event) { e.Data.CreatedAt = time.Time{} },
		"role with a newline":  func(e *contract.Event) { e.Data.Roles = []string{"user", "ad\nmin"} },
		"roles without end":    func(e *contract.Event) { e.Data.Roles = make([]string, 101) },
		"a name without end":   func(e *contract.Event) { e.Data.FirstName = strings.Repeat("a", 1001) },
		"last name with a NUL": func(e *contract.Event) { e.Data.LastName = "\x00" },
	} {
		e := event(1, contract.AccountRegistered)
		spoil(&e)
		if err := user.CheckEvent(&e); err == nil {
			t.Errorf("%s: it is taken for good", name)
		}
	}
}
