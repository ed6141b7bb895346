package sequencer

import (
	"flag"
	"fmt"
	"strconv"
	"time"

	"pgregory.net/rapid"

	"gatehouse.internal/shared/contract"
	"gatehouse.internal/shared/sqldb"
)

// op is one thing that happens. What A, B and C choose depends on Kind; any
// values are valid, so that a script stays one when parts of it are taken out.
type op struct {
	Kind    string
	A, B, C int
}

// tokenLife is how long an access token is good.
const tokenLife = 10 * time.Minute

// faults are the kinds of op by what they try, each as often as it is listed.
var (
	usual = []string{"commit", "commit", "commit late", "work", "work", "work", "work", "step", "step", "step", "deliver", "deliver", "deliver",
		"deliver all", "deliver all", "drop", "again", "report", "report", "repair", "repair", "wait", "wait", "calm"}
	crashes = []string{"crash replica", "crash node", "crash node"}
	losses  = []string{"purge", "fork stream", "copy stream", "lose", "flush redis"}
	history = []string{"backup", "restore"}
	clocks  = []string{"wait long", "set clock", "redis clock"}
)

func script(kinds ...[]string) *rapid.Generator[[]op] {
	all := []string{"nothing"}
	for _, k := range kinds {
		all = append(all, k...)
	}
	one := rapid.Custom(func(t *rapid.T) op {
		return op{rapid.SampledFrom(all).Draw(t, "kind"), rapid.IntRange(0, 31).Draw(t, "a"), rapid.IntRange(0, 31).Draw(t, "b"), rapid.IntRange(0, 31).Draw(t, "c")}
	})
	length := 50
	if long() {
		length = 100
	}
	return rapid.SliceOfN(one, length, -1)
}

// long is true if more than rapid's usual number of checks was asked for.
func long() bool {
	checks := flag.Lookup("rapid.checks")
	n, err := strconv.Atoi(checks.Value.String())
	return err == nil && n > 100
}

// do has an op happen.
func (w *world) do(o op) {
	r, n := w.replicas[o.A%len(w.replicas)], w.nodes[o.A%len(w.nodes)]
	switch o.Kind {
	case "commit", "commit late":
		w.commit(o)
	case "sign in", "raise":
		w.person(o)
	case "work":
		if p := r.begin(tasks[o.B%len(tasks)]); p != nil {
			w.note("%s of %s begins", p.name, r.s.id)
			w.steps(p, o.C, granted)
		}
	case "step":
		if len(w.processes) > 0 {
			p := w.processes[o.A%len(w.processes)]
			w.note("%s goes on for %d steps (%d)", p.name, o.C%8+1, o.B)
			w.steps(p, o.C%8+1, oneIn(o.B))
		}
	case "deliver", "again", "drop":
		if len(w.inbox) > 0 {
			i := (o.A*32 + o.B) % len(w.inbox)
			if o.Kind == "drop" {
				w.note("lost: %s", w.inbox[i].what)
				w.drop(i)
			} else {
				w.deliver(i, o.Kind == "again")
			}
		}
	case "deliver all":
		w.deliverAll()
	case "report":
		n.report()
	case "repair":
		n.repair(w.replicas[o.B%len(w.replicas)])
	case "wait":
		w.now += []time.Duration{time.Millisecond, 30 * time.Millisecond, 300 * time.Millisecond, 1100 * time.Millisecond, 3 * time.Second}[o.A%5]
	case "calm":
		w.calm(r)
	default:
		w.fault(o)
	}
}

// oneIn is mostly granted.
func oneIn(n int) fate {
	switch n {
	case 30:
		return notDone
	case 31:
		return doneUnsaid
	}
	return granted
}

func (w *world) fault(o op) {
	r, n := w.replicas[o.A%len(w.replicas)], w.nodes[o.A%len(w.nodes)]
	if o.Kind != "nothing" {
		w.note("%s (%d, %d)", o.Kind, o.A, o.B)
	}
	switch o.Kind {
	case "crash replica":
		w.crash(r)
		r.boot()
	case "crash node":
		w.crash(n)
		n.boot()
	case "purge", "fork stream":
		w.broker.purge(o.Kind == "fork stream")
	case "copy stream":
		w.broker.copy, w.broker.copied = append([][]byte(nil), w.broker.stream...), w.broker.number
	case "lose":
		w.broker.lose(o.A)
	case "flush redis":
		w.redis.flush()
	case "backup":
		w.saved, w.kept = w.database.backup(), len(w.tokens)+len(w.raises)
	case "restore":
		w.restore()
	case "wait long":
		w.now += time.Duration(o.A+1) * 30 * time.Second
		w.sweep()
	case "set clock": // any two never differ by more than maxSkew
		step := time.Duration(o.B-16) * maxSkew / 32
		if o.C%2 == 0 {
			r.clock.wall = step
		} else {
			n.clock.wall = step
		}
		w.sweep()
	case "redis clock":
		step := time.Duration(o.B-16) * maxSkew / 32
		w.redis.back += max(0, w.redis.clock.wall-step)
		w.redis.clock.wall = step
	}
}

// sweep has every node throw away what has expired by its clock.
func (w *world) sweep() {
	for _, n := range w.nodes {
		for range 64 {
			n.steps.Sweep()
		}
	}
}

// steps lets a process go on for up to n steps, of which the first has the fate.
func (w *world) steps(p *process, n int, f fate) {
	for ; n > 0 && w.at(p); n-- {
		w.step(p, f)
		f = granted
	}
}

func (w *world) at(p *process) bool {
	for _, q := range w.processes {
		if q == p {
			return true
		}
	}
	return false
}

// commit makes rows known to the database: at once, or with a moment of
// creation before that of others that are there already.
func (w *world) commit(o op) {
	r := w.replicas[o.A%len(w.replicas)]
	created := r.clock.since()
	if o.Kind == "commit late" {
		created -= time.Duration(o.C) * 100 * time.Millisecond
	}
	var ids []string
	for range o.B%3 + 1 {
		i := len(w.facts)
		kind := []contract.RevocationKind{contract.RevokeSession, contract.RevokeToken, contract.RevokeUser, contract.RevokeUserStale, contract.RevokeKey}[(o.B/3+i)%5]
		f := &fact{id: fmt.Sprintf("row-%04d", i), committed: w.now, expires: created + tokenLife}
		stored := row{
			ID: f.id, Kind: byte(kind), Subject: fmt.Sprintf("subject-%04d", i), MinVersion: 2, CreatedAt: micros(created),
			ExpiresAt: micros(f.expires + leeway + maxSkew),
		}
		f.claims = claimsOf(&stored)
		f.asked = f.claims
		f.asked.ExpiresAt = time.Unix(beginning, 0).Add(f.expires)
		for j, ref := range []*contract.SubjectID{&f.asked.Refs.Token, &f.asked.Refs.Session, &f.asked.Refs.User} {
			if *ref == (contract.SubjectID{}) {
				*ref = contract.ParseSubjectID(fmt.Sprintf("other-%d-%04d", j, i))
			}
		}
		w.facts = append(w.facts, f)
		w.database.insert(stored)
		ids = append(ids, f.id)
	}
	w.note("commit %v", ids)
	if o.C%2 == 0 {
		w.promise(r, ids)
	}
}

func micros(d time.Duration) int64 {
	return sqldb.Micros(time.Unix(beginning, 0).Add(d))
}

// restore puts the database back to its last backup.
func (w *world) restore() {
	w.database.restore(w.saved, w.sabotage.hiddenRestore)
	there := map[string]bool{}
	for i := range w.saved.rows {
		there[w.saved.rows[i].ID] = true
	}
	for _, f := range w.facts {
		f.lost = f.lost || !there[f.id]
	}
	w.loseVersions(w.kept)
}

func (w *world) deliverAll() {
	w.note("deliver all %d messages", len(w.inbox))
	for n := len(w.inbox); n > 0 && len(w.inbox) > 0; n-- {
		m := w.inbox[0]
		w.drop(0)
		if m.alive() {
			m.deliver()
		}
	}
}

// calm lets a replica and all nodes work undisturbed for a moment.
func (w *world) calm(r *replica) {
	w.note("calm around %s", r.s.id)
	for _, n := range w.nodes {
		n.report()
	}
	w.deliverAll()
	for _, task := range tasks {
		if p := r.begin(task); p != nil {
			w.steps(p, 200, granted)
		}
	}
	w.now += time.Millisecond
	for _, n := range w.nodes {
		n.repair(r)
	}
	w.deliverAll()
	for len(w.processes) > 0 && w.processes[len(w.processes)-1].name == "repair" {
		w.steps(w.processes[len(w.processes)-1], 200, granted)
	}
	w.deliverAll()
}
