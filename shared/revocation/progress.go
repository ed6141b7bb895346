package revocation

import (
	"crypto/rand"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"gatehouse.internal/shared/contract"
)

// Bounds of what a Progress remembers. When one is reached the oldest is
// forgotten, which can only make the view look older.
const (
	maxNonces = 512
	maxHeads  = 64
	maxRanges = 4096
)

// Progress works out up to which moment a node's knowledge is complete: the
// watermark, the numbers that are missing, and the view age. It is pure: it
// does no input or output, and its clock is given.
type Progress struct {
	now func() time.Time // monotonic, as time.Now is

	mu        sync.Mutex
	count     uint64 // nonces made
	epoch     uint64
	watermark uint64
	oldest    uint64 // numbers below no longer matter
	head      uint64 // newest number heard of in this epoch
	ranges    []span // applied numbers above the watermark, sorted, disjoint
	sent      []sentNonce
	waiting   []claim // heads that echo a nonce but are not covered yet

	// complete is the moment as of which the view is complete, or nil. It is
	// written under mu and read by every request without it.
	complete atomic.Pointer[time.Time]
}

type span struct{ first, last uint64 }

// sentNonce remembers when a nonce was sent, and how far the node was then.
type sentNonce struct {
	nonce            string
	at               time.Time
	epoch, watermark uint64
}

// claim is: whoever knows all numbers up to last is complete as of at.
type claim struct {
	last uint64
	at   time.Time
}

// NewProgress returns the progress of a node that knows nothing yet. now must
// have a monotonic reading in production, so that no step of the wall clock
// makes a view look younger.
func NewProgress(now func() time.Time) *Progress {
	return &Progress{now: now, oldest: 1}
}

// Nonce makes a nonce that was never used before, and remembers that it is
// being sent now. It must be called before the message that carries it is sent.
// It is random, so that two lives of a node never use the same one, and nobody
// can have a later one echoed in advance.
func (p *Progress) Nonce() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.count++
	var random [12]byte
	_, _ = rand.Read(random[:]) // never fails (crypto/rand)
	nonce := fmt.Sprintf("%x-%d", random, p.count)
	if len(p.sent) >= maxNonces {
		p.sent = append(p.sent[:0], p.sent[len(p.sent)-maxNonces/2:]...)
	}
	p.sent = append(p.sent, sentNonce{nonce, p.now(), p.epoch, p.watermark})
	return nonce
}

// Applied notes that the numbers of a batch are in the set. The entries must
// have been added before the call. It reports whether the watermark rose.
func (p *Progress) Applied(b *contract.Batch) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.enter(b.Epoch) {
		return false
	}
	before := p.watermark
	p.raise(b.Oldest)
	if len(b.Entries) > 0 {
		p.insert(span{b.First, b.Last()})
		p.head = max(p.head, b.Last())
	}
	p.settle()
	return p.watermark > before
}

// Outcome says what a head has told.
type Outcome byte

// The outcomes of a head.
const (
	HeadSeen      Outcome = iota // its number is known now; it proves nothing about freshness yet
	HeadCovered                  // the view is complete as of the moment the echoed nonce was sent
	HeadRegressed                // its database has lost numbers which this node has applied
)

// Head takes in a head addressed to every node, of which echo is the nonce for
// this one ("" if there is none). A replayed, late or reordered head does no
// harm: it echoes an old nonce, which proves completeness as of an old moment.
func (p *Progress) Head(h *contract.Head, echo string) Outcome {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.enter(h.Epoch) {
		return HeadSeen
	}
	p.raise(h.Oldest)
	p.head = max(p.head, h.Last)
	nonce, found := p.find(echo)
	if !found {
		p.settle()
		return HeadSeen
	}
	// The database was read after the nonce was sent, when this node already
	// knew nonce.watermark of this epoch from that database.
	if nonce.epoch == h.Epoch && h.Last < nonce.watermark {
		return HeadRegressed
	}
	if len(p.waiting) >= maxHeads {
		p.waiting = p.waiting[:maxHeads-1]
	}
	p.waiting = append(p.waiting, claim{h.Last, nonce.at})
	before := p.complete.Load()
	p.settle()
	if p.complete.Load() != before {
		return HeadCovered
	}
	return HeadSeen
}

// enter starts a newer epoch, and reports whether e is the newest one. What is
// known of older epochs stays in the set; the numbers start anew.
func (p *Progress) enter(e uint64) bool {
	if e > p.epoch {
		p.epoch, p.watermark, p.oldest, p.head = e, 0, 1, 0
		p.ranges, p.waiting = nil, nil
	}
	return e == p.epoch
}

// raise notes that numbers below oldest matter to nobody any more.
func (p *Progress) raise(oldest uint64) {
	p.oldest = max(p.oldest, oldest)
	p.watermark = max(p.watermark, p.oldest-1)
}

// insert adds a span to the sorted, disjoint ranges.
func (p *Progress) insert(s span) {
	i := 0
	for i < len(p.ranges) && p.ranges[i].last+1 < s.first {
		i++
	}
	j := i
	for j < len(p.ranges) && p.ranges[j].first <= s.last+1 {
		s.first, s.last = min(s.first, p.ranges[j].first), max(s.last, p.ranges[j].last)
		j++
	}
	p.ranges = append(p.ranges[:i], append([]span{s}, p.ranges[j:]...)...)
	if len(p.ranges) > maxRanges {
		p.ranges = p.ranges[:maxRanges] // the highest are asked for again
	}
}

// settle moves the watermark over what is contiguous, and takes the newest
// claim that the watermark covers.
func (p *Progress) settle() {
	done := 0
	for done < len(p.ranges) && p.ranges[done].first <= p.watermark+1 {
		p.watermark = max(p.watermark, p.ranges[done].last)
		done++
	}
	p.ranges = append(p.ranges[:0], p.ranges[done:]...)
	open := p.waiting[:0]
	for _, c := range p.waiting {
		switch {
		case c.last > p.watermark:
			open = append(open, c)
		default:
			if now := p.complete.Load(); now == nil || c.at.After(*now) {
				p.complete.Store(&c.at)
			}
		}
	}
	p.waiting = open
}

func (p *Progress) find(nonce string) (sentNonce, bool) {
	if nonce == "" {
		return sentNonce{}, false
	}
	for i := len(p.sent) - 1; i >= 0; i-- {
		if p.sent[i].nonce == nonce {
			return p.sent[i], true
		}
	}
	return sentNonce{}, false
}

// Age is the time since the moment as of which the view is complete. It is
// false while the node has never been complete. The monotonic clock stands
// still while a machine is suspended and the wall clock may be set back, so
// the larger of both differences counts: the view may look older than it is,
// never younger.
func (p *Progress) Age() (time.Duration, bool) {
	complete := p.complete.Load()
	if complete == nil {
		return 0, false
	}
	now := p.now()
	return max(0, now.Sub(*complete), now.Round(0).Sub(complete.Round(0))), true
}

// Missing gives the first run of numbers that this node lacks, up to the
// newest one it has heard of; ok is false when it lacks none.
func (p *Progress) Missing() (epoch, from, to uint64, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	from, to = p.watermark+1, p.head
	if len(p.ranges) > 0 {
		to = p.ranges[0].first - 1
	}
	return p.epoch, from, to, from <= to
}

// Position is how far a node has come.
type Position struct{ Epoch, Applied, Head uint64 }

// Behind is how many numbers the node has heard of and not applied.
func (p Position) Behind() uint64 { return max(p.Head, p.Applied) - p.Applied }

// Position gives the epoch, the watermark and the newest number heard of.
func (p *Progress) Position() Position {
	p.mu.Lock()
	defer p.mu.Unlock()
	return Position{p.epoch, p.watermark, p.head}
}

// Forget makes the node start over within its epoch: it claims nothing until
// it has seen every number again. It is for a node whose set may have lost
// entries, as after its wall clock ran ahead.
func (p *Progress) Forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.watermark, p.oldest, p.ranges, p.waiting, p.sent = 0, 1, nil, nil, nil
	p.complete.Store(nil)
}
