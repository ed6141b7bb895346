package bus

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"gatehouse.internal/shared/fault"
)

// Headers of a dead letter.
const (
	headerDeadSubject = "Gatehouse-Subject"
	headerDeadKind    = "Gatehouse-Fault-Kind"
)

// Bounds of the stream of dead letters.
const (
	deadMaxAge   = 30 * 24 * time.Hour
	deadMaxBytes = 64 << 20
)

// storeDead copies a message to the dead letters of a consumer. The cause's
// text stays in the log: it may say more than those who read the letters
// should know.
func (b *Bus) storeDead(ctx context.Context, consumer string, msg jetstream.Msg, cause error) error {
	ctx, cancel := withCallTimeout(ctx)
	defer cancel()
	letter := nats.NewMsg(b.subjects.Dead(consumer))
	letter.Data = msg.Data()
	letter.Header.Set(headerDeadSubject, msg.Subject())
	letter.Header.Set(headerDeadKind, string(fault.KindOf(cause)))
	// The same letter twice is one. Its id comes from its content, because
	// sequence numbers start anew with a stream.
	sum := sha256.Sum256(append([]byte(letter.Subject+"\x00"+msg.Subject()+"\x00"), msg.Data()...))
	// Made only if it is not there: not everyone may make streams.
	b.remember(b.deadStream())
	return b.store(ctx, letter, hex.EncodeToString(sum[:16]))
}

func (b *Bus) deadStream() Stream {
	return Stream{
		Name:     b.subjects.DeadStream(),
		Subjects: []string{b.subjects.AllDead()},
		MaxAge:   deadMaxAge,
		MaxBytes: deadMaxBytes,
		Replicas: b.replicas,
	}
}
