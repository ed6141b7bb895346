package contract

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"time"
)

// BatchVersion is the newest format of Batch that this code understands.
const BatchVersion = 1

// MaxBatchEntries bounds the entries of one batch, so that a message stays far
// below the NATS payload limit of 1 MiB.
const MaxBatchEntries = 8192

// ErrNewerFormat says that a message was made by a newer program than this.
var ErrNewerFormat = errors.New("message has a newer format than this program understands")

// RevocationKind says what an entry revokes.
type RevocationKind byte

// The kinds of revocation.
const (
	RevokeToken     RevocationKind = 1 // one access token, by jti
	RevokeSession   RevocationKind = 2 // every token of a session, by sid
	RevokeUser      RevocationKind = 3 // a user's tokens with a version below MinVersion
	RevokeUserStale RevocationKind = 4 // as RevokeUser, but a refresh gives a good token
	RevokeKey       RevocationKind = 5 // every token signed with a key, by kid
)

// Entry is one revocation. Subject is set for all kinds but RevokeKey, which
// sets KeyID; MinVersion belongs to the user kinds.
type Entry struct {
	Kind       RevocationKind
	Subject    SubjectID
	KeyID      string
	MinVersion uint64
	ExpiresAt  time.Time // when the last token it kills would expire; whole seconds
}

// Batch is a run of consecutive numbers, First to Last, one for each entry.
type Batch struct {
	Epoch     uint64
	First     uint64
	Oldest    uint64    // numbers below no longer matter to anyone
	Committed time.Time // when its oldest entry was written, for measurement
	Entries   []Entry
}

// Last is the number of the last entry. An empty batch ends before it starts.
func (b *Batch) Last() uint64 { return b.First + uint64(len(b.Entries)) - 1 }

// Encode gives the batch in its binary form: a version byte, then unsigned
// varints epoch, first, oldest, committed (Unix microseconds) and count, then
// the entries.
func (b *Batch) Encode() []byte {
	out := make([]byte, 0, 48+len(b.Entries)*24)
	out = append(out, BatchVersion)
	out = binary.AppendUvarint(out, b.Epoch)
	out = binary.AppendUvarint(out, b.First)
	out = binary.AppendUvarint(out, b.Oldest)
	out = binary.AppendUvarint(out, uint64(max(0, b.Committed.UnixMicro())))
	out = binary.AppendUvarint(out, uint64(len(b.Entries)))
	for i := range b.Entries {
		out = b.Entries[i].append(out)
	}
	return out
}

func (e *Entry) append(out []byte) []byte {
	out = append(out, byte(e.Kind))
	if e.Kind == RevokeKey {
		out = binary.AppendUvarint(out, uint64(len(e.KeyID)))
		out = append(out, e.KeyID...)
	} else {
		out = append(out, e.Subject[:]...)
	}
	if e.Kind == RevokeUser || e.Kind == RevokeUserStale {
		out = binary.AppendUvarint(out, e.MinVersion)
	}
	return binary.AppendUvarint(out, uint64(max(0, e.ExpiresAt.Unix())))
}

// DecodeBatch reads what Encode wrote. It returns ErrNewerFormat for a newer
// version or an unknown kind of entry, and another error for anything that
// Encode cannot have written.
func DecodeBatch(data []byte) (Batch, error) {
	r := reader{data: data}
	if version := r.byte(); r.err == nil && version != BatchVersion {
		return Batch{}, fmt.Errorf("batch version %d: %w", version, ErrNewerFormat)
	}
	b := Batch{Epoch: r.uvarint(), First: r.uvarint(), Oldest: r.uvarint()}
	b.Committed = time.UnixMicro(int64(r.atMost(math.MaxInt64))).UTC()
	count := r.uvarint()
	if r.err == nil && (count > MaxBatchEntries || b.First == 0 || b.First+count < b.First) {
		return Batch{}, fmt.Errorf("batch of %d entries from number %d is not possible", count, b.First)
	}
	if r.err == nil && count > uint64(len(r.data))/minEntrySize {
		r.err = errTruncated // before memory is taken for entries that cannot be there
	}
	if r.err != nil {
		return Batch{}, r.err
	}
	b.Entries = make([]Entry, count)
	for i := range b.Entries {
		r.entry(&b.Entries[i])
	}
	if r.err == nil && len(r.data) > 0 {
		r.err = fmt.Errorf("batch has %d bytes too many", len(r.data))
	}
	if r.err != nil {
		return Batch{}, r.err
	}
	return b, nil
}

// Bounds of what Encode can write.
const (
	minEntrySize = 3 // kind, an empty key id, expiry
	maxKeyID     = 1 << 16
	maxUnix      = 1 << 53 // seconds; far beyond any year that time.Time can format
)

// reader takes values off the front of data and keeps the first error.
type reader struct {
	data []byte
	err  error
}

var (
	errTruncated = errors.New("batch is truncated")
	errNumber    = errors.New("batch has an impossible number")
)

func (r *reader) bytes(n uint64) []byte {
	if r.err != nil || n > uint64(len(r.data)) {
		if r.err == nil {
			r.err = errTruncated
		}
		return nil
	}
	out := r.data[:n]
	r.data = r.data[n:]
	return out
}

func (r *reader) byte() byte {
	if b := r.bytes(1); b != nil {
		return b[0]
	}
	return 0
}

func (r *reader) uvarint() uint64 {
	if r.err != nil {
		return 0
	}
	value, n := binary.Uvarint(r.data)
	switch {
	case n == 0:
		r.err = errTruncated
	case n < 0 || n > 1 && r.data[n-1] == 0: // too large, or longer than it need be
		r.err = errNumber
	default:
		r.data = r.data[n:]
		return value
	}
	return 0
}

// atMost reads a number that must not be above limit.
func (r *reader) atMost(limit uint64) uint64 {
	value := r.uvarint()
	if value > limit {
		if r.err == nil {
			r.err = errNumber
		}
		return 0
	}
	return value
}

func (r *reader) entry(e *Entry) {
	e.Kind = RevocationKind(r.byte())
	switch e.Kind {
	case RevokeToken, RevokeSession, RevokeUser, RevokeUserStale:
		copy(e.Subject[:], r.bytes(16))
	case RevokeKey:
		e.KeyID = string(r.bytes(r.atMost(maxKeyID)))
	default:
		if r.err == nil {
			r.err = fmt.Errorf("revocation kind %d: %w", e.Kind, ErrNewerFormat)
		}
		return
	}
	if e.Kind == RevokeUser || e.Kind == RevokeUserStale {
		e.MinVersion = r.uvarint()
	}
	e.ExpiresAt = time.Unix(int64(r.atMost(maxUnix)), 0).UTC()
}
