package contract

import (
	"hash/fnv"
	"strconv"
	"strings"
	"time"
)

// How nodes and sequencers share the road when there are many nodes. The cost
// of proofs grows with the nodes and not with their square, and a view stays
// under a second old.
const (
	// OneHead is the number of nodes up to which one head serves all of them.
	// With more, the nonces go out in heads for a part of the nodes each.
	OneHead = 64
	// HeadParts is the number of these parts.
	HeadParts = 64

	minReportPeriod  = 250 * time.Millisecond
	maxReportPeriod  = 400 * time.Millisecond
	crowd            = 500 // nodes, from which on they report less often
	maxReportSpacing = 100 * time.Millisecond
)

// HeadPart is the part of the nodes to which a node, or a Reporter, belongs.
func HeadPart(node string) int {
	node, _, _ = strings.Cut(node, "/")
	h := fnv.New32a()
	_, _ = h.Write([]byte(node)) // never fails
	return int(h.Sum32() % HeadParts)
}

// HeadsOf carries the heads for one part of the nodes, when there are many.
func (s Subjects) HeadsOf(part int) string { return s.Heads() + "." + strconv.Itoa(part) }

// HeadsOfReplicas carries the heads by which the replicas of the sequencer hear
// one another, when there are many nodes.
func (s Subjects) HeadsOfReplicas() string { return s.Heads() + ".replicas" }

// ReportPeriod is how often each of so many nodes reports: every 250 ms, and
// more rarely from 500 nodes on. The period never exceeds 400 ms, so that with
// another 250 ms until the next head a view stays well under the soft limit.
func ReportPeriod(nodes int) time.Duration {
	return min(max(minReportPeriod, minReportPeriod*time.Duration(nodes)/crowd), maxReportPeriod)
}

// ReportSpacing is how long at least a node waits after it has said that its
// watermark has advanced before it says so again: all of them together then
// send about 40,000 such reports a second at most, up to 4,000 nodes, and a
// revoking call waits for it well under its 250 ms. A few nodes need not wait.
func ReportSpacing(nodes int) time.Duration {
	return min(max(0, time.Duration(nodes-16)*25*time.Microsecond), maxReportSpacing)
}
