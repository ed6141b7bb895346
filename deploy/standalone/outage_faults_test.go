package main

import (
	"context"
	"sync"
	"testing"
	"time"

	"gatehouse.internal/deploy/standalone/internal/chaos/faultproxy"
	"gatehouse.internal/shared/sqldb"
)

// dependency is what a service cannot do without for long.
type dependency string

const (
	theDatabase    dependency = "the database"
	theRedis       dependency = "Redis"
	theBroker      dependency = "NATS"
	theMailServer  dependency = "the mail server"
	theAuthService dependency = "the auth-service"
	theUserService dependency = "the user-service"
)

// state is in what way a dependency is not well.
type state string

const (
	slow    state = "slow"    // every answer takes 300 ms more
	failing state = "failing" // connections are reset again and again, also in the middle of a commit
	refused state = "refused" // there is nobody
	silent  state = "silent"  // as behind a firewall: connections stay, nothing comes; what was sent arrives in the end
)

const (
	lateness    = 300 * time.Millisecond
	resetsEvery = 70 * time.Millisecond
)

// outage is a dependency in a state.
type outage struct {
	of dependency
	in state
}

func (o outage) String() string { return string(o.of) + " is " + string(o.in) }

// outages are all of a system. A file cannot be reached badly: it is locked by
// another process, now and then or for good.
func (f *fragile) outages() []outage {
	var out []outage
	for _, of := range []dependency{theDatabase, theRedis, theBroker, theMailServer, theAuthService, theUserService} {
		for _, in := range []state{slow, failing, refused, silent} {
			if of == theDatabase && len(f.files) > 0 && (in == failing || in == refused) {
				continue
			}
			out = append(out, outage{of, in})
		}
	}
	return out
}

// begin breaks something until the returned function is called.
func (f *fragile) begin(t *testing.T, o outage) (heal func()) {
	t.Helper()
	if o.of == theDatabase && len(f.files) > 0 {
		return f.lockFiles(t, o.in)
	}
	links := f.links[o.of]
	if len(links) == 0 {
		t.Fatalf("nothing depends on %s", o.of)
	}
	ctx, stop := context.WithCancel(context.Background())
	var resets sync.WaitGroup
	for _, l := range links {
		switch o.in {
		case slow:
			l.Delay(lateness/2, 0)
		case refused:
			l.Cut()
		case silent:
			l.Stall(faultproxy.Both)
		case failing:
			resets.Go(func() { resetAgainAndAgain(ctx, l) })
		}
	}
	return func() {
		stop()
		resets.Wait()
		for _, l := range links {
			l.Heal()
		}
	}
}

func resetAgainAndAgain(ctx context.Context, l *faultproxy.Link) {
	ticker := time.NewTicker(resetsEvery)
	defer ticker.Stop()
	for {
		l.Reset()
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// lockFiles has another writer hold the databases.
func (f *fragile) lockFiles(t *testing.T, in state) (heal func()) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	var holders, held sync.WaitGroup
	for _, file := range f.files {
		db, err := sqldb.Open(t.Context(), file)
		if err != nil {
			t.Fatal(err)
		}
		held.Add(1)
		holders.Go(func() {
			first := sync.OnceFunc(held.Done)
			defer first() // whatever happens
			for ctx.Err() == nil {
				hold(ctx, t, db, in, first)
			}
			if err := db.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	held.Wait()
	return func() { stop(); holders.Wait() }
}

// hold takes the lock of a file and keeps it for a while, or until ctx ends.
// Others find it free for a moment in between.
func hold(ctx context.Context, t *testing.T, db *sqldb.DB, in state, taken func()) {
	t.Helper()
	tx, err := db.BeginTxx(context.WithoutCancel(ctx), nil)
	if err != nil {
		t.Logf("another process did not get the lock: %v", err)
		return
	}
	taken()
	pause(ctx, in, lateness)
	if err := tx.Rollback(); err != nil {
		t.Error(err)
	}
	pause(ctx, slow, lateness/5)
}

// pause waits for d, or, if the state lasts, until ctx ends.
func pause(ctx context.Context, in state, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	elapsed := timer.C
	if in == silent {
		elapsed = nil
	}
	select {
	case <-elapsed:
	case <-ctx.Done():
	}
}
