package upstream

// Balance is how calls are spread over the targets.
type Balance string

// The ways to balance. Each gives a target calls in proportion to its weight.
const (
	// RoundRobin takes the targets in turn.
	RoundRobin Balance = "round_robin"
	// LeastConn takes the target with the fewest calls under way for its weight.
	LeastConn Balance = "least_conn"
	// RandomTwo draws two and takes the one with fewer calls under way for its
	// weight, which stays fair when many gateways balance without knowing of
	// one another.
	RandomTwo Balance = "random_two"
)

func (b Balance) known() bool { return b == RoundRobin || b == LeastConn || b == RandomTwo }

// MaxWeight bounds the weight of a target.
const MaxWeight = 100

// schedule gives the targets in the order of their turns, each as often as its
// weight says and its turns far apart: every turn all targets gain their
// weight, and the one that has most pays for the turn.
func schedule(targets []*Target) []*Target {
	total, divisor := int64(0), int64(0)
	for _, t := range targets {
		total += t.weight
		for a, b := t.weight, divisor; ; a, b = b, a%b {
			if b == 0 {
				divisor = a
				break
			}
		}
	}
	gained := make([]int64, len(targets))
	turns := make([]*Target, 0, total/divisor)
	for range total / divisor {
		most := 0
		for i, t := range targets {
			gained[i] += t.weight
			if gained[i] > gained[most] {
				most = i
			}
		}
		gained[most] -= total
		turns = append(turns, targets[most])
	}
	return turns
}

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

// next takes the first fit target from where the turn has come to. Each one
// that is passed over has had its turn, so that the next in order does not get
// its calls as well as its own. Others take turns meanwhile, so at last all
// targets are asked.
func (s *Set) next(fit func(*Target) bool) *Target {
	n := uint64(len(s.turns))
	for range n {
		if t := s.turns[(s.turn.Add(1)-1)%n]; fit(t) && t.enter() {
			return t
		}
	}
	for _, t := range s.targets {
		if fit(t) && t.enter() {
			return t
		}
	}
	return nil
}

// least takes the fit target with the fewest calls under way for its weight;
// among equals the turn decides, so that an idle service does not always use
// its first target.
func (s *Set) least(fit func(*Target) bool) *Target {
	n := uint64(len(s.targets))
	from := s.turn.Add(1) - 1
	var best *Target
	for i := range n {
		t := s.targets[(from+i)%n]
		if fit(t) && t.hasRoom() && (best == nil || t.lessBusyThan(best)) {
			best = t
		}
	}
	if best != nil && best.enter() {
		return best
	}
	return s.next(fit) // somebody else took the last place
}

// drawTwo takes the less busy one of two that were drawn. It returns nil if
// neither is fit; the caller then looks at all of them.
func (s *Set) drawTwo(fit func(*Target) bool) *Target {
	if len(s.targets) < 2 {
		return nil
	}
	n := len(s.turns)
	a, second := s.turns[s.intn(n)], s.intn(n)
	for s.turns[second] == a {
		second = (second + 1) % n
	}
	b := s.turns[second]
	if !fit(a) || (fit(b) && b.lessBusyThan(a)) {
		a, b = b, a
	}
	for _, t := range [2]*Target{a, b} {
		if fit(t) && t.enter() {
			return t
		}
	}
	return nil
}
