package revocation

import (
	"bytes"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse.internal/shared/contract"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
)

func TestSeldom_a_flood_is_one_line_for_each_cause_and_period(t *testing.T) {
	var s Seldom
	at := start
	written := 0
	for i := range 1000 {
		if _, write := s.Next("forged", at.Add(time.Duration(i)*time.Millisecond)); write {
			written++
		}
	}
	if _, write := s.Next("malformed", at); !write {
		t.Error("another cause is not written")
	}
	leftOut, write := s.Next("forged", at.Add(seldomPeriod))
	if written != 1 || !write || leftOut != 999 {
		t.Errorf("%d lines in a period, then %t with %d left out; want 1, true and 999", written, write, leftOut)
	}
	if leftOut, _ := s.Next("forged", at.Add(3*seldomPeriod)); leftOut != 0 {
		t.Errorf("%d left out after a quiet time, want none", leftOut)
	}
}

func TestSeldom_I9_memory_is_bounded(t *testing.T) {
	var s Seldom
	written := 0
	for i := range 10 * maxCauses {
		if _, write := s.Next(strconv.Itoa(i), start); write {
			written++
		}
	}
	if len(s.spells) > maxCauses+1 || written > maxCauses+1 {
		t.Errorf("%d causes are kept, %d lines written", len(s.spells), written)
	}
}

func TestSteps_I8_F39_a_flood_of_forged_messages_is_counted_but_does_not_fill_the_log(t *testing.T) {
	is, thief := newIssuer(t, "e1"), newIssuer(t, "e1")
	var written bytes.Buffer
	clock := &clock{start}
	v := NewView("n", is, clock.now)
	metrics := NewMetrics(prometheus.NewRegistry(), v)
	s := &Steps{View: v, Log: slog.New(slog.NewTextHandler(&written, nil)), Metrics: metrics, Now: clock.now}
	forged, junk := thief.batch(sessionBatch(1, 1, 7)), []byte("junk")
	var both sync.WaitGroup
	both.Go(func() {
		for range 500 {
			s.Batch(forged, true)
			s.Batch(junk, true)
		}
	})
	both.Go(func() {
		for range 500 {
			s.Head(forged)
		}
	})
	both.Wait()
	if got := testutil.ToFloat64(metrics.rejects.WithLabelValues("forged")); got != 1000 {
		t.Errorf("%v forged messages counted, want 1000", got)
	}
	if lines := strings.Count(written.String(), "\n"); lines != 3 { // forged batch, malformed batch, forged head
		t.Errorf("%d lines for 1500 messages, want 3:\n%s", lines, written.String())
	}
	clock.advance(time.Minute)
	s.Batch(forged, true)
	if !strings.Contains(written.String(), "left_out=499") {
		t.Errorf("the next line does not tell how many were left out:\n%s", written.String())
	}
	if v.Set.Len() != 0 || v.Progress.Position() != (Position{}) {
		t.Error("the view has changed")
	}
}

func TestSteps_a_database_that_lost_numbers_is_told_of_once_in_a_while(t *testing.T) {
	is := newIssuer(t, "e1")
	var written bytes.Buffer
	clock := &clock{start}
	v := NewView("n", is, clock.now)
	s := &Steps{View: v, Log: slog.New(slog.NewTextHandler(&written, nil)), Now: clock.now}
	s.Batch(is.batch(sessionBatch(1, 1, 7, 8)), true)
	for range 100 {
		s.Head(is.head(t, contract.Head{V: contract.HeadVersion, Epoch: 1, Last: 1, Oldest: 1, Nonces: map[string]string{"n": v.Progress.Nonce()}}))
	}
	if lines := strings.Count(written.String(), "\n"); lines != 1 {
		t.Errorf("%d lines for 100 heads, want 1:\n%s", lines, written.String())
	}
}
