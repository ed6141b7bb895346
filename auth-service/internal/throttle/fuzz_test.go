package throttle

import (
	"testing"
	"time"

	"gatehouse.internal/auth-service/internal/auth"
)

// FuzzMemory compares the algorithm with a count by hand: never more than the
// tries of each bound at once, never more than one further in each spacing.
func FuzzMemory(f *testing.F) {
	f.Add(uint16(3), uint16(5), uint32(600), []byte{1, 0, 0, 0, 200, 0, 5})
	f.Add(uint16(1), uint16(100), uint32(60), []byte{0, 255, 1})
	f.Fuzz(func(t *testing.T, tight, wide uint16, seconds uint32, waits []byte) {
		c := &clock{}
		m := newMemory(16, c.now)
		per := time.Duration(seconds%604_800+60) * time.Second
		bounds := []auth.Bound{
			{Key: "tight", Limit: auth.Limit{Tries: int(tight)%1000 + 1, Per: per}},
			{Key: "wide", Limit: auth.Limit{Tries: int(wide)%1000 + 1, Per: 2 * per}},
		}
		passed, started := 0, c.now()
		for _, w := range waits {
			c.advance(spacing(bounds[0]) * time.Duration(w) / 64)
			s := m.take(bounds)
			if s.refused < 0 {
				passed++
			}
			for _, b := range bounds {
				if most := b.Tries + int(c.now().Sub(started)/spacing(b)) + 1; passed > most {
					t.Fatalf("%d passed of %+v", passed, b)
				}
			}
			if s.refused >= 0 {
				c.advance(s.wait)
				if again := m.take(bounds); again.refused >= 0 {
					t.Fatalf("refused again after the wait: %+v, %+v", s, again)
				}
				passed++
			}
		}
	})
}
