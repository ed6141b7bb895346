package coding

import (
	"fmt"
	"io"
	"sync"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
)

// The costs of encoding.
const (
	// MaxEncoders is how many answers are encoded at once.
	MaxEncoders = 64
	gzipLevel   = 5
	// zstdWindow keeps an encoder near a MiB; RFC 9659 allows 8 MiB.
	zstdWindow = 256 << 10
)

// Encoders lends encoders, MaxEncoders at once. It is safe for concurrent use.
type Encoders struct {
	room chan struct{}
	gzip sync.Pool
	zstd sync.Pool
}

// NewEncoders returns a lender.
func NewEncoders() *Encoders { return &Encoders{room: make(chan struct{}, MaxEncoders)} }

// Encoder writes what it gets in a coding. Flush writes all that it holds,
// Close the end as well, and not to what is behind it. End must be called
// exactly once, whatever became of the answer; nothing is written by it.
type Encoder struct {
	writer
	from *Encoders
	home *sync.Pool
}

type writer interface {
	io.WriteCloser
	Flush() error
	Reset(to io.Writer)
}

// Lend gives an encoder that writes to another writer, or nil if none is to
// spare.
func (e *Encoders) Lend(name string, to io.Writer) (*Encoder, error) {
	select {
	case e.room <- struct{}{}:
	default:
		return nil, nil //nolint:nilnil // none to spare is no error
	}
	home, fresh := &e.gzip, newGzip
	if name == Zstd {
		home, fresh = &e.zstd, newZstd
	}
	w, lent := home.Get().(writer)
	if !lent {
		var err error
		if w, err = fresh(); err != nil {
			<-e.room
			return nil, fmt.Errorf("make an encoder for %s: %w", name, err)
		}
	}
	w.Reset(to)
	return &Encoder{writer: w, from: e, home: home}, nil
}

// End gives the encoder back.
func (e *Encoder) End() {
	e.Reset(io.Discard) // which forgets the answer and its reader
	e.home.Put(e.writer)
	<-e.from.room
}

func newGzip() (writer, error) { return gzip.NewWriterLevel(io.Discard, gzipLevel) }

// newZstd makes an encoder that works in the goroutine of its caller.
func newZstd() (writer, error) {
	return zstd.NewWriter(io.Discard, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(zstdWindow), zstd.WithLowerEncoderMem(true))
}
