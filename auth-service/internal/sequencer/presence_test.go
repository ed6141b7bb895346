package sequencer

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse.internal/shared/contract"
)

// said is a report of a node that has come to the number.
func said(p *Presence, node string, number uint64) {
	p.Take(encoded(contract.Report{V: contract.ReportVersion, Node: node, Nonce: "n", Epoch: 1, Applied: number}))
}

// bubble runs a test on a Presence in time that passes only while all wait.
func bubble(t *testing.T, run func(t *testing.T, p *Presence)) {
	synctest.Test(t, func(t *testing.T) { run(t, NewPresence(time.Now, slog.New(slog.DiscardHandler))) })
}

// asked has somebody wait for a number of epoch 1, for 250 ms at most.
type asked struct {
	nodes, applied int
	after          time.Duration
	done           bool
}

func ask(p *Presence, number uint64) *asked {
	a := &asked{}
	began := time.Now()
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), answerBound)
		defer cancel()
		a.nodes, a.applied = p.Wait(ctx, 1, number)
		a.after, a.done = time.Since(began), true
	}()
	synctest.Wait()
	return a
}

func TestPresence_I9_a_slow_node_holds_up_nobody_beyond_the_bound(t *testing.T) {
	bubble(t, func(t *testing.T, p *Presence) {
		said(p, "quick", 7)
		said(p, "slow", 6)
		a := ask(p, 7)
		time.Sleep(answerBound - time.Millisecond)
		synctest.Wait()
		if a.done {
			t.Fatalf("answered after %s although a node lacks the number", a.after)
		}
		said(p, "slow", 6) // alive, and no further
		time.Sleep(time.Millisecond)
		synctest.Wait()
		if !a.done || a.after != answerBound || a.nodes != 2 || a.applied != 1 {
			t.Errorf("got %+v", a)
		}
		if len(p.waiting) != 0 {
			t.Error("an answered caller is still waited for")
		}
	})
}

func TestPresence_I9_a_silent_node_is_waited_for_only_while_it_counts_as_live(t *testing.T) {
	bubble(t, func(t *testing.T, p *Presence) {
		said(p, "gone", 6)
		time.Sleep(missedReports*contract.ReportPeriod(1) + time.Millisecond)
		said(p, "here", 7)
		if a := ask(p, 7); !a.done || a.after != 0 || a.nodes != 1 || a.applied != 1 {
			t.Errorf("got %+v", a)
		}
	})
}

func TestPresence_Wait_ends_with_the_last_node(t *testing.T) {
	bubble(t, func(t *testing.T, p *Presence) {
		for i := range 1000 {
			said(p, fmt.Sprint(i), 6)
		}
		seven, eight := ask(p, 7), ask(p, 8)
		time.Sleep(time.Millisecond)
		for i := range 999 {
			said(p, fmt.Sprint(i), 8)
		}
		synctest.Wait()
		if seven.done || eight.done {
			t.Fatal("answered before the last node had come so far")
		}
		said(p, "999", 7)
		synctest.Wait()
		if !seven.done || eight.done || seven.nodes != 1000 || seven.applied != 1000 {
			t.Errorf("with 7 on all nodes: %+v, %+v", seven, eight)
		}
		said(p, "999", 8)
		synctest.Wait()
		if !eight.done || eight.applied != 1000 || eight.after != time.Millisecond {
			t.Errorf("with 8 on all nodes: %+v", eight)
		}
	})
}

func TestPresence_Wait_includes_a_node_that_comes_meanwhile(t *testing.T) {
	bubble(t, func(t *testing.T, p *Presence) {
		said(p, "first", 6)
		a := ask(p, 7)
		said(p, "new", 0)
		said(p, "first", 7)
		synctest.Wait()
		if a.done {
			t.Fatalf("answered without the new node: %+v", a)
		}
		said(p, "new", 7)
		synctest.Wait()
		if !a.done || a.nodes != 2 || a.applied != 2 {
			t.Errorf("got %+v", a)
		}
	})
}

// Two processes that were given one id are waited for one by one, and each
// finds its own nonce in the head; what only one of them has applied is not
// applied by the other.
func TestPresence_I1_two_processes_of_one_id_are_two_nodes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var written bytes.Buffer
		p := NewPresence(time.Now, slog.New(slog.NewTextHandler(&written, nil)))
		say := func(process string, number uint64) {
			p.Take(encoded(contract.Report{V: contract.ReportVersion, Node: "same", Process: process, Nonce: "of " + process, Epoch: 1, Applied: number}))
		}
		say("a", 6)
		if written.Len() > 0 {
			t.Errorf("one process: %s", written.String())
		}
		say("b", 6) // may be the same node after a restart
		say("b", 6)
		if written.Len() > 0 {
			t.Errorf("a restart: %s", written.String())
		}
		a := ask(p, 7)
		say("a", 7)
		synctest.Wait()
		if a.done {
			t.Fatalf("answered although one of the two has not applied it: %+v", a)
		}
		say("b", 7)
		synctest.Wait()
		if !a.done || a.nodes != 2 || a.applied != 2 {
			t.Errorf("got %+v", a)
		}
		if lines := strings.Count(written.String(), "\n"); lines != 1 || !strings.Contains(written.String(), "node=same") {
			t.Errorf("logged %d lines, want 1: %s", lines, written.String())
		}
		if list := p.List(); len(list) != 2 || list[0].Node != "same" || list[1].Node != "same" {
			t.Errorf("the list is %+v", list)
		}
		if nonces := p.snapshot().nonces; nonces["same/a"] != "of a" || nonces["same/b"] != "of b" {
			t.Errorf("the nonces are %v", nonces)
		}
		time.Sleep(forgetAge + time.Second)
		if p.snapshot(); len(p.nodes)+len(p.latest) != 0 {
			t.Errorf("%v and %v are not forgotten", p.nodes, p.latest)
		}
	})
}

// What is remembered of a report is bounded, as anybody who may report at all can
// send any.
func TestPresence_takes_no_large_report(t *testing.T) {
	p := NewPresence(time.Now, slog.New(slog.DiscardHandler))
	fields := contract.Report{V: contract.ReportVersion, Node: strings.Repeat("n", 64), Process: strings.Repeat("f", 16), Nonce: strings.Repeat("f", 40), Address: strings.Repeat("a", 255), Version: strings.Repeat("v", 64)}
	p.Take(encoded(fields))
	for _, change := range []func(r *contract.Report){
		func(r *contract.Report) { r.Address = strings.Repeat("a", 1<<16) },
		func(r *contract.Report) { r.Version = strings.Repeat("v", 1<<16) },
	} {
		r := fields
		r.Node = "other"
		change(&r)
		p.Take(encoded(r))
	}
	if list := p.List(); len(list) != 1 || list[0].Node != fields.Node {
		t.Errorf("%d reports were taken", len(list))
	}
}

func TestPresence_a_node_of_many_may_report_more_rarely(t *testing.T) {
	bubble(t, func(t *testing.T, p *Presence) {
		for i := range 1000 {
			said(p, fmt.Sprint(i), 1)
		}
		time.Sleep(1500 * time.Millisecond) // dead if there were few
		if n := len(p.List()); n != 1000 {
			t.Errorf("%d nodes are live", n)
		}
		time.Sleep(600 * time.Millisecond)
		if n := len(p.List()); n != 0 {
			t.Errorf("%d silent nodes are live", n)
		}
	})
}

func TestPresence_I9_F39_a_flood_of_false_reports_is_bounded_in_memory_and_log(t *testing.T) {
	var written bytes.Buffer
	clock := time.Now()
	p := NewPresence(func() time.Time { return clock }, slog.New(slog.NewTextHandler(&written, nil)))
	for i := range 2 * maxNodes {
		said(p, fmt.Sprint(i), 1)
		p.Take([]byte("junk"))
	}
	if n := len(p.List()); n != maxNodes {
		t.Errorf("%d nodes are known, want %d", n, maxNodes)
	}
	if lines := strings.Count(written.String(), "\n"); lines != 2 { // junk, and too many nodes
		t.Errorf("%d lines, want 2:\n%.2000s", lines, written.String())
	}
	clock = clock.Add(10 * time.Second) // the false ones fall silent
	said(p, "true", 1)
	if list := p.List(); len(list) != 1 || list[0].Node != "true" {
		t.Errorf("%d nodes are live", len(list))
	}
}
