package sequencer

import (
	"fmt"
	"iter"
	"log/slog"
	"time"
	"unsafe"

	"github.com/redis/go-redis/v9"

	"gatehouse.internal/shared/contract"
	"gatehouse.internal/shared/revocation"
)

// world is a deterministic simulation around the real sequencer, mirror, view,
// steps, checker and second opinion: a database, a broker, a Redis, replicas
// of the auth-service and nodes, each with a clock of its own. Nothing in it
// runs by itself; a script says what happens next. Every call through a seam
// is a place at which its caller can be left standing while others go on.
type world struct {
	sabotage sabotage
	signer   signer
	log      *slog.Logger
	now      time.Duration // true time since the beginning

	database *memoryLog
	broker   *broker
	redis    *memoryRedis
	client   *redis.Client // speaks to redis, from whoever is running
	replicas []*replica
	nodes    []*node

	facts     []*fact // every revocation that was ever committed
	inbox     []message
	processes []*process
	running   *process
	promises  []promise
	saved     memoryState // the database's backup
	tokens    []token
	raises    []raised
	kept      int      // of tokens and raises together, those before the backup
	events    []string // what happened, for the trace
}

// fact is a committed revocation, as the property sees it.
type fact struct {
	id        string
	claims    contract.Claims // of a token that it kills, as far as it matters
	asked     contract.Claims // of another such token: the one that is presented
	committed time.Duration
	expires   time.Duration // wall clock at which the last such token expires
	lost      bool          // the database was restored to a state without it
}

// The margins of DESIGN: a token is accepted this long after its expiry, and
// entries are kept that much and the skew between any two clocks longer.
const (
	leeway  = 30 * time.Second
	maxSkew = 5 * time.Minute
)

// message is on its way to a life of a replica or node.
type message struct {
	what    string
	alive   func() bool
	deliver func()
}

func newWorld(s sabotage) *world {
	w := &world{sabotage: s, signer: modelSigner(), log: slog.New(slog.DiscardHandler)}
	w.database = newMemoryLog(w.pause)
	w.database.sameVersions, w.database.lateVersions = s.sameVersions, s.lateVersions
	w.broker = &broker{w: w, seen: map[string]uint64{}}
	w.redis = newMemoryRedis(w)
	w.client = redis.NewClient(&redis.Options{Addr: "127.0.0.1:1"}) // a name would be looked up, which takes longer than the script
	w.client.AddHook(w.redis)
	w.saved = w.database.backup()
	for i := range 2 {
		w.replicas = append(w.replicas, newReplica(w, i))
	}
	for i := range 3 {
		w.nodes = append(w.nodes, newNode(w, fmt.Sprintf("node-%d", i)))
	}
	return w
}

// close ends what was left standing.
func (w *world) close() {
	for len(w.processes) > 0 {
		w.kill(w.processes[0])
	}
	_ = w.client.Close()
}

func (w *world) note(format string, args ...any) {
	w.events = append(w.events, fmt.Sprintf("%8.3fs  ", w.now.Seconds())+fmt.Sprintf(format, args...))
}

// clock is a machine's: its wall clock can be set, and its monotonic one began
// at another moment than others.
type clock struct {
	w          *world
	wall, mono time.Duration
}

// Now gives both readings, as time.Now does.
func (c *clock) Now() time.Time { return instant(c.w.now+c.wall, c.w.now+c.mono) }

// since is what the wall clock shows, counted from the world's beginning.
func (c *clock) since() time.Duration { return c.w.now + c.wall }

// beginning is the wall clock's time at the world's beginning, in Unix seconds.
const beginning = 1_800_000_000

// instant makes a time.Time of two independent readings, which package time
// offers to nobody else. TestModel_instant checks that it does.
func instant(wall, mono time.Duration) time.Time {
	const (
		hasMonotonic = 1 << 63
		unixTo1885   = (1969*365 + 1969/4 - 1969/100 + 1969/400 - (1884*365 + 1884/4 - 1884/100 + 1884/400)) * 86400
	)
	nanos := beginning*int64(time.Second) + int64(wall)
	seconds, rest := nanos/int64(time.Second), nanos%int64(time.Second)
	t := time.Unix(0, 0).UTC()
	inside := (*struct {
		wall uint64
		ext  int64
		loc  *time.Location
	})(unsafe.Pointer(&t))
	inside.wall = hasMonotonic | uint64(seconds+unixTo1885)<<30 | uint64(rest)
	inside.ext = int64(mono) + int64(time.Hour)
	return t
}

// fate is what becomes of a call through a seam.
type fate int

const (
	granted    fate = iota
	notDone         // it fails, and nothing has happened
	doneUnsaid      // it has happened, but its caller gets an error
)

// process is a call of the real code which stops at every seam.
type process struct {
	name    string
	owner   any
	next    func() (struct{}, bool)
	stop    func()
	yield   func(struct{}) bool
	crashed bool
	fate    fate // of the seam call at which it stands
}

// errCrash unwinds a process whose machine has died.
type errCrash struct{}

// spawn begins a process; it stands before its first step.
func (w *world) spawn(owner any, name string, run func()) *process {
	p := &process{name: name, owner: owner}
	p.next, p.stop = iter.Pull(func(yield func(struct{}) bool) {
		defer func() {
			if p.crashed {
				_ = recover() // an errCrash: nobody sees anything of a dead process
			}
		}()
		p.yield = yield
		if yield(struct{}{}) {
			run()
		}
	})
	p.next()
	w.processes = append(w.processes, p)
	return p
}

// step lets a process go on to its next seam, where the call at which it
// stands has the given fate.
func (w *world) step(p *process, f fate) {
	outer := w.running
	w.running, p.fate = p, f
	_, alive := p.next()
	w.running = outer
	if !alive {
		w.forget(p)
	}
}

func (w *world) kill(p *process) {
	w.forget(p)
	p.crashed = true
	p.stop()
}

func (w *world) forget(p *process) {
	for i := range w.processes {
		if w.processes[i] == p {
			w.processes = append(w.processes[:i], w.processes[i+1:]...)
			return
		}
	}
}

// pause is called at every seam, and leaves its caller standing there.
func (w *world) pause() fate {
	p := w.running
	if p == nil {
		return granted
	}
	if !p.yield(struct{}{}) {
		panic(errCrash{})
	}
	return p.fate
}

// has is true if the owner's process of that name has not ended.
func (w *world) has(owner any, name string) bool {
	for _, p := range w.processes {
		if p.owner == owner && p.name == name {
			return true
		}
	}
	return false
}

func (w *world) crash(owner any) {
	for i := len(w.processes) - 1; i >= 0; i-- {
		if w.processes[i].owner == owner {
			w.kill(w.processes[i])
		}
	}
}

// send puts a message on its way.
func (w *world) send(m message) {
	if len(w.inbox) < 400 { // beyond, the network loses it
		w.inbox = append(w.inbox, m)
	}
}

// deliver has a message arrive; a duplicate stays on its way as well.
func (w *world) deliver(i int, duplicate bool) {
	m := w.inbox[i]
	if !duplicate {
		w.drop(i)
	}
	if m.alive() {
		w.note("deliver %s", m.what)
		m.deliver()
	}
}

func (w *world) drop(i int) { w.inbox = append(w.inbox[:i:i], w.inbox[i+1:]...) }

// open reads a sealed message without doubt.
func (w *world) open(purpose revocation.Purpose, sealed []byte) []byte {
	payload, err := revocation.Open(purpose, w.signer, sealed)
	if err != nil {
		panic(err)
	}
	return payload
}

// seal signs what a sabotage has changed.
func (w *world) seal(purpose revocation.Purpose, payload []byte) []byte {
	return revocation.Seal(purpose, "events-1", w.signer.key, payload)
}
