package bus

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Stream says what a stream keeps and for how long. When a limit is reached
// the oldest messages go.
type Stream struct {
	Name       string
	Subjects   []string
	MaxAge     time.Duration // 0: no limit
	MaxBytes   int64         // 0: no limit
	Duplicates time.Duration // how long message ids are remembered; 0: 2 minutes
	Replicas   int           // 0: as the bus is configured
}

func (s Stream) config() jetstream.StreamConfig {
	config := jetstream.StreamConfig{
		Name:       s.Name,
		Subjects:   s.Subjects,
		MaxAge:     s.MaxAge,
		MaxBytes:   s.MaxBytes,
		Duplicates: s.Duplicates,
		Replicas:   max(1, s.Replicas),
		Storage:    jetstream.FileStorage,
		Discard:    jetstream.DiscardOld,
	}
	if config.MaxBytes == 0 {
		config.MaxBytes = -1
	}
	if config.Duplicates == 0 {
		config.Duplicates = 2 * time.Minute
		if s.MaxAge > 0 { // the server wants it no longer than the age
			config.Duplicates = min(config.Duplicates, s.MaxAge)
		}
	}
	return config
}

// EnsureStream creates the stream or gives it these settings. The bus
// remembers it, and makes it again when Store or Consume find it gone.
func (b *Bus) EnsureStream(ctx context.Context, s Stream) error {
	ctx, cancel := withCallTimeout(ctx)
	defer cancel()
	s.Replicas = cmp.Or(s.Replicas, b.replicas)
	b.remember(s)
	return b.ensure(ctx, s)
}

// remember has the stream made when it is found gone.
func (b *Bus) remember(s Stream) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.streams[s.Name] = s
}

func (b *Bus) ensure(ctx context.Context, s Stream) error {
	if !b.connected.Load() {
		return b.failure("ensure stream "+s.Name, nats.ErrDisconnected)
	}
	// To create what is there already with the same settings costs the server
	// nothing; an update has it written to disk each time.
	_, err := b.js.CreateStream(ctx, s.config())
	if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
		_, err = b.js.UpdateStream(ctx, s.config())
	}
	return b.failure("ensure stream "+s.Name, err)
}

// restoreStreams makes sure that the streams ensured through this bus exist.
func (b *Bus) restoreStreams(ctx context.Context) error {
	b.mu.Lock()
	streams := make([]Stream, 0, len(b.streams))
	for _, s := range b.streams {
		streams = append(streams, s)
	}
	b.mu.Unlock()
	var errs []error
	for _, s := range streams {
		errs = append(errs, b.ensure(ctx, s))
	}
	return errors.Join(errs...)
}

// LastInStream gives the newest message of a subject in a stream, and false if
// there is none. A stream that does not exist is an error of kind
// fault.NotFound.
func (b *Bus) LastInStream(ctx context.Context, stream, subject string) ([]byte, bool, error) {
	ctx, cancel := withCallTimeout(ctx)
	defer cancel()
	attempted := fmt.Sprintf("read the last message of stream %s", stream)
	if !b.connected.Load() {
		return nil, false, b.failure(attempted, nats.ErrDisconnected)
	}
	s, err := b.js.Stream(ctx, stream)
	if err != nil {
		return nil, false, b.failure(attempted, err)
	}
	msg, err := s.GetLastMsgForSubject(ctx, subject)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, b.failure(attempted, err)
	}
	return msg.Data, true, nil
}

// MessageInStream gives the message with a number of the broker's, and false if
// the stream does not have it. A stream that does not exist is an error of kind
// fault.NotFound.
func (b *Bus) MessageInStream(ctx context.Context, stream string, number uint64) ([]byte, bool, error) {
	ctx, cancel := withCallTimeout(ctx)
	defer cancel()
	attempted := fmt.Sprintf("read message %d of stream %s", number, stream)
	if !b.connected.Load() {
		return nil, false, b.failure(attempted, nats.ErrDisconnected)
	}
	s, err := b.js.Stream(ctx, stream)
	if err != nil {
		return nil, false, b.failure(attempted, err)
	}
	msg, err := s.GetMsg(ctx, number)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, b.failure(attempted, err)
	}
	return msg.Data, true, nil
}

// Extent is how far a stream reaches, in the broker's sequence numbers. What
// the stream has lost shows in two of them.
type Extent struct {
	Created     time.Time // another one made again under the same name differs
	First, Last uint64    // First is Last+1 in an empty stream
	FirstTime   time.Time // when First was stored; the time of Asked in an empty stream
	LastTime    time.Time // when Last was stored
	Deleted     int       // messages missing between First and Last
	Forked      bool      // in the place of the last message of an earlier extent is another one
	Asked       time.Time // when the broker was asked; all times are by its clock
}

// StreamExtent gives the extent of a stream, and whether it has forked since it
// had an earlier extent, if that is not zero. A stream that does not exist is an
// error of kind fault.NotFound.
func (b *Bus) StreamExtent(ctx context.Context, stream string, before Extent) (Extent, error) {
	ctx, cancel := withCallTimeout(ctx)
	defer cancel()
	attempted := "read the extent of stream " + stream
	if !b.connected.Load() {
		return Extent{}, b.failure(attempted, nats.ErrDisconnected)
	}
	s, err := b.js.Stream(ctx, stream)
	if err != nil {
		return Extent{}, b.failure(attempted, err)
	}
	info := s.CachedInfo()
	e := Extent{
		Created: info.Created, First: info.State.FirstSeq, Last: info.State.LastSeq,
		FirstTime: info.State.FirstTime, LastTime: info.State.LastTime, Deleted: info.State.NumDeleted, Asked: info.TimeStamp,
	}
	if info.State.Msgs == 0 {
		e.First, e.FirstTime = e.Last+1, e.Asked
	}
	if before.First <= before.Last && e.First <= before.Last && before.Last <= e.Last {
		msg, err := s.GetMsg(ctx, before.Last)
		if err != nil && !errors.Is(err, jetstream.ErrMsgNotFound) {
			return Extent{}, b.failure(attempted, err)
		}
		e.Forked = err == nil && !msg.Time.Equal(before.LastTime)
	}
	return e, nil
}

// LostSince is true if the stream lacks messages that it had when its extent was
// before, other than those that have come to the age at which the stream lets
// them go. The extent must have been asked for with that one.
func (e *Extent) LostSince(before *Extent, age time.Duration) bool {
	return !e.Created.Equal(before.Created) || e.Last < before.Last || e.Deleted > before.Deleted || e.Forked ||
		e.First > before.First && e.Asked.Sub(before.FirstTime) < age
}

// Same is true if nothing shows that the stream has changed since its extent was
// before. The extent must have been asked for with that one.
func (e *Extent) Same(before *Extent) bool {
	return e.Created.Equal(before.Created) && e.First == before.First && e.Last == before.Last && e.LastTime.Equal(before.LastTime) &&
		e.Deleted == before.Deleted && !e.Forked
}

// DeleteStream deletes a stream and its messages. One that does not exist is
// no error. The bus no longer makes it again.
func (b *Bus) DeleteStream(ctx context.Context, name string) error {
	ctx, cancel := withCallTimeout(ctx)
	defer cancel()
	b.mu.Lock()
	delete(b.streams, name)
	b.mu.Unlock()
	if !b.connected.Load() {
		return b.failure("delete stream "+name, nats.ErrDisconnected)
	}
	err := b.js.DeleteStream(ctx, name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil
	}
	return b.failure("delete stream "+name, err)
}

// PurgeStream deletes all messages of a stream.
func (b *Bus) PurgeStream(ctx context.Context, name string) error {
	ctx, cancel := withCallTimeout(ctx)
	defer cancel()
	if !b.connected.Load() {
		return b.failure("purge stream "+name, nats.ErrDisconnected)
	}
	s, err := b.js.Stream(ctx, name)
	if err == nil {
		err = s.Purge(ctx)
	}
	return b.failure("purge stream "+name, err)
}

// StreamNames lists the streams that exist under the bus's prefix.
func (b *Bus) StreamNames(ctx context.Context) ([]string, error) {
	ctx, cancel := withCallTimeout(ctx)
	defer cancel()
	if !b.connected.Load() {
		return nil, b.failure("list streams", nats.ErrDisconnected)
	}
	lister := b.js.StreamNames(ctx, jetstream.WithStreamListSubject(b.subjects.Prefix+".>"))
	var names []string
	for name := range lister.Name() {
		names = append(names, name)
	}
	return names, b.failure("list streams", lister.Err())
}
