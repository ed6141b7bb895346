package limit

import (
	"fmt"
	"testing"
	"time"
)

func TestLocal_IsBounded(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	l := newLocal(100, func() time.Time { return now })
	rule := Rule{Requests: 1, Per: time.Hour}
	for i := range 10_000 {
		if allowed, _ := l.take(fmt.Sprint(i), rule); !allowed {
			t.Fatalf("caller %d is refused for others", i)
		}
		// A caller who keeps coming is never forgotten.
		if allowed, _ := l.take("busy", rule); allowed != (i == 0) {
			t.Fatalf("after %d others the busy caller got %v", i, allowed)
		}
		if l.size() > 100 {
			t.Fatalf("%d keys are held", l.size())
		}
	}
}
