package upstream

import (
	"strings"
	"testing"
)

func TestSet_Weights(t *testing.T) {
	t.Run("turns are in proportion, and far apart", func(t *testing.T) {
		for _, c := range []struct {
			weights []int
			want    string
		}{
			{nil, "abc"},
			{[]int{7, 7, 7}, "abc"},
			{[]int{5, 1, 1}, "aabacaa"},
			{[]int{20, 40, 60}, "cbacbc"},
		} {
			var order []string
			for _, target := range open(t, &clock{}, Settings{Targets: three(), Weights: c.weights}).turns {
				order = append(order, target.URL.Hostname())
			}
			if got := strings.Join(order, ""); got != c.want {
				t.Errorf("%v: %s, want %s", c.weights, got, c.want)
			}
		}
	})
	t.Run("each balance keeps to them", func(t *testing.T) {
		for _, balance := range []Balance{RoundRobin, LeastConn, RandomTwo} {
			got := taken(t, open(t, &clock{}, Settings{Targets: three(), Weights: []int{1, 2, 5}, Balance: balance}), 800)
			for host, want := range map[string]int{"a:1": 100, "b:1": 200, "c:1": 500} {
				if n := got[host]; n < want*8/10 || n > want*12/10 {
					t.Errorf("%s gives %s %d calls of 800, want about %d", balance, host, n, want)
				}
			}
		}
	})
	t.Run("what a target leaves is shared by all others", func(t *testing.T) {
		s := open(t, &clock{}, Settings{Targets: three()})
		s.Targets()[0].sick.Store(true)
		if got := taken(t, s, 100); got["b:1"] != 50 || got["c:1"] != 50 {
			t.Errorf("calls by target: %v", got)
		}
	})
	t.Run("one at its limit leaves the others theirs", func(t *testing.T) {
		for _, balance := range []Balance{RoundRobin, LeastConn, RandomTwo} {
			got := taken(t, open(t, &clock{}, Settings{Targets: three(), Weights: []int{1, 1, 100}, Balance: balance, MaxInFlight: 5}), 15)
			if got["a:1"] != 5 || got["b:1"] != 5 || got["c:1"] != 5 {
				t.Errorf("%s: %v", balance, got)
			}
		}
	})
	t.Run("others than there are, none and too much are refused", func(t *testing.T) {
		for _, weights := range [][]int{{1}, {}, {1, 1, 1, 1}, {0, 1, 1}, {-1, 1, 1}, {1, MaxWeight + 1, 1}} {
			if _, err := New(Settings{Targets: three(), Weights: weights}); err == nil {
				t.Errorf("New took %v", weights)
			}
		}
	})
	t.Run("the state tells", func(t *testing.T) {
		s := open(t, &clock{}, Settings{Targets: three(), Weights: []int{3, 1, 1}})
		if got := s.Targets()[0].State().Weight; got != 3 {
			t.Errorf("weight %d", got)
		}
	})
	t.Run("one target has one turn, whatever it weighs", func(t *testing.T) {
		if got := open(t, &clock{}, Settings{Targets: three()[:1], Weights: []int{100}}).turns; len(got) != 1 {
			t.Errorf("%d turns", len(got))
		}
	})
}
