package user_test

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse.internal/shared/contract"
	"gatehouse.internal/shared/fault"
	"gatehouse.internal/user-service/internal/user"
	"gatehouse.internal/user-service/internal/user/usertest"
)

func TestService_Profile_waits(t *testing.T) {
	registration := event(1, contract.AccountRegistered)
	for _, c := range []struct {
		name   string
		arrive func(t *testing.T, s *user.Service, store *usertest.Memory) // after 30 ms
		took   time.Duration
		kind   fault.Kind
	}{
		{"an event that arrives here wakes it at once", func(t *testing.T, s *user.Service, _ *usertest.Memory) {
			observe(t, s, registration)
		}, 30 * time.Millisecond, ""},
		{"an event that went to another replica is seen soon", func(t *testing.T, _ *user.Service, store *usertest.Memory) {
			observe(t, &user.Service{Store: store}, registration)
		}, 100 * time.Millisecond, ""},
		{"another account's event does not end it", func(t *testing.T, s *user.Service, _ *usertest.Memory) {
			other := registration
			other.Data.ID = usertest.ID(2)
			observe(t, s, other)
		}, time.Second, fault.Unavailable},
		{"it ends when patience does", func(*testing.T, *user.Service, *usertest.Memory) {}, time.Second, fault.Unavailable},
		{"an account that turns out to be deleted is not found", func(t *testing.T, s *user.Service, _ *usertest.Memory) {
			observe(t, s, event(2, contract.AccountDeleted))
		}, 30 * time.Millisecond, fault.NotFound},
		{"an outage meanwhile is told", func(_ *testing.T, _ *user.Service, store *usertest.Memory) {
			store.SetDown(fault.New(fault.Overloaded, "down"))
		}, 100 * time.Millisecond, fault.Overloaded},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, store := newService()
				time.AfterFunc(30*time.Millisecond, func() { c.arrive(t, s, store) })
				start := time.Now()
				p, err := s.Profile(t.Context(), usertest.ID(1))
				if took := time.Since(start); took != c.took {
					t.Errorf("took %v, want %v", took, c.took)
				}
				if c.kind == "" && (err != nil || p.FirstName != "Ada") || c.kind != "" && !fault.Is(err, c.kind) {
					t.Errorf("%+v, %v", p, err)
				}
			})
		})
	}
	t.Run("everybody who waits is woken", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s, _ := newService()
			var all sync.WaitGroup
			start := time.Now()
			for range 20 {
				all.Go(func() {
					if _, err := s.Profile(t.Context(), usertest.ID(1)); err != nil {
						t.Errorf("Profile: %v", err)
					}
				})
			}
			synctest.Wait()
			observe(t, s, registration)
			all.Wait()
			if took := time.Since(start); took != 0 {
				t.Errorf("took %v", took)
			}
		})
	})
	t.Run("who gives up is not kept waiting", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s, _ := newService()
			ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
			defer cancel()
			start := time.Now()
			if _, err := s.Profile(ctx, usertest.ID(1)); err == nil || time.Since(start) != 50*time.Millisecond {
				t.Errorf("%v after %v", err, time.Since(start))
			}
		})
	})
	t.Run("too many at once are refused", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s, _ := newService()
			var all sync.WaitGroup
			for range 1000 {
				all.Go(func() {
					if _, err := s.Profile(t.Context(), usertest.ID(1)); !fault.Is(err, fault.Unavailable) {
						t.Errorf("one of the first: %v", err)
					}
				})
			}
			synctest.Wait()
			if _, err := s.Profile(t.Context(), usertest.ID(2)); !fault.Is(err, fault.Overloaded) {
				t.Errorf("one too many: %v", err)
			}
			all.Wait()
		})
	})
}
