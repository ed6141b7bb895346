package chaos

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"

	"gatehouse.internal/deploy/standalone/internal/chaos/cluster"
	"gatehouse.internal/deploy/standalone/internal/chaos/history"
	"gatehouse.internal/shared/sqldb"
)

// TestChaos_F25_accounts_are_deleted_despite_crashes kills services between the
// steps in which an account is deleted, or exported: the transaction of the
// auth-service, the event, what the user-service makes of it, and the
// pseudonyms in the audit trail. Once all run again the deletion is complete in
// both services, and asking again changes nothing.
func TestChaos_F25_accounts_are_deleted_despite_crashes(t *testing.T) {
	w := &world{Cluster: startCluster(t, &plain), T: t, ctx: t.Context(), recorder: history.NewRecorder()}
	users, err := w.UserDatabase(w.ctx)
	w.must(err)
	defer users.Close() //nolint:errcheck // only read from
	var gone []*account
	for _, step := range []struct {
		name  string
		crash func(a *account, users *sqldb.DB)
	}{
		{"before the commit", crashBeforeCommit},
		{"before anybody is told", crashBeforeEvent},
		{"while the user-service is down", crashOfUsers},
		{"while the user-service takes note", crashWhileNoted},
	} {
		a := newAccount(w)
		a.there()
		step.crash(a, users)
		a.gone(users)
		gone = append(gone, a)
		w.Logf("killed %s: the deletion is complete", step.name)
	}
	crashBeforePseudonym(gone)
	exportDespiteCrash(w)
}

// killAuths kills all auth-services, does something while they are down, and
// waits until they are ready again.
func (a *account) killAuths(meanwhile func() error) {
	a.Helper()
	a.fault("all auth-services are killed", fault{begin: each(a.Auths, kill), end: together(meanwhile, each(a.Auths, start)), blind: everybody})
	for _, p := range a.Auths {
		a.must(a.AwaitReady(a.ctx, p))
	}
}

// asked has the deletion asked for until the body is done.
func (a *account) asked(body func(), want ...int) {
	a.Helper()
	var asking sync.WaitGroup
	var err error
	asking.Go(func() {
		_, err = a.call("DELETE", "/auth/me", a.access, map[string]string{"password": a.password}, want...)
	})
	body()
	asking.Wait()
	if err != nil {
		a.Error(err)
	}
}

// crashBeforeCommit kills the service that is at the deletion: nothing of it
// has happened, and it is asked for again.
func crashBeforeCommit(a *account, _ *sqldb.DB) {
	a.Helper()
	let, err := a.Begin(a.ctx, "SELECT 1 FROM users WHERE id = '"+a.id+"' FOR UPDATE")
	a.must(err)
	a.asked(func() {
		a.soon("the deletion waits for the lock", a.waiting)
		a.killAuths(let)
	}, 0, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout)
	a.there()
	a.remove(http.StatusAccepted)
}

// waiting says whether somebody waits for a lock in the auth-service's database.
func (a *account) waiting() error {
	n, err := a.Count(a.ctx, `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`)
	if err == nil && n == 0 {
		err = errors.New("nobody waits")
	}
	return err
}

// crashBeforeEvent kills the auth-services after the commit: what is to be told
// is in the outbox only.
func crashBeforeEvent(a *account, users *sqldb.DB) {
	a.Helper()
	a.fault("the auth-services are cut off from NATS", fault{begin: together(
		a.links("auth-1", a.brokerNames(), cut), a.links("auth-2", a.brokerNames(), cut),
	), end: func() error {
		a.remove(http.StatusAccepted)
		if email := a.profile(users); email != a.email {
			a.Errorf("the user-service has %q: it was told, so this shows nothing", email)
		}
		a.killAuths(together(a.links("auth-1", a.brokerNames(), heal), a.links("auth-2", a.brokerNames(), heal)))
		return nil
	}, blind: everybody})
}

// crashOfUsers has the user-service hear of the deletion when it starts again.
func crashOfUsers(a *account, _ *sqldb.DB) {
	a.Helper()
	a.must(a.Users.Kill())
	a.remove(http.StatusAccepted)
	a.must(a.Users.Start())
}

// crashWhileNoted kills the user-service before the commit of what it was told.
func crashWhileNoted(a *account, users *sqldb.DB) {
	a.Helper()
	let, err := cluster.Hold(a.ctx, users, "SELECT 1 FROM users WHERE id = $1 FOR UPDATE", a.id)
	a.must(err)
	a.remove(http.StatusAccepted)
	a.soon("the user-service waits for the lock", func() error {
		var n int
		err := users.GetContext(a.ctx, &n, `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`)
		if err == nil && n == 0 {
			err = errors.New("nobody waits")
		}
		return err
	})
	a.must(a.Users.Kill())
	a.must(let())
	a.must(a.Users.Start())
}

// crashBeforePseudonym kills the auth-services twice, once while they are about
// to take the deleted accounts out of the trail. Each does so as it starts, and
// every ten minutes; the order to do it is kept for a day, for late events.
func crashBeforePseudonym(gone []*account) {
	first := gone[0]
	first.Helper()
	let, err := first.Begin(first.ctx, "SELECT 1 FROM locks WHERE name = 'audit' FOR UPDATE")
	first.must(err)
	first.fault("all auth-services start again", fault{begin: each(first.Auths, kill), end: each(first.Auths, start), blind: everybody})
	first.soon("the trail waits for the lock", first.waiting)
	first.killAuths(let)
	for _, a := range gone {
		a.soon("nobody is named in the trail", func() error {
			n, err := a.Count(a.ctx, "SELECT count(*) FROM audit WHERE actor_id = $1 OR target_id = $1", a.id)
			if err == nil && n > 0 {
				err = fmt.Errorf("%d events name the account", n)
			}
			return err
		})
	}
}

// profile is the address that the user-service knows, "" for a tombstone.
func (a *account) profile(users *sqldb.DB) (email string) {
	a.Helper()
	a.must(users.GetContext(a.ctx, &email, "SELECT email FROM users WHERE id = $1", a.id))
	return email
}

// gone waits until nothing is left in either service, and checks that asking
// again changes nothing.
func (a *account) gone(users *sqldb.DB) {
	a.Helper()
	a.soon("nothing is left", func() error { return a.traces(users) })
	deletions := func() int {
		n, err := a.Count(a.ctx, "SELECT count(*) FROM audit WHERE event = 'account_deleted'")
		a.must(err)
		return n
	}
	before := deletions()
	a.remove(http.StatusUnauthorized)
	a.must2(a.call("DELETE", "/admin/users/"+a.id, a.root, nil, http.StatusNotFound))
	a.must2(a.call("POST", "/auth/login", "", a.credentials(), http.StatusUnauthorized))
	if now := deletions(); now != before {
		a.Errorf("asking again has deleted again: %d deletions in the trail, %d before", now, before)
	}
	a.soon("nothing comes back", func() error { return a.traces(users) })
}

// traces says what is left of the account.
func (a *account) traces(users *sqldb.DB) error {
	var problems []error
	for i, n := range a.left() {
		if n > 0 && !strings.HasPrefix(accountTables[i], "audit ") { // that comes later
			problems = append(problems, fmt.Errorf("%d of %s", n, strings.Fields(accountTables[i])[0]))
		}
	}
	waiting, err := a.Count(a.ctx, "SELECT count(*) FROM outbox WHERE convert_from(payload, 'UTF8') LIKE '%' || $1 || '%'", a.id)
	if err != nil || waiting > 0 {
		problems = append(problems, fmt.Errorf("%d messages that wait (%w)", waiting, err))
	}
	var named int
	err = users.GetContext(a.ctx, &named, `SELECT count(*) FROM users WHERE id = $1
		AND (status <> 'deleted' OR email || COALESCE(first_name, '') || COALESCE(last_name, '') || display_name || search <> '')`, a.id)
	if err != nil || named > 0 {
		problems = append(problems, fmt.Errorf("%d profiles (%w)", named, err))
	}
	return errors.Join(problems...)
}

// exportDespiteCrash exports an account while the auth-services are killed: the
// next export is whole, and the account as it was.
func exportDespiteCrash(w *world) {
	w.Helper()
	a := newAccount(w)
	let, err := a.Begin(a.ctx, "LOCK TABLE audit IN SHARE MODE")
	w.must(err)
	var asking sync.WaitGroup
	asking.Go(func() {
		_, err := a.call("GET", "/auth/me/export", a.access, nil, 0, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout)
		if err != nil {
			w.Error(err)
		}
	})
	a.soon("the export waits for the lock", a.waiting)
	a.killAuths(let)
	asking.Wait()
	a.there()
	for range 2 { // and again, with the same
		whole := a.must2(a.call("GET", "/auth/me/export", a.access, nil, http.StatusOK))
		for _, part := range []string{`{"account":{"id":"` + a.id, `{"session":`, `"event":"registered"`} {
			if !strings.Contains(string(whole.body), part) {
				w.Errorf("the export lacks %s: %s", part, whole.body)
			}
		}
	}
	a.remove(http.StatusAccepted)
}
