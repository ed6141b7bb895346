package sequencer

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// play runs a script and returns how the property was broken, and what led to
// it.
func play(s sabotage, ops []op) (trace string, err error) {
	w := newWorld(s)
	defer w.close()
	for _, o := range ops {
		w.do(o)
		if err := w.check(o); err != nil {
			return strings.Join(w.events, "\n"), err
		}
	}
	return "", nil
}

func holds(kinds ...[]string) func(*rapid.T) {
	scripts := script(kinds...)
	return func(t *rapid.T) {
		ops := scripts.Draw(t, "script")
		if _, err := play(sabotage{}, ops); err != nil {
			ops = shrunken(sabotage{}, ops)
			trace, err := play(sabotage{}, ops)
			t.Fatalf("%v\n%s\n%#v", err, trace, ops)
		}
	}
}

func TestModel_I1_I2_a_view_is_as_fresh_as_it_claims_whatever_the_road_and_redis_lose(t *testing.T) {
	rapid.Check(t, holds(usual, crashes, losses))
}

func TestModel_F33_clocks_that_are_set_make_no_view_younger(t *testing.T) {
	rapid.Check(t, holds(usual, crashes, losses, clocks))
}

func TestModel_F24_I5_a_database_that_loses_history_does_not_make_a_view_lie(t *testing.T) {
	rapid.Check(t, holds(usual, crashes, losses, history))
}

func TestModel_F24_I1_I6_a_database_that_loses_history_gives_out_no_version_again(t *testing.T) {
	rapid.Check(t, holds(usual, people, people, crashes, history))
}

// The model can fail: with one rule of the protocol taken out, a script breaks
// the property, which holds in the same script with the rule.
func TestModel_finds_the_hole_when_a_rule_is_taken_out(t *testing.T) {
	for _, rule := range rules {
		t.Run(rule.name, func(t *testing.T) {
			trace, err := play(rule.sabotage, rule.script)
			if err == nil {
				t.Fatal("the property holds: the model does not see this rule")
			}
			t.Logf("%v\n%s", err, trace)
			if trace, err := play(sabotage{}, rule.script); err != nil {
				t.Errorf("with the rule: %v\n%s", err, trace)
			}
		})
	}
}

// The scripts need not be known: random ones find each hole.
func TestModel_random_scripts_find_the_hole_when_a_rule_is_taken_out(t *testing.T) {
	if !long() {
		t.Skip("for longer runs: give -rapid.checks more than 100")
	}
	for _, rule := range rules {
		t.Run(rule.name, func(t *testing.T) {
			t.Parallel()
			seed, found, err := search(rule.sabotage)
			if err == nil {
				t.Fatalf("the property was not broken by %d scripts", tries)
			}
			t.Logf("script %d: %v\n%#v", seed, err, shrunken(rule.sabotage, found))
		})
	}
}

const tries = 1000

// search plays scripts until one breaks the property.
func search(s sabotage) (seed int, found []op, err error) {
	kinds := [][]string{usual, crashes, losses}
	if s.hiddenRestore {
		kinds = append(kinds, history)
	}
	if s.sameVersions || s.lateVersions {
		kinds = append(kinds, history, people, people)
	}
	scripts := script(kinds...)
	for seed := range tries {
		ops := scripts.Example(seed)
		if _, err := play(s, ops); err != nil {
			return seed, ops, err
		}
	}
	return tries, nil, nil
}

// shrunken takes out of a script what is not needed to break the property.
func shrunken(s sabotage, ops []op) []op {
	for size := len(ops) / 2; size > 0; size /= 2 {
		for at := 0; at+size <= len(ops); {
			without := append(append([]op(nil), ops[:at]...), ops[at+size:]...)
			if _, err := play(s, without); err != nil {
				ops = without
			} else {
				at += size
			}
		}
	}
	return ops
}

func TestModel_instant_has_two_clocks(t *testing.T) {
	a, b := instant(time.Minute, time.Hour), instant(3*time.Minute, 2*time.Hour)
	if d := b.Sub(a); d != time.Hour {
		t.Errorf("monotonic difference %v, want 1h", d)
	}
	if d := b.Round(0).Sub(a.Round(0)); d != 2*time.Minute {
		t.Errorf("wall difference %v, want 2m", d)
	}
	if got := fmt.Sprint(a.Unix() - beginning); got != "60" {
		t.Errorf("wall clock at %s s, want 60", got)
	}
}
