package gatewayapp

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

func TestPercentFor(t *testing.T) {
	for live, want := range map[uint64]int{0: 600, 1 << 20: 600, 5 << 20: 600, 8 << 20: 400, 12 << 20: 266, 16 << 20: 200, 1 << 30: 200, 1 << 62: 200} {
		if got := percentFor(live); got != want {
			t.Errorf("%d bytes: %d, want %d", live, got, want)
		}
	}
}

func TestPacer_follows_what_lives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lives := []uint64{4 << 20, 16 << 20, 15 << 20, 17 << 20, 8 << 20, 8<<20 + 1<<18, 1 << 20}
		var set []int
		ctx, stop := context.WithTimeout(t.Context(), time.Duration(len(lives))*paceInterval+paceInterval/2)
		defer stop()
		p := &pacer{set: func(percent int) { set = append(set, percent) }, live: func() uint64 {
			next := lives[0]
			lives = lives[1:]
			return next
		}}
		if err := p.run(ctx); err != nil {
			t.Error(err)
		}
		if want := []int{200, 400, 600}; !slices.Equal(set, want) || len(lives) > 0 {
			t.Errorf("set %v, want %v; %d were not asked for", set, want, len(lives))
		}
	})
}

func TestPacer_reads_what_lives(t *testing.T) {
	if live := newPacer().live(); live == 0 || live > 1<<40 {
		t.Errorf("%d bytes", live)
	}
}
