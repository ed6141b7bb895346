package nemesis

import (
	"context"
	"math/rand/v2"
	"slices"
	"time"
)

// Fault is one thing that can go wrong.
type Fault struct {
	Name  string
	Uses  []string // the parts that it breaks; no other fault may touch them meanwhile
	Blind []int    // the gateways that hear nobody who knows anything while it lasts
	Skews bool     // a wall clock is wrong while it lasts
	Begin func(ctx context.Context) error
	End   func(ctx context.Context) error // may be nil
}

// Step is a few faults at once, and what follows.
type Step struct {
	Faults []*Fault
	Last   time.Duration // how long they are active
	Rest   time.Duration // how long everything is well after that
}

// The times of a step.
const (
	shortest = 1500 * time.Millisecond
	longest  = 6 * time.Second
	rest     = 3 * time.Second
)

// Plan gives one step after another, the same ones for the same seed.
type Plan struct {
	rng    *rand.Rand
	faults []Fault
}

// NewPlan makes the plan of a seed.
func NewPlan(seed uint64, faults []Fault) *Plan {
	return &Plan{rng: rand.New(rand.NewPCG(seed, 1)), faults: faults} //nolint:gosec // repeatable, not secret
}

// Next is the next step.
func (p *Plan) Next() Step {
	s := Step{
		Last: shortest + time.Duration(p.rng.Int64N(int64(longest-shortest))),
		Rest: time.Duration(p.rng.Int64N(int64(rest))),
	}
	for range 1 + p.rng.IntN(3) { // one, two or three at once
		f := &p.faults[p.rng.IntN(len(p.faults))]
		if !slices.ContainsFunc(s.Faults, func(other *Fault) bool { return overlap(f, other) }) {
			s.Faults = append(s.Faults, f)
		}
	}
	return s
}

func overlap(a, b *Fault) bool {
	return slices.ContainsFunc(a.Uses, func(part string) bool { return slices.Contains(b.Uses, part) })
}
