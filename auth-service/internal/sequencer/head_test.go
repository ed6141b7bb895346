package sequencer

import (
	"fmt"
	"strings"
	"testing"

	"gatehouse.internal/shared/contract"
)

func TestSequencer_I9_a_node_can_say_how_far_behind_it_is_while_a_backlog_is_numbered(t *testing.T) {
	w := newWorld(sabotage{})
	defer w.close()
	w.inbox = nil
	n, r := w.nodes[0], w.replicas[0]
	n.report()
	w.deliverAll() // the replica has the node's nonce
	for i := range contract.MaxBatchEntries + 1 {
		w.database.insert(row{
			ID: fmt.Sprintf("row-%05d", i), Kind: byte(contract.RevokeSession), Subject: fmt.Sprint(i), ExpiresAt: micros(tokenLife),
		})
	}
	if err := r.s.round(t.Context()); err != nil {
		t.Fatal(err)
	}
	var heads, batches []message
	for _, m := range w.inbox {
		if strings.HasPrefix(m.what, "head to "+n.name) {
			heads = append(heads, m)
		}
		if strings.HasPrefix(m.what, "batch to "+n.name) {
			batches = append(batches, m)
		}
	}
	if len(heads) != 2 || len(batches) != 2 {
		t.Fatalf("%d heads and %d batches, want 2 and 2", len(heads), len(batches))
	}
	heads[0].deliver()
	if at := n.view.Progress.Position(); at.Behind() != contract.MaxBatchEntries {
		t.Errorf("the node is behind by %d of %+v", at.Behind(), at)
	}
	batches[0].deliver()
	if at := n.view.Progress.Position(); at.Behind() != 0 {
		t.Errorf("the node is behind by %d after the first batch", at.Behind())
	}
	if age, known := n.view.Progress.Age(); known {
		t.Errorf("the node claims age %v while rows have no number", age)
	}
	heads[1].deliver()
	batches[1].deliver()
	if _, known := n.view.Progress.Age(); !known || n.view.Progress.Position().Behind() != 0 {
		t.Errorf("the node is not complete at %+v", n.view.Progress.Position())
	}
}
