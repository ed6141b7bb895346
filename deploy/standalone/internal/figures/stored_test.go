package figures

import (
	"cmp"
	"context"
	"crypto/ed25519"
	"fmt"
	"slices"
	"testing"

	"gatehouse.internal/deploy/standalone/internal/chaos/cluster"
	"gatehouse.internal/shared/bus"
	"gatehouse.internal/shared/contract"
	"gatehouse.internal/shared/revocation"
)

// span is a run of numbers, both ends included.
type span struct{ first, last uint64 }

// holds is true if the spans have every number from..to between them.
func holds(spans []span, from, to uint64) bool {
	slices.SortFunc(spans, func(a, b span) int { return cmp.Compare(a.first, b.first) })
	for _, s := range spans {
		if s.first > from {
			return false
		}
		from = max(from, s.last+1)
	}
	return from > to
}

// inStream reads which numbers of an epoch the stream holds, as a gateway that
// starts does. Nobody forges here: the signatures are not looked at.
func inStream(ctx context.Context, b *bus.Bus, epoch uint64) ([]span, error) {
	var out []span
	err := b.Replay(ctx, b.Subjects().RevocationStream(), func(data []byte) error {
		const fixed = 2 // bytes: the version, and the length of the name of the key
		if len(data) < fixed || len(data) < fixed+int(data[1])+ed25519.SignatureSize {
			return fmt.Errorf("a message of %d bytes is no batch", len(data))
		}
		batch, err := contract.DecodeBatch(data[fixed+int(data[1])+ed25519.SignatureSize:])
		if err == nil && batch.Epoch == epoch && len(batch.Entries) > 0 {
			out = append(out, span{batch.First, batch.Last()})
		}
		return err
	})
	return out, err
}

// streamHolds is true if the stream has every revocation that the database has.
func (w *clients) streamHolds(tb testing.TB, b *bus.Bus, oldest uint64, r revoked) bool {
	tb.Helper()
	spans, err := inStream(tb.Context(), b, r.epoch)
	return err == nil && holds(spans, oldest, r.number)
}

// redisHolds is true if Redis says, and proves, that it has come to a
// revocation, and has it and an older one.
func (w *clients) redisHolds(tb testing.TB, sessions []string, r revoked) bool {
	tb.Helper()
	keys := revocation.RedisKeys{Prefix: cluster.Prefix}
	ask := func(command, want string) bool {
		answer, err := w.AskRedis(tb.Context(), command)
		return err == nil && answer == want
	}
	there := ask("HGET "+keys.Head()+" last", fmt.Sprint(r.number)) && ask("HGET "+keys.Head()+" epoch", fmt.Sprint(r.epoch)) && ask("EXISTS "+keys.Proof(), ":1")
	for _, s := range sessions {
		there = there && ask("EXISTS "+keys.ID(contract.ParseSubjectID(s)), ":1")
	}
	return there
}

func TestHolds(t *testing.T) {
	for _, c := range []struct {
		spans []span
		want  bool
	}{
		{[]span{{2, 9}}, true},
		{[]span{{6, 9}, {1, 3}, {3, 7}}, true},
		{[]span{{1, 3}, {5, 9}}, false},
		{[]span{{3, 9}}, false},
		{[]span{{2, 8}}, false},
		{nil, false},
	} {
		if got := holds(slices.Clone(c.spans), 2, 9); got != c.want {
			t.Errorf("%v holds 2 to 9: %v, want %v", c.spans, got, c.want)
		}
	}
}
