package sequencer

import (
	"context"
	"errors"
	"slices"
	"time"

	"gatehouse.internal/shared/bus"
	"gatehouse.internal/shared/contract"
	"gatehouse.internal/shared/revocation"
)

// broker is a road: messages to live subscribers, and a stream that may lose
// what it has acknowledged.
type broker struct {
	w      *world
	stream [][]byte
	number uint64            // of the newest message, as the broker counts
	seen   map[string]uint64 // message ids, and their numbers
	copy   [][]byte          // an old copy of the stream's directory
	copied uint64            // the number of its newest message
	losses int               // of all or some of the stream
}

var (
	_       road = (*broker)(nil)
	errRoad      = errors.New("the broker did not answer")
)

// Subjects gives names that matter to nobody here.
func (b *broker) Subjects() contract.Subjects { return contract.Subjects{Prefix: "model"} }

// Publish sends a head to every node and replica.
func (b *broker) Publish(subject string, data []byte) error {
	f := b.w.pause()
	if f == notDone {
		return errRoad
	}
	if subject == b.Subjects().Heads() {
		data = b.w.sabotage.headSent(b.w, data)
		for _, r := range b.w.replicas {
			b.w.send(message{"head to " + r.s.id, r.alive(), func() { r.s.heard(data) }})
		}
		for _, n := range b.w.nodes {
			b.w.send(message{"head to " + n.name, n.alive(), func() { n.head(data) }})
		}
	}
	if f == doneUnsaid {
		return errRoad
	}
	return nil
}

// StoreAsync sends a batch to every node and keeps it in the stream. With the
// fate doneUnsaid the nodes get it, and the stream does not.
func (b *broker) StoreAsync(_, msgID string, data []byte) (func(context.Context) (bus.Receipt, error), error) {
	f := b.w.pause()
	if f == notDone {
		return nil, errRoad
	}
	for _, n := range b.w.nodes {
		b.w.send(message{"batch to " + n.name, n.alive(), func() { n.batch(data, true) }})
	}
	number, duplicate := b.seen[msgID]
	if f == granted && !duplicate {
		b.number++
		number = b.number
		b.seen[msgID] = number
		b.stream = append(b.stream, data)
	}
	return func(context.Context) (bus.Receipt, error) {
		if b.w.pause() != granted || f != granted {
			return bus.Receipt{}, errRoad
		}
		return bus.Receipt{Number: number, Duplicate: duplicate}, nil
	}, nil
}

// EnsureStream has nothing to do.
func (b *broker) EnsureStream(context.Context, bus.Stream) error {
	if b.w.pause() != granted {
		return errRoad
	}
	return nil
}

// StreamExtent tells of each loss as if the stream were a new one: how a loss
// shows otherwise is the bus's own.
func (b *broker) StreamExtent(context.Context, string, bus.Extent) (bus.Extent, error) {
	if b.w.pause() != granted {
		return bus.Extent{}, errRoad
	}
	return bus.Extent{Created: time.Unix(int64(b.losses), 0), First: 1, Last: uint64(len(b.stream))}, nil
}

// LastInStream gives the newest batch.
func (b *broker) LastInStream(context.Context, string, string) ([]byte, bool, error) {
	if b.w.pause() != granted {
		return nil, false, errRoad
	}
	if len(b.stream) == 0 {
		return nil, false, nil
	}
	return b.stream[len(b.stream)-1], true, nil
}

// purge empties the stream, or forks it back to its old copy.
func (b *broker) purge(toCopy bool) {
	b.stream, b.seen = nil, map[string]uint64{}
	b.losses++
	if toCopy {
		b.stream, b.number = slices.Clone(b.copy), b.copied
	}
}

// lose forgets one message that was acknowledged.
func (b *broker) lose(i int) {
	if len(b.stream) > 0 {
		b.losses++
		b.stream = slices.Delete(b.stream, i%len(b.stream), i%len(b.stream)+1)
	}
}

// modelSigner is the same in every world.
func modelSigner() signer { return theSigner }

var theSigner = newSigner()

// batchIn decodes a sealed batch.
func (w *world) batchIn(sealed []byte) contract.Batch {
	b, err := contract.DecodeBatch(w.open(revocation.PurposeBatch, sealed))
	if err != nil {
		panic(err)
	}
	return b
}
