package revocation

import (
	"strings"
	"testing"
	"time"

	"gatehouse.internal/shared/contract"
)

// clock is a clock that a test moves.
type clock struct{ at time.Time }

func (c *clock) now() time.Time          { return c.at }
func (c *clock) advance(d time.Duration) { c.at = c.at.Add(d) }

func batch(epoch, first, last uint64) *contract.Batch {
	return &contract.Batch{Epoch: epoch, First: first, Oldest: 1, Entries: make([]contract.Entry, last-first+1)}
}

func head(epoch, last uint64) *contract.Head {
	return &contract.Head{V: 1, Epoch: epoch, Last: last, Oldest: 1}
}

func wantAge(t *testing.T, p *Progress, want time.Duration) {
	t.Helper()
	if got, known := p.Age(); !known || got != want {
		t.Errorf("age %v (known: %t), want %v", got, known, want)
	}
}

func wantNeverComplete(t *testing.T, p *Progress) {
	t.Helper()
	if got, known := p.Age(); known {
		t.Errorf("the node claims age %v, and was never complete", got)
	}
}

func TestProgress_I7_a_cold_node_claims_nothing_before_a_covered_echoed_head(t *testing.T) {
	c := &clock{start}
	p := NewProgress(c.now)
	nonce := p.Nonce()
	p.Head(head(1, 3), "")
	wantNeverComplete(t, p)
	p.Head(head(1, 3), "not-mine-1")
	wantNeverComplete(t, p)
	p.Head(head(1, 3), nonce)
	wantNeverComplete(t, p)
	p.Applied(batch(1, 1, 2))
	wantNeverComplete(t, p)
	c.advance(time.Second)
	p.Applied(batch(1, 3, 3))
	wantAge(t, p, time.Second) // as of when the nonce was sent
}

func TestProgress_F13_F15_order_and_duplicates_do_not_matter(t *testing.T) {
	p := NewProgress((&clock{start}).now)
	for _, b := range []*contract.Batch{batch(1, 5, 6), batch(1, 1, 2), batch(1, 5, 6), batch(1, 2, 4)} {
		p.Applied(b)
	}
	if got := p.Position(); got.Applied != 6 {
		t.Errorf("watermark %d, want 6", got.Applied)
	}
}

func TestProgress_F4_a_gap_stops_the_watermark_and_is_missing(t *testing.T) {
	c := &clock{start}
	p := NewProgress(c.now)
	p.Applied(batch(1, 1, 2))
	p.Applied(batch(1, 5, 6))
	epoch, from, to, ok := p.Missing()
	if !ok || epoch != 1 || from != 3 || to != 4 {
		t.Errorf("missing %d..%d of epoch %d (%t), want 3..4 of 1", from, to, epoch, ok)
	}
	p.Head(head(1, 9), p.Nonce())
	wantNeverComplete(t, p)
	p.Applied(batch(1, 3, 4))
	if _, from, to, ok := p.Missing(); !ok || from != 7 || to != 9 {
		t.Errorf("missing %d..%d (%t), want 7..9", from, to, ok)
	}
}

func TestProgress_numbers_below_the_oldest_are_not_missed(t *testing.T) {
	p := NewProgress((&clock{start}).now)
	nonce := p.Nonce()
	p.Head(&contract.Head{V: 1, Epoch: 1, Last: 100, Oldest: 91}, nonce)
	if _, from, to, ok := p.Missing(); !ok || from != 91 || to != 100 {
		t.Errorf("missing %d..%d (%t), want 91..100", from, to, ok)
	}
	p.Applied(&contract.Batch{Epoch: 1, First: 91, Oldest: 101}) // all have expired meanwhile
	wantAge(t, p, 0)
}

func TestProgress_F40_a_replayed_head_makes_nothing_younger(t *testing.T) {
	c := &clock{start}
	p := NewProgress(c.now)
	nonce := p.Nonce()
	p.Head(head(1, 0), nonce)
	c.advance(10 * time.Second)
	for range 3 {
		p.Head(head(1, 0), nonce)
	}
	wantAge(t, p, 10*time.Second)
}

func TestProgress_a_late_nonce_counts_from_when_it_was_sent(t *testing.T) {
	c := &clock{start}
	p := NewProgress(c.now)
	first := p.Nonce()
	c.advance(time.Second)
	second := p.Nonce()
	c.advance(time.Second)
	p.Head(head(1, 0), second)
	wantAge(t, p, time.Second)
	p.Head(head(1, 0), first)
	wantAge(t, p, time.Second)
}

func TestProgress_nonces_are_used_once_and_cannot_be_foretold(t *testing.T) {
	seen := map[string]bool{}
	for _, life := range []*Progress{NewProgress(time.Now), NewProgress(time.Now)} {
		for range 100 {
			random, _, _ := strings.Cut(life.Nonce(), "-") // what follows is only their number
			if len(random) < 24 || seen[random] {
				t.Fatalf("a nonce begins with %q, again or too short", random)
			}
			seen[random] = true
		}
	}
}

func TestProgress_F24_a_database_that_lost_numbers_proves_nothing(t *testing.T) {
	c := &clock{start}
	p := NewProgress(c.now)
	p.Applied(batch(1, 1, 10))
	p.Head(head(1, 10), p.Nonce())
	c.advance(time.Second)
	if got := p.Head(head(1, 8), p.Nonce()); got != HeadRegressed {
		t.Errorf("outcome %d, want regressed", got)
	}
	wantAge(t, p, time.Second)
}

func TestProgress_a_head_from_before_the_last_batch_is_no_regression(t *testing.T) {
	p := NewProgress((&clock{start}).now)
	nonce := p.Nonce()
	p.Applied(batch(1, 1, 10)) // numbered after that sequencer had looked
	if got := p.Head(head(1, 8), nonce); got != HeadCovered {
		t.Errorf("outcome %d, want covered", got)
	}
}

func TestProgress_I5_a_new_epoch_must_be_complete_before_it_counts(t *testing.T) {
	c := &clock{start}
	p := NewProgress(c.now)
	p.Applied(batch(1, 1, 10))
	p.Head(head(1, 10), p.Nonce())
	c.advance(time.Second)
	nonce := p.Nonce()
	p.Head(head(2, 4), nonce)
	wantAge(t, p, time.Second)
	c.advance(time.Second)
	p.Head(head(1, 10), p.Nonce()) // the old epoch has no say any more
	p.Applied(batch(1, 11, 12))
	wantAge(t, p, 2*time.Second)
	p.Applied(batch(2, 1, 4))
	wantAge(t, p, time.Second)
	if got := p.Position(); got != (Position{Epoch: 2, Applied: 4, Head: 4}) {
		t.Errorf("position %+v", got)
	}
}

func TestProgress_F33_a_wall_clock_can_make_it_look_older_only(t *testing.T) {
	base := time.Now() // with a monotonic reading
	at := base
	p := NewProgress(func() time.Time { return at })
	p.Head(head(1, 0), p.Nonce())
	at = base.Add(3 * time.Second).Round(0).Add(-time.Hour) // wall clock set back; a reading without monotonic part
	if age, known := p.Age(); !known || age != 0 {
		t.Errorf("age %v, %t", age, known)
	}
	at = base.Add(3 * time.Second)
	wantAge(t, p, 3*time.Second)
}

func TestProgress_Forget_starts_over(t *testing.T) {
	p := NewProgress((&clock{start}).now)
	p.Applied(batch(1, 1, 3))
	p.Head(head(1, 3), p.Nonce())
	p.Forget()
	wantNeverComplete(t, p)
	p.Head(head(1, 3), p.Nonce())
	if _, from, to, ok := p.Missing(); !ok || from != 1 || to != 3 {
		t.Errorf("missing %d..%d (%t), want 1..3", from, to, ok)
	}
}

func TestProgress_I9_memory_is_bounded(t *testing.T) {
	p := NewProgress((&clock{start}).now)
	for n := range uint64(3 * maxRanges) {
		p.Applied(batch(1, 10+2*n, 10+2*n)) // never contiguous
		p.Head(head(1, 1_000_000), p.Nonce())
	}
	if len(p.ranges) > maxRanges || len(p.waiting) > maxHeads || len(p.sent) > maxNonces {
		t.Errorf("%d ranges, %d heads, %d nonces are kept", len(p.ranges), len(p.waiting), len(p.sent))
	}
}
