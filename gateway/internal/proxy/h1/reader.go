package h1

import (
	"bytes"
	"errors"
	"io"
	"sync"
)

const (
	// bufferSize is how much memory a call has for what comes, and for a body, at
	// once.
	bufferSize = 32 << 10
	// headSize is how much it has for the head of a request, while it waits.
	headSize = 8 << 10
)

// memory and headMemory lend buffers to calls. A buffer that has grown is not
// taken back.
var (
	memory     = sync.Pool{New: func() any { return new([bufferSize]byte) }}
	headMemory = sync.Pool{New: func() any { return new([headSize]byte) }}
)

func lend() []byte {
	array, _ := memory.Get().(*[bufferSize]byte) // it holds nothing else
	return array[:]
}

func lendForHead() []byte {
	array, _ := headMemory.Get().(*[headSize]byte) // likewise
	return array[:]
}

func giveBack(p []byte) {
	switch cap(p) {
	case bufferSize:
		memory.Put((*[bufferSize]byte)(p[:bufferSize]))
	case headSize:
		headMemory.Put((*[headSize]byte)(p[:headSize]))
	}
}

// reader holds what has come on a connection and was not taken yet, which is
// buf[r:w]. It has memory from the time that something comes.
type reader struct {
	src    io.Reader
	probe  *probe // of src, if that is better at receiving; else nil
	buf    []byte // nil while there is none
	r, w   int
	waiter Waiter // is told before more is waited for; may be nil
}

func (in *reader) buffered() int { return in.w - in.r }

// fill waits for more and adds it to what is there. It makes room up to limit
// bytes, beyond which there is none.
func (in *reader) fill(limit int) error {
	if in.r == in.w {
		in.r, in.w = 0, 0
	}
	if in.buf != nil && in.w == len(in.buf) {
		if in.r > 0 {
			in.w = copy(in.buf, in.buf[in.r:in.w])
			in.r = 0
		} else {
			if len(in.buf) >= limit {
				return io.ErrShortBuffer
			}
			grown := make([]byte, min(2*len(in.buf), limit))
			copy(grown, in.buf)
			giveBack(in.buf)
			in.buf = grown
		}
	}
	if in.probe != nil {
		return in.probe.receive(in)
	}
	if in.buf == nil {
		in.buf = lend()
	}
	n, err := in.src.Read(in.buf[in.w:])
	in.w += n
	if n > 0 {
		return nil
	}
	if err == nil {
		return io.ErrNoProgress
	}
	return err //nolint:wrapcheck // the caller says what it was reading
}

// drop gives the memory back.
func (in *reader) drop() {
	giveBack(in.buf)
	in.buf = nil
}

// line takes a line of at most limit bytes, without its CRLF. It is valid
// until the next call. What is wrong with a line is bad.
func (in *reader) line(limit int, bad error) ([]byte, error) {
	seen := 0
	for {
		pending := in.buf[in.r:in.w]
		if i := bytes.IndexByte(pending[seen:], '\n'); i >= 0 {
			end := seen + i
			if end == 0 || pending[end-1] != '\r' || end-1 > limit {
				return nil, bad
			}
			in.r += end + 1
			return pending[:end-1], nil
		}
		seen = len(pending)
		if seen > limit+1 {
			return nil, bad
		}
		if err := in.more(); err != nil {
			return nil, err
		}
	}
}

// expectCRLF takes the end of a line.
func (in *reader) expectCRLF() error {
	for in.buffered() < 2 {
		if in.buffered() == 1 && in.buf[in.r] != '\r' {
			return errChunk
		}
		if err := in.more(); err != nil {
			return err
		}
	}
	if in.buf[in.r] != '\r' || in.buf[in.r+1] != '\n' {
		return errChunk
	}
	in.r += 2
	return nil
}

// more waits for more of something that has not come to its end.
func (in *reader) more() error {
	err := in.await(in.waiter, bufferSize)
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// await waits for more, and says so first.
func (in *reader) await(waiter Waiter, limit int) error {
	if waiter != nil {
		if err := waiter.Wait(); err != nil {
			return err //nolint:wrapcheck // it is the caller's own
		}
	}
	return in.fill(limit)
}
