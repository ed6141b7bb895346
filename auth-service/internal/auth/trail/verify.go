package trail

import (
	"context"
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	"gatehouse.internal/auth-service/internal/auth"
)

// late is how long an event may wait for its number before that is a problem.
const late = 5 * time.Minute

// Anchor is a head that was told at some time, outside the database.
type Anchor struct {
	Number uint64
	Hash   [32]byte
}

// Report is the outcome of Verify. Problems is empty for a trail that is whole;
// after one that breaks the chain the rest is not looked at.
type Report struct {
	Start, Head Mark
	Entries     uint64    // that were looked at
	Erased      uint64    // of them, how many have a part that was pseudonymised
	Waiting     int       // events that have no number yet
	Anchors     int       // that were found in the chain
	Kept        time.Time // when the trail was kept last; zero if that was never noted
	Gaps        []string  // times in which nobody kept the trail: the service stood still, or was held up
	Problems    []string
}

func (r *Report) refuse(format string, args ...any) {
	r.Problems = append(r.Problems, fmt.Sprintf(format, args...))
}

// check is one run of Verify.
type check struct {
	store     Store
	seal      *Sealer
	eraser    eraser
	anchors   map[uint64][][32]byte
	at        Mark
	announced map[string]bool
	used      map[string]uint64 // pseudonyms, and the number of an entry that has it
	report    Report
}

// Verify reads the whole trail and says what is wrong with it, the first bad
// entry by its number. It may run beside Keepers. The error is nil unless the
// trail could not be read.
func Verify(ctx context.Context, store Store, seal *Sealer, now time.Time, anchors []Anchor) (Report, error) {
	c := check{store: store, seal: seal, anchors: map[uint64][][32]byte{}, announced: map[string]bool{}, used: map[string]uint64{}}
	for _, a := range anchors {
		c.anchors[a.Number] = append(c.anchors[a.Number], a.Hash)
	}
	for first := true; ; first = false {
		s, err := store.TrailState(ctx)
		if err != nil {
			return Report{}, fmt.Errorf("look at the audit trail: %w", err)
		}
		if !first && s.Head.Number == c.at.Number {
			c.finish(s, now)
			return c.report, nil
		}
		if c.begin(s, first); len(c.report.Problems) > 0 {
			return c.report, nil
		}
		if err := c.read(ctx, s.Head.Number); err != nil || len(c.report.Problems) > 0 {
			return c.report, err
		}
	}
}

// read checks the entries up to a number.
func (c *check) read(ctx context.Context, upTo uint64) error {
	for len(c.report.Problems) == 0 && c.at.Number < upTo {
		if err := c.page(ctx, upTo); err != nil {
			return err
		}
	}
	return nil
}

// begin checks the marks, and takes the first start for where to begin.
func (c *check) begin(s State, first bool) {
	if first {
		c.at, c.report.Start = s.Start, s.Start
		c.anchored()
	}
	c.report.Head, c.report.Waiting = s.Head, s.Waiting
	if !c.seal.good(placeStart, s.Start) {
		c.report.refuse("the trail says that it begins after %d, but not with our seal: what was before may have been removed", s.Start.Number)
	}
	if !c.seal.good(placeHead, s.Head) {
		c.report.refuse("the trail says that it ends at %d, but not with our seal", s.Head.Number)
	}
	c.keeping(s)
	if s.Last > s.Head.Number {
		c.report.refuse("entry %d is behind the head, which is %d: it was put in", s.Last, s.Head.Number)
	}
	if s.Last < s.Head.Number && s.Head.Number > s.Start.Number {
		c.report.refuse("entry %d is missing: the trail ends at %d, but its head is %d", max(s.Last, s.Start.Number)+1, s.Last, s.Head.Number)
	}
}

// keeping checks what else is sealed beside the marks.
func (c *check) keeping(s State) {
	var err error
	if c.eraser, _, err = c.seal.unwrap(s.EraserKey); err != nil {
		c.report.refuse("%s", err)
	}
	if c.report.Kept = c.seal.kept(s.Kept); c.report.Kept.IsZero() && !s.Kept.At.IsZero() {
		c.report.refuse("the trail says that it was kept last at %s, but not with our seal", s.Kept.At.Format(time.RFC3339))
	}
}

// page checks the next entries, at most up to a number.
func (c *check) page(ctx context.Context, upTo uint64) error {
	entries, err := c.store.TrailEntries(ctx, c.at.Number, batch)
	if err != nil {
		return fmt.Errorf("read the audit trail: %w", err)
	}
	if len(entries) == 0 || entries[0].Number != c.at.Number+1 {
		return c.cutMeanwhile(ctx)
	}
	for i := range entries {
		if e := &entries[i]; e.Number <= upTo && !c.entry(e) {
			return nil
		}
	}
	return nil
}

// cutMeanwhile goes on after what was forgotten while we read, and otherwise
// names what is missing.
func (c *check) cutMeanwhile(ctx context.Context) error {
	s, err := c.store.TrailState(ctx)
	if err != nil {
		return fmt.Errorf("look at the audit trail: %w", err)
	}
	if s.Start.Number <= c.at.Number || !c.seal.good(placeStart, s.Start) {
		c.report.refuse("entry %d is missing", c.at.Number+1)
		return nil
	}
	c.at = s.Start
	return nil
}

// entry checks one entry and steps on to it.
func (c *check) entry(e *Entry) bool {
	if e.Number != c.at.Number+1 {
		c.report.refuse("entry %d is missing", c.at.Number+1)
		return false
	}
	pseudonyms, well := c.eraser.wellErased(e)
	if e.hash(c.at.Hash) != e.Hash || !well {
		c.report.refuse("entry %d (event %s) is not what was written, or not where", e.Number, e.ID)
		return false
	}
	for _, p := range pseudonyms {
		c.used[p] = e.Number
	}
	if len(pseudonyms) > 0 {
		c.report.Erased++
	}
	if e.Event == auth.EventPseudonymised && !e.Parts[Target].Erased {
		c.announced[e.TargetID] = true
	}
	if e.Event == auth.EventTrailResumed {
		c.report.Gaps = append(c.report.Gaps, fmt.Sprintf("entry %d: nobody kept the trail until %s (%s)", e.Number, e.At.Format(time.RFC3339), e.Reason))
	}
	c.at = Mark{Number: e.Number, Hash: e.Hash}
	c.report.Entries++
	c.anchored()
	return len(c.report.Problems) == 0
}

// anchored compares the place that was reached with what was told of it.
func (c *check) anchored() {
	for _, hash := range c.anchors[c.at.Number] {
		if hash != c.at.Hash {
			c.report.refuse("entry %d has the hash %s, but %s was told: the trail was written anew",
				c.at.Number, hex.EncodeToString(c.at.Hash[:]), hex.EncodeToString(hash[:]))
			continue
		}
		c.report.Anchors++
	}
}

// finish checks what belongs to the trail as a whole.
func (c *check) finish(s State, now time.Time) {
	if c.at.Hash != s.Head.Hash {
		c.report.refuse("entry %d has not the hash of the head", c.at.Number)
	}
	for number := range c.anchors {
		if number > s.Head.Number {
			c.report.refuse("entry %d was told of, but the trail ends at %d: its end was removed", number, s.Head.Number)
		}
	}
	for p, number := range c.used {
		if !c.announced[p] {
			c.report.refuse("entry %d has the pseudonym %s, which no entry announces", number, p)
		}
	}
	if c.report.Kept.Sub(now) > late {
		c.report.refuse("the trail was kept last at %s, which is to come", c.report.Kept.Format(time.RFC3339))
	}
	if s.Waiting > 0 && now.Sub(s.Oldest) > late {
		c.report.refuse("%d events have no place in the trail, the oldest since %s", s.Waiting, s.Oldest.Format(time.RFC3339))
	}
	slices.Sort(c.report.Problems)
}
