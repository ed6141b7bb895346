package figures

import (
	"cmp"
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

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

// askPatience is how long a broker may take to answer before it is asked again.
const askPatience = 500 * time.Millisecond

// readable is true if a reader of the stream can begin, as a gateway that starts
// wants to.
func readable(ctx context.Context, b *bus.Bus) bool {
	ctx, cancel := context.WithTimeout(ctx, askPatience)
	defer cancel()
	began := errors.New("it can be read")
	err := b.Replay(ctx, b.Subjects().RevocationStream(), func([]byte) error { return began })
	return err == nil || errors.Is(err, began)
}

// inStream reads which numbers of an epoch the stream holds, message by message,
// for which the brokers need no reader. Nobody forges here: the signatures are
// not looked at.
func inStream(ctx context.Context, b *bus.Bus, epoch uint64) ([]span, error) {
	ctx, cancel := context.WithTimeout(ctx, askPatience)
	defer cancel()
	name := b.Subjects().RevocationStream()
	extent, err := b.StreamExtent(ctx, name, bus.Extent{})
	if err != nil {
		return nil, err
	}
	var out []span
	for n := extent.First; n <= extent.Last; n++ {
		data, found, err := b.MessageInStream(ctx, name, n)
		if err != nil {
			return nil, err
		}
		if !found {
			continue
		}
		const fixed = 2 // bytes: the version, and the length of the name of the key
		if len(data) < fixed || len(data) < fixed+int(data[1])+ed25519.SignatureSize {
			return nil, fmt.Errorf("a message of %d bytes is no batch", len(data))
		}
		batch, err := contract.DecodeBatch(data[fixed+int(data[1])+ed25519.SignatureSize:])
		if err != nil {
			return nil, err
		}
		if batch.Epoch == epoch && len(batch.Entries) > 0 {
			out = append(out, span{batch.First, batch.Last()})
		}
	}
	return out, nil
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
