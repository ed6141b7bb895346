package upstream

// Balance is how calls are spread over the targets.
type Balance string

// The ways to balance.
const (
	// RoundRobin takes the targets in turn.
	RoundRobin Balance = "round_robin"
	// LeastConn takes the target with the fewest calls under way.
	LeastConn Balance = "least_conn"
	// RandomTwo draws two and takes the one with fewer calls under way, which
	// stays fair when many gateways balance without knowing of one another.
	RandomTwo Balance = "random_two"
)

func (b Balance) known() bool { return b == RoundRobin || b == LeastConn || b == RandomTwo }

// choose takes a place at a target that is fit, or returns nil.
func (s *Set) choose(fit func(*Target) bool) *Target {
	switch s.balance {
	case LeastConn:
		return s.least(fit)
	case RandomTwo:
		if t := s.drawTwo(fit); t != nil {
			return t
		}
	}
	return s.next(fit)
}

// next takes the first fit target from where the turn has come to.
func (s *Set) next(fit func(*Target) bool) *Target {
	n := uint64(len(s.targets))
	from := s.turn.Add(1) - 1
	for i := range n {
		if t := s.targets[(from+i)%n]; fit(t) && t.enter() {
			return t
		}
	}
	return nil
}

// least takes the fit target with the fewest calls under way; among equals the
// turn decides, so that an idle service does not always use its first target.
func (s *Set) least(fit func(*Target) bool) *Target {
	n := uint64(len(s.targets))
	from := s.turn.Add(1) - 1
	var best *Target
	for i := range n {
		t := s.targets[(from+i)%n]
		if fit(t) && (best == nil || t.inFlight.Load() < best.inFlight.Load()) {
			best = t
		}
	}
	if best == nil || !best.enter() {
		return nil // the least busy one is at its limit, so all are
	}
	return best
}

// drawTwo takes the less busy one of two that were drawn. It returns nil if
// neither is fit; the caller then looks at all of them.
func (s *Set) drawTwo(fit func(*Target) bool) *Target {
	n := len(s.targets)
	if n < 2 {
		return nil
	}
	i := s.intn(n)
	j := s.intn(n - 1)
	if j >= i {
		j++
	}
	a, b := s.targets[i], s.targets[j]
	if !fit(a) || (fit(b) && b.inFlight.Load() < a.inFlight.Load()) {
		a, b = b, a
	}
	for _, t := range [2]*Target{a, b} {
		if fit(t) && t.enter() {
			return t
		}
	}
	return nil
}
