package sequencer

import (
	"context"
	"encoding/json"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"gatehouse.internal/shared/contract"
)

// The bounds of what a Presence remembers of nodes.
const (
	liveFor   = time.Second // four reports missed
	forgetAge = time.Minute
	maxNodes  = 10_000
)

// Presence knows the gateway nodes from their reports: which are alive, how
// far each has come, and the newest nonce of each.
type Presence struct {
	now func() time.Time
	log *slog.Logger
	// arrived is called for a node that was not known: it waits for its first
	// head and need not wait for the next period. It must not block.
	arrived func()

	mu      sync.Mutex
	nodes   map[string]seenNode
	changed chan struct{} // closed and replaced whenever a node has advanced
}

type seenNode struct {
	report contract.Report
	at     time.Time
}

// has is true if the node has applied the number of the epoch. A node that is
// in a newer one may have learnt of that before it came to the number.
func (n *seenNode) has(epoch, number uint64) bool {
	return n.report.Epoch == epoch && n.report.Applied >= number
}

// NewPresence returns a Presence that knows no node.
func NewPresence(now func() time.Time, log *slog.Logger) *Presence {
	return &Presence{now: now, log: log, nodes: map[string]seenNode{}, changed: make(chan struct{})}
}

// Take takes in a node's report, in JSON. Reports are not signed: a false one
// can make a revoking call wait for its whole 250 ms or not at all, but never
// make a node accept a token.
func (p *Presence) Take(data []byte) {
	var r contract.Report
	if err := json.Unmarshal(data, &r); err != nil || r.Node == "" || len(r.Node) > 128 || len(r.Nonce) > 128 {
		p.log.Warn("node report refused")
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.now()
	if _, known := p.nodes[r.Node]; !known && len(p.nodes) >= maxNodes {
		maps.DeleteFunc(p.nodes, func(_ string, n seenNode) bool { return now.Sub(n.at) > liveFor })
		if len(p.nodes) >= maxNodes {
			return
		}
	}
	before := p.nodes[r.Node].report
	p.nodes[r.Node] = seenNode{r, now}
	if before.Node == "" && p.arrived != nil {
		p.arrived()
	}
	if before.Applied != r.Applied || before.Epoch != r.Epoch || before.Node == "" {
		close(p.changed)
		p.changed = make(chan struct{})
	}
}

// snapshot is what the nodes have said up to a moment.
type snapshot struct {
	nonces   map[string]string // the newest of each node
	epoch    uint64            // the newest epoch of a live node
	furthest uint64            // the highest number applied in that epoch
}

// snapshot must be taken before the look into the database which it is held
// against.
func (p *Presence) snapshot() snapshot {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.now()
	out := snapshot{nonces: make(map[string]string, len(p.nodes))}
	for id, n := range p.nodes {
		if now.Sub(n.at) > forgetAge {
			delete(p.nodes, id)
			continue
		}
		out.nonces[id] = n.report.Nonce
		if n.report.Epoch > out.epoch {
			out.epoch, out.furthest = n.report.Epoch, 0
		}
		if n.report.Epoch == out.epoch {
			out.furthest = max(out.furthest, n.report.Applied)
		}
	}
	return out
}

// List gives the reports of the live nodes, sorted by id.
func (p *Presence) List() []contract.Report {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.now()
	var out []contract.Report
	for _, n := range p.nodes {
		if now.Sub(n.at) <= liveFor {
			out = append(out, n.report)
		}
	}
	slices.SortFunc(out, func(a, b contract.Report) int { return strings.Compare(a.Node, b.Node) })
	return out
}

// count gives the number of live nodes and of those that have applied the
// number, and a channel that closes at the next change.
func (p *Presence) count(epoch, number uint64) (nodes, applied int, changed <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.now()
	for _, n := range p.nodes {
		if now.Sub(n.at) > liveFor {
			continue
		}
		nodes++
		if n.has(epoch, number) {
			applied++
		}
	}
	return nodes, applied, p.changed
}

// Wait returns when every live node has applied the number, or when ctx ends,
// with the number of live nodes and of those that have.
func (p *Presence) Wait(ctx context.Context, epoch, number uint64) (nodes, applied int) {
	for {
		nodes, applied, changed := p.count(epoch, number)
		if applied == nodes {
			return nodes, applied
		}
		select {
		case <-ctx.Done():
			return nodes, applied
		case <-changed:
		}
	}
}
