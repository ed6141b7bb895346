package revocation

import "testing"

func TestFollower_a_replay_that_would_take_long_gives_way_to_repair(t *testing.T) {
	for _, c := range []struct {
		name       string
		before, at Position
		want       bool
	}{
		{"nothing is missing as far as is known", Position{}, Position{Epoch: 1}, false},
		{"it hangs", Position{Epoch: 1, Applied: 5, Head: 9}, Position{Epoch: 1, Applied: 5, Head: 9}, true},
		{"a third is done", Position{}, Position{Epoch: 1, Applied: 30, Head: 90}, false},
		{"less than a third is done", Position{}, Position{Epoch: 1, Applied: 29, Head: 90}, true},
		{"it has become slow", Position{Epoch: 1, Applied: 50, Head: 90}, Position{Epoch: 1, Applied: 60, Head: 90}, true},
		{"it goes on as fast", Position{Epoch: 1, Applied: 30, Head: 90}, Position{Epoch: 1, Applied: 60, Head: 90}, false},
		{"an epoch began", Position{Epoch: 1, Applied: 80, Head: 90}, Position{Epoch: 2, Applied: 30, Head: 90}, false},
		{"an epoch began, and brings little", Position{Epoch: 1, Applied: 80, Head: 90}, Position{Epoch: 2, Applied: 3, Head: 90}, true},
	} {
		if got := tooSlow(c.before, c.at); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}
