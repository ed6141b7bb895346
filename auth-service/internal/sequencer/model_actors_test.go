package sequencer

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	"gatehouse.internal/shared/contract"
	"gatehouse.internal/shared/revocation"
)

// replica is one auth-service; s is its present life.
type replica struct {
	w       *world
	index   int
	clock   clock
	s       *Sequencer
	landing *landing
}

func newReplica(w *world, i int) *replica {
	r := &replica{w: w, index: i, clock: clock{w: w}}
	r.boot()
	return r
}

// boot begins a life that remembers nothing.
func (r *replica) boot() {
	r.s = assemble(Config{
		Redis: r.w.client, RedisPrefix: "m", Signer: r.w.signer, Keys: r.w.signer,
		Now: r.clock.Now, Log: r.w.log, Registry: prometheus.NewRegistry(),
	}, fmt.Sprintf("sequencer-%d", r.index), r.w.database, r.w.broker)
	r.landing = &landing{s: r.s}
}

// alive is true while the present life lasts.
func (r *replica) alive() func() bool {
	life := r.s
	return func() bool { return r.s == life }
}

// tasks are the goroutines of a replica, each of which is one process at most.
var tasks = []string{"round", "land", "mirror", "inspect"}

// begin starts a task, unless it is at work.
func (r *replica) begin(task string) *process {
	if r.w.has(r, task) {
		return nil
	}
	s, ctx := r.s, context.Background()
	run := map[string]func(){
		"round": func() { r.outcome(task, s.round(ctx)) },
		"land": func() {
			for len(s.flights) > 0 {
				r.landing.take(ctx, <-s.flights)
			}
			r.landing.note(ctx)
		},
		"mirror": func() {
			if len(s.mirror.rounds) > 0 {
				s.mirror.follow(ctx, <-s.mirror.rounds)
			}
		},
		"inspect": func() { r.outcome(task, s.inspect(ctx)) },
	}[task]
	return r.w.spawn(r, task, run)
}

func (r *replica) outcome(task string, err error) {
	db := r.w.database.current()
	r.w.note("%s of %s ended: %v (epoch %d, last %d, published %d)", task, r.s.id, err, db.Epoch, db.Last, db.Published)
}

// node is one gateway; view and steps are its present life.
type node struct {
	w       *world
	name    string
	clock   clock
	view    *revocation.View
	steps   *revocation.Steps
	checker *revocation.Checker
	newest  string            // nonce
	byCount map[string]string // nonces of this life by their last part
	known   map[string]bool   // facts that this life was seen to know
}

func newNode(w *world, name string) *node {
	n := &node{w: w, name: name, clock: clock{w: w}}
	n.boot()
	return n
}

// boot begins a life that knows nothing, and reads the stream.
func (n *node) boot() {
	n.view = revocation.NewView(n.name, n.w.signer, n.clock.Now)
	n.steps = &revocation.Steps{View: n.view, Log: n.w.log, Now: n.clock.Now}
	n.checker = &revocation.Checker{View: n.view, Second: revocation.NewRedis(n.w.client, "m", n.w.signer, n.clock.Now)}
	n.newest, n.byCount, n.known = "", map[string]string{}, map[string]bool{}
	n.report()
	n.w.spawn(n, "replay", func() {
		for _, message := range append([][]byte(nil), n.w.broker.stream...) {
			if n.w.pause() == granted {
				n.batch(message, false)
			}
		}
	})
}

func (n *node) alive() func() bool {
	life := n.view
	return func() bool { return n.view == life }
}

func (n *node) batch(message []byte, live bool) {
	message = n.w.sabotage.batchReceived(n.w, message)
	if n.steps.Batch(message, live)&revocation.ReportNow != 0 {
		n.tell()
	}
}

func (n *node) head(message []byte) { n.steps.Head(n.w.sabotage.headReceived(n, message)) }

// report sends a new nonce.
func (n *node) report() {
	n.steps.Renew()
	n.tell()
}

func (n *node) tell() {
	data, err := n.steps.Report()
	if err != nil {
		panic(err)
	}
	data = n.w.sabotage.reportSent(n, data)
	for _, r := range n.w.replicas {
		n.w.send(message{"report of " + n.name + " to " + r.s.id, r.alive(), func() { r.s.Presence.Take(data) }})
	}
}

// repair asks a replica for what is missing.
func (n *node) repair(r *replica) {
	request, missing := n.steps.Repair()
	if !missing {
		return
	}
	data, err := json.Marshal(request)
	if err != nil {
		panic(err)
	}
	s, alive := r.s, n.alive()
	n.w.note("%s asks %s for %d..%d of epoch %d", n.name, s.id, request.From, request.To, request.Epoch)
	n.w.send(message{"repair request to " + s.id, r.alive(), func() {
		n.w.spawn(r, "repair", func() {
			answer, err := s.repaired(context.Background(), data)
			if err != nil {
				return
			}
			n.w.send(message{"repair to " + n.name, alive, func() {
				_, _ = n.steps.Answer(n.w.sabotage.batchReceived(n.w, answer))
			}})
		})
	}})
}

// claimsOf gives a token that the row kills.
func claimsOf(r *row) contract.Claims {
	var c contract.Claims
	subject := contract.ParseSubjectID(r.Subject)
	switch contract.RevocationKind(r.Kind) {
	case contract.RevokeToken:
		c.Refs.Token = subject
	case contract.RevokeSession:
		c.Refs.Session = subject
	case contract.RevokeUser, contract.RevokeUserStale:
		c.Refs.User, c.Version = subject, r.MinVersion-1
	case contract.RevokeKey:
		c.KeyID = r.Subject
	}
	return c
}
