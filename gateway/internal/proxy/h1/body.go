package h1

import (
	"errors"
	"fmt"
	"io"
	"math"
	"net/http"
	"sync"
	"time"
)

var errBodyClosed = errors.New("the answer's body was closed")

// Waiter is a writer that wants to know when WriteTo has nothing for it at the
// moment, so that it can send on what it holds.
type Waiter interface {
	Wait() error
}

// Whole is a body that knows whether all of it has come, so that reading it
// waits for nobody.
type Whole interface {
	Whole() bool
}

type bodyKind byte

const (
	counted bodyKind = iota
	chunked
	untilClose
)

// body is the body of an answer. Close may be called at any time, by anyone;
// Read and WriteTo by one caller at a time.
type body struct {
	res  *http.Response
	c    *conn       // nil once it was given back
	in   *reader     // of the connection, or of what was taken from it
	own  reader      // what was taken
	stop func() bool // of the watch on the request's context
	stay time.Duration

	kind   bodyKind
	left   int64 // of a counted body
	chunks chunks

	mu   sync.Mutex
	busy bool  // a read is under way
	err  error // there is nothing more to read
}

// Read reads on. The end of the body comes with its last bytes.
func (b *body) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if err := b.enter(); err != nil {
		return 0, err
	}
	piece, err := b.next(len(p), nil)
	n := copy(p, piece)
	if err == nil && b.kind == counted && b.left == 0 {
		err = io.EOF
	}
	return n, b.leave(err)
}

// WriteTo writes what is left of the body. An error is that of the writer, as
// it is, or of the body.
func (b *body) WriteTo(w io.Writer) (written int64, err error) {
	if err := b.enter(); errors.Is(err, io.EOF) {
		return 0, nil
	} else if err != nil {
		return 0, err
	}
	waiter, _ := w.(Waiter)
	for {
		piece, err := b.next(math.MaxInt, waiter)
		if err == nil {
			var n int
			n, err = w.Write(piece)
			written += int64(n)
		}
		if err != nil {
			if err = b.leave(err); errors.Is(err, io.EOF) {
				err = nil
			}
			return written, err
		}
	}
}

// Whole reports whether all of the body has come.
func (b *body) Whole() bool { return b.in == &b.own }

// enter begins a read.
func (b *body) enter() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err == nil {
		b.busy = true
	}
	return b.err
}

// leave ends a read, and the body if there was an error or it was closed
// meanwhile.
func (b *body) leave(err error) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.busy = false
	if b.err == nil {
		b.err = err
	}
	if b.err != nil {
		b.release(errors.Is(b.err, io.EOF))
	}
	return b.err
}

// Close ends the body. If it was not read to its end, the connection is closed.
func (b *body) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err != nil {
		return nil
	}
	b.err = errBodyClosed
	switch {
	case !b.busy:
		b.release(false)
	case b.c != nil:
		b.c.close() // which ends the read, and that gives back the rest
	}
	return nil
}

// next gives up to limit bytes of the body, which are valid until the next
// call, and waits for them if there are none.
func (b *body) next(limit int, waiter Waiter) ([]byte, error) {
	left := &b.left
	switch b.kind {
	case chunked:
		left = &b.chunks.left
		if err := b.chunk(waiter); err != nil {
			return nil, err
		}
	case untilClose:
		b.left = math.MaxInt64
	case counted:
		if b.left == 0 {
			return nil, io.EOF
		}
	}
	in := b.in
	if in.buffered() == 0 {
		err := in.await(waiter, bufferSize)
		switch {
		case errors.Is(err, io.EOF) && b.kind == untilClose:
			return nil, io.EOF
		case errors.Is(err, io.EOF):
			err = io.ErrUnexpectedEOF
		}
		if err != nil {
			return nil, fmt.Errorf("read the answer's body: %w", err)
		}
	}
	n := int(min(int64(in.buffered()), *left, int64(limit)))
	piece := in.buf[in.r : in.r+n]
	in.r += n
	*left -= int64(n)
	return piece, nil
}

// chunk goes on to the data of a chunk, or to the end of the body and its
// trailer fields.
func (b *body) chunk(waiter Waiter) error {
	b.in.waiter = waiter
	err := b.chunks.next(b.in)
	if !errors.Is(err, io.EOF) {
		if err != nil {
			err = fmt.Errorf("read the answer's body: %w", err)
		}
		return err
	}
	fields, err := trailers(b.in)
	if err != nil {
		return fmt.Errorf("read the answer's trailer fields: %w", err)
	}
	if b.res.Trailer == nil {
		b.res.Trailer = fields
	} else {
		for name, values := range fields {
			b.res.Trailer[name] = values
		}
	}
	return io.EOF
}

// detach takes what is left of the body, all of which is there, off the
// connection and gives that back.
func (b *body) detach() {
	in := &b.c.in
	b.own = reader{buf: in.buf, r: in.r, w: in.r + int(b.left)}
	spare := in.w > b.own.w
	*in = reader{src: in.src, probe: in.probe}
	b.in = &b.own
	b.handBack(!spare)
}

// release gives back the memory and the connection; whole says that the
// answer came to its end.
func (b *body) release(whole bool) {
	in := b.in
	spare := in.buffered() > 0
	in.drop()
	in.r, in.w, in.waiter = 0, 0, nil
	if b.c != nil {
		b.handBack(whole && !spare)
	}
}

// handBack gives back the connection, if it is good for another request.
func (b *body) handBack(good bool) {
	c := b.c
	b.c = nil
	if b.stop != nil && !b.stop() {
		good = false // it is being closed
	}
	if good && b.stay > 0 {
		c.pool.put(c, b.stay)
	} else {
		c.close()
	}
}
