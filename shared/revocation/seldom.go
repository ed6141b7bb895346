package revocation

import (
	"sync"
	"time"
)

// The bounds of a Seldom.
const (
	seldomPeriod = 10 * time.Second
	maxCauses    = 64
)

// Seldom says whether a line is to be written to the log, so that a flood of
// messages that are refused does not fill disks: one line for each cause in
// ten seconds, which tells how many were left out since the one before it.
// Metrics count them all. The zero Seldom is ready, and safe for concurrent
// use.
type Seldom struct {
	mu     sync.Mutex
	spells map[string]spell
}

// spell is a time during which a cause is not written again.
type spell struct {
	began   time.Time
	leftOut int
}

// Next reports whether the line for a cause is to be written now, and how many
// were left out before it. Causes are words of the program and never of a
// message; beyond 64 of them the others count as one.
func (s *Seldom) Next(cause string, now time.Time) (leftOut int, write bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.spells == nil {
		s.spells = map[string]spell{}
	}
	last, known := s.spells[cause]
	if !known && len(s.spells) >= maxCauses {
		cause = ""
		last, known = s.spells[cause]
	}
	if known && now.Sub(last.began) < seldomPeriod {
		last.leftOut++
		s.spells[cause] = last
		return 0, false
	}
	s.spells[cause] = spell{began: now}
	return last.leftOut, true
}
