package auth_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"

	"gatehouse.internal/auth-service/internal/auth"
	"gatehouse.internal/shared/contract"
	"gatehouse.internal/shared/embedded/testenv"
	"gatehouse.internal/shared/fault"
)

// gathered is what callers that race were given.
type gathered struct {
	mu     sync.Mutex
	tokens []auth.Tokens
}

func (g *gathered) add(t auth.Tokens) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.tokens = append(g.tokens, t)
}

// chase refreshes again and again from a token on, until it is refused.
func (h *harness) chase(token string, got *gathered) error {
	for range 50 {
		next, err := h.refresh(token)
		if fault.Is(err, fault.InvalidRefreshToken) {
			return nil
		}
		if err != nil {
			return err
		}
		got.add(next)
		token = next.RefreshToken
	}
	return nil
}

func TestRefresh_F35_F36_I10_racingWithAKillLeavesNoSurvivor(t *testing.T) {
	kills := map[string]func(h *harness, c, admin auth.Caller) (fresh *auth.Tokens, err error){
		"logout": func(h *harness, c, _ auth.Caller) (*auth.Tokens, error) {
			return nil, h.Logout(h.t.Context(), c)
		},
		"logout everywhere": func(h *harness, c, _ auth.Caller) (*auth.Tokens, error) {
			return nil, h.LogoutAll(h.t.Context(), c)
		},
		"password change": func(h *harness, c, _ auth.Caller) (*auth.Tokens, error) {
			fresh, err := h.ChangePassword(h.t.Context(), c, goodPassword, otherPassword)
			return &fresh, err
		},
		"lock": func(h *harness, c, admin auth.Caller) (*auth.Tokens, error) {
			return nil, h.LockUser(h.t.Context(), admin, c.Claims.Subject)
		},
		"deletion": func(h *harness, c, admin auth.Caller) (*auth.Tokens, error) {
			return nil, h.DeleteUser(h.t.Context(), admin, c.Claims.Subject)
		},
	}
	testenv.EachDatabase(t, func(t *testing.T, url string) {
		h := newHarness(t, url)
		admin := h.with(h.newAdmin("root@example.com"))
		for name, kill := range kills {
			t.Run(name, func(t *testing.T) {
				for round := range 3 {
					first := h.newUser(fmt.Sprintf("%d.%d@example.com", len(name), round))
					c, got := h.with(first), &gathered{tokens: []auth.Tokens{first}}
					if name != "logout" { // which ends no other session
						for range 3 {
							got.add(h.login(first.Account.Email))
						}
					}
					var wg sync.WaitGroup
					for _, start := range slices.Clone(got.tokens) {
						wg.Go(func() {
							if err := h.chase(start.RefreshToken, got); err != nil {
								t.Errorf("refresh: %v", err)
							}
						})
					}
					fresh, err := kill(h, c, admin)
					wg.Wait()
					if err != nil {
						t.Fatalf("%s: %v", name, err)
					}
					for _, x := range got.tokens {
						h.dead("a token from before", x)
					}
					if fresh != nil {
						h.alive("I6 the fresh session", *fresh)
					}
				}
			})
		}
	})
}

func TestLogin_F35_racingWithLogoutAllIsDeadOrLater(t *testing.T) {
	testenv.EachDatabase(t, func(t *testing.T, url string) {
		h := newHarness(t, url)
		c := h.with(h.newUser("ada@example.com"))
		got := &gathered{}
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				out, err := h.Login(h.t.Context(), stranger(), "ada@example.com", goodPassword)
				if err != nil {
					t.Errorf("login: %v", err)
				}
				got.add(out)
			})
		}
		if err := h.LogoutAll(t.Context(), c); err != nil {
			t.Fatal(err)
		}
		wg.Wait()
		for _, x := range got.tokens {
			checked, said := h.Check(t.Context(), h.with(x).Claims), h.gateway.verdict(t, h.with(x).Claims)
			if fault.KindOf(checked) != said {
				t.Errorf("the database says %v, a gateway %q", checked, said)
			}
			if _, err := h.refresh(x.RefreshToken); (err == nil) != (said == "") {
				t.Errorf("a gateway says %q, and refreshing gives %v", said, err)
			}
		}
	})
}

func TestAdministrators_SA4_theLastOneStaysWhoeverRaces(t *testing.T) {
	acts := map[string]func(h *harness, c auth.Caller, id string) error{
		"demote": func(h *harness, c auth.Caller, id string) error {
			_, err := h.SetRoles(h.t.Context(), c, id, []string{contract.RoleUser})
			return err
		},
		"lock":   func(h *harness, c auth.Caller, id string) error { return h.LockUser(h.t.Context(), c, id) },
		"delete": func(h *harness, c auth.Caller, id string) error { return h.DeleteUser(h.t.Context(), c, id) },
	}
	testenv.EachDatabase(t, func(t *testing.T, url string) {
		for name, act := range acts {
			t.Run(name, func(t *testing.T) {
				h := newHarness(t, url)
				var callers []auth.Caller
				for i := range 3 {
					callers = append(callers, h.with(h.newAdmin(fmt.Sprintf("%s%d@example.com", name, i))))
				}
				var wg sync.WaitGroup
				for i := range callers { // each acts on the next, and on itself
					for _, target := range []auth.Caller{callers[(i+1)%3], callers[i]} {
						wg.Go(func() {
							switch err := act(h, callers[i], target.Claims.Subject); fault.KindOf(err) {
							case "", fault.Conflict, fault.InsufficientRole, fault.TokenRevoked, fault.TokenStale, fault.NotFound:
							default:
								t.Errorf("%s: %v", name, err)
							}
						})
					}
				}
				wg.Wait()
				remain := 0
				err := h.db.GetContext(t.Context(), &remain, `SELECT COUNT(*) FROM users WHERE administrator AND status = 'active' AND email LIKE $1`, name+"%")
				if err != nil || remain < 1 {
					t.Errorf("%d administrators remain (%v), want one at least", remain, err)
				}
				// Leave none behind for the next case on this database.
				if _, err := h.db.ExecContext(t.Context(), `DELETE FROM users`); err != nil {
					t.Fatal(err)
				}
			})
		}
	})
}

func TestRegister_aCrowdMakesOneAccount(t *testing.T) {
	testenv.EachDatabase(t, func(t *testing.T, url string) {
		h := newHarness(t, url)
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				if err := h.Register(h.t.Context(), stranger(), auth.Registration{Email: "Ada@Example.com", Password: goodPassword}); err != nil {
					t.Errorf("register: %v", err)
				}
			})
		}
		wg.Wait()
		users := 0
		if err := h.db.GetContext(t.Context(), &users, `SELECT COUNT(*) FROM users`); err != nil || users != 1 {
			t.Errorf("%d users (%v), want 1", users, err)
		}
		if events := h.events(); len(events) != 1 {
			t.Errorf("events: %v, want one registration", events)
		}
	})
}

func TestResetPassword_SA4_aTokenWorksOnceWhoeverRaces(t *testing.T) {
	testenv.EachDatabase(t, func(t *testing.T, url string) {
		h := newHarness(t, url)
		h.register("ada@example.com")
		if err := h.ForgotPassword(t.Context(), stranger(), "ada@example.com"); err != nil {
			t.Fatal(err)
		}
		token := h.mailed("ada@example.com", auth.MailResetPassword)
		errs := make([]error, 6)
		var wg sync.WaitGroup
		for i := range errs {
			wg.Go(func() {
				_, errs[i] = h.ResetPassword(h.t.Context(), stranger(), token, fmt.Sprintf("%s %d", otherPassword, i))
			})
		}
		wg.Wait()
		won := 0
		for _, err := range errs {
			switch fault.KindOf(err) {
			case "":
				won++
			case fault.ValidationFailed:
			default:
				t.Errorf("reset: %v", err)
			}
		}
		if won != 1 {
			t.Errorf("%d resets succeeded, want 1", won)
		}
	})
}
