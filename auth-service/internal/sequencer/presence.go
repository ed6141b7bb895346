package sequencer

import (
	"cmp"
	"context"
	"encoding/json"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"gatehouse.internal/shared/contract"
	"gatehouse.internal/shared/revocation"
)

// The bounds of what a Presence remembers of nodes.
const (
	missedReports = 4 // a node that has missed so many is not live
	forgetAge     = time.Minute
	maxNodes      = 10_000
	maxReport     = 2 << 10 // bytes, all of which are remembered
)

// Presence knows the gateway nodes from their reports: which are alive, how
// far each has come, and the newest nonce of each. A node is a process: two that
// go by one id are two nodes, each with its own nonce and waited for on its own.
type Presence struct {
	now func() time.Time
	log *slog.Logger
	// arrived is called for a node that was not known: it waits for its first
	// head and need not wait for the next period. It must not block.
	arrived func()
	seldom  revocation.Seldom // what of a flood is written to the log

	mu      sync.Mutex
	nodes   map[string]seenNode // by contract.Reporter
	latest  map[string]string   // of the reporters that go by one id, the one heard last
	waiting map[*arrival]struct{}
}

// arrival is a number that somebody waits for on every live node. A report
// costs a look-up for each, so that waiting does not grow with the square of
// the nodes.
type arrival struct {
	epoch, number uint64
	lacking       map[string]struct{} // live reporters that have not applied it
	done          chan struct{}       // closed when lacking is empty
}

type seenNode struct {
	report contract.Report
	at     time.Time
}

func (n *seenNode) reporter() string { return contract.Reporter(n.report.Node, n.report.Process) }

// has is true if the node has applied the number of the epoch. A node that is
// in a newer one may have learnt of that before it came to the number.
func (n *seenNode) has(epoch, number uint64) bool {
	return n.report.Epoch == epoch && n.report.Applied >= number
}

// NewPresence returns a Presence that knows no node.
func NewPresence(now func() time.Time, log *slog.Logger) *Presence {
	return &Presence{now: now, log: log, nodes: map[string]seenNode{}, latest: map[string]string{}, waiting: map[*arrival]struct{}{}}
}

// Take takes in a node's report, in JSON. Reports are not signed: a false one
// can make a revoking call wait for its whole 250 ms or not at all, but never
// make a node accept a token.
func (p *Presence) Take(data []byte) {
	if len(data) > maxReport {
		p.refused("it is too large")
		return
	}
	var r contract.Report
	if err := json.Unmarshal(data, &r); err != nil || r.Node == "" || len(r.Node) > 128 || len(r.Process) > 32 || len(r.Nonce) > 128 {
		p.refused("it cannot be read")
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.now()
	reporter := contract.Reporter(r.Node, r.Process)
	before, known := p.nodes[reporter]
	if !known && len(p.nodes) >= maxNodes {
		p.forgetIf(func(n *seenNode) bool { return !p.live(n, now) })
		if len(p.nodes) >= maxNodes {
			p.refused("too many nodes")
			return
		}
	}
	node := seenNode{r, now}
	p.nodes[reporter] = node
	p.tellTwins(r.Node, reporter, known)
	if !known && p.arrived != nil {
		p.arrived()
	}
	for a := range p.waiting {
		if a.heard(&node, !known || !p.live(&before, now)) {
			delete(p.waiting, a)
			close(a.done)
		}
	}
}

// tellTwins tells of two processes that go by one id. After a restart the old
// one is heard no more, so it is those that take turns. p.mu is held.
func (p *Presence) tellTwins(node, reporter string, known bool) {
	if last := p.latest[node]; known && last != reporter {
		if leftOut, write := p.seldom.Next("twins", p.now()); write {
			p.log.Warn("two gateways go by one id; give each its own GATEWAY_NODE_ID", "node", node, "left_out", leftOut)
		}
	}
	p.latest[node] = reporter
}

// forgetIf forgets the nodes that are chosen. p.mu is held.
func (p *Presence) forgetIf(chosen func(*seenNode) bool) {
	maps.DeleteFunc(p.nodes, func(reporter string, n seenNode) bool {
		gone := chosen(&n)
		if gone && p.latest[n.report.Node] == reporter {
			delete(p.latest, n.report.Node)
		}
		return gone
	})
}

// refused tells of a report that changes nothing. Anybody who may report can
// send many of them.
func (p *Presence) refused(reason string) {
	if leftOut, write := p.seldom.Next(reason, p.now()); write {
		p.log.Warn("node report refused", "reason", reason, "left_out", leftOut)
	}
}

// live is true for a node that has reported lately. Nodes report less often
// when there are many.
func (p *Presence) live(n *seenNode, now time.Time) bool {
	return now.Sub(n.at) <= missedReports*contract.ReportPeriod(len(p.nodes))
}

// heard takes in that a node has reported, and is true if that was the last one
// waited for. One that was not live before has to be waited for as well.
func (a *arrival) heard(n *seenNode, arrived bool) bool {
	if !n.has(a.epoch, a.number) {
		if arrived {
			a.lacking[n.reporter()] = struct{}{}
		}
		return false
	}
	delete(a.lacking, n.reporter())
	return len(a.lacking) == 0
}

// snapshot is what the nodes have said up to a moment.
type snapshot struct {
	nodes    int               // how many are known
	nonces   map[string]string // the newest of each, by contract.Reporter
	epoch    uint64            // the newest epoch of a live node
	furthest uint64            // the highest number applied in that epoch
}

// snapshot must be taken before the look into the database which it is held
// against.
func (p *Presence) snapshot() snapshot {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.now()
	p.forgetIf(func(n *seenNode) bool { return now.Sub(n.at) > forgetAge })
	out := snapshot{nonces: make(map[string]string, len(p.nodes))}
	for reporter, n := range p.nodes {
		out.nonces[reporter] = n.report.Nonce
		if n.report.Epoch > out.epoch {
			out.epoch, out.furthest = n.report.Epoch, 0
		}
		if n.report.Epoch == out.epoch {
			out.furthest = max(out.furthest, n.report.Applied)
		}
	}
	out.nodes = len(p.nodes)
	return out
}

// List gives the reports of the live nodes, sorted by id.
func (p *Presence) List() []contract.Report {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.now()
	var out []contract.Report
	for _, n := range p.nodes {
		if p.live(&n, now) {
			out = append(out, n.report)
		}
	}
	slices.SortFunc(out, func(a, b contract.Report) int {
		return cmp.Or(strings.Compare(a.Node, b.Node), strings.Compare(a.Process, b.Process))
	})
	return out
}

// count gives the number of live nodes and of those that have applied the
// number.
func (p *Presence) count(epoch, number uint64) (nodes, applied int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	live, lacking := p.lacking(epoch, number)
	return live, live - len(lacking)
}

// lacking gives the number of live nodes, and those that have not applied the
// number. p.mu is held.
func (p *Presence) lacking(epoch, number uint64) (live int, lacking map[string]struct{}) {
	now := p.now()
	lacking = map[string]struct{}{}
	for reporter, n := range p.nodes {
		if !p.live(&n, now) {
			continue
		}
		live++
		if !n.has(epoch, number) {
			lacking[reporter] = struct{}{}
		}
	}
	return live, lacking
}

// Wait returns when every live node has applied the number, or when ctx ends,
// with the number of live nodes and of those that have.
func (p *Presence) Wait(ctx context.Context, epoch, number uint64) (nodes, applied int) {
	for {
		a, live := p.expect(epoch, number)
		if a == nil {
			return live, live
		}
		select {
		case <-ctx.Done():
			p.forget(a)
			return p.count(epoch, number)
		case <-a.done: // and those that have arrived since?
		}
	}
}

// expect registers that somebody waits; nil if no live node lacks the number.
func (p *Presence) expect(epoch, number uint64) (a *arrival, live int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	live, lacking := p.lacking(epoch, number)
	if len(lacking) == 0 {
		return nil, live
	}
	a = &arrival{epoch: epoch, number: number, lacking: lacking, done: make(chan struct{})}
	p.waiting[a] = struct{}{}
	return a, live
}

func (p *Presence) forget(a *arrival) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.waiting, a)
}
