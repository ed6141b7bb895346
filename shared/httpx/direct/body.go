package direct

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"syscall"

	"gatehouse.internal/shared/httpx/sockio"
)

// body is the body of one request, whose length is known. It reads what has
// come with the head and then the socket, into its reader's memory, and never
// a byte that is not its own: what stands behind it is the next request.
//
// Others than the handler may read it, also while the handler returns. After
// end nobody touches the connection.
type body struct {
	conn   *conn
	answer *answer
	left   atomic.Int64 // what was not read yet; is written under mu

	mu     sync.Mutex // held while somebody reads, and waits
	closed bool
	failed error // for good

	into    []byte                // is read into
	got     int                   // so many bytes
	cause   error                 // why there are no more
	patient bool                  // it is worth waiting for
	waited  bool                  // that was done
	take    func(fd uintptr) bool // takeIn, made once
}

func newBody(c *conn, a *answer, length int64) *body {
	b := &body{conn: c, answer: a}
	b.left.Store(length)
	b.take = b.takeIn
	return b
}

// over reports whether all of the body was read.
func (b *body) over() bool { return b.left.Load() == 0 }

// Read reads on. The last bytes come with io.EOF; a client that has sent less
// than it has announced is io.ErrUnexpectedEOF.
func (b *body) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return 0, http.ErrBodyReadAfterClose
	}
	return b.read(p)
}

// Close refuses further reads. What is left is seen to after the handler.
func (b *body) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	return nil
}

// read is Read for who holds the lock.
func (b *body) read(p []byte) (int, error) {
	left := b.left.Load()
	switch {
	case left == 0:
		return 0, io.EOF
	case b.failed != nil:
		return 0, b.failed
	case len(p) == 0:
		return 0, nil
	}
	c := b.conn
	p = p[:min(int64(len(p)), left)]
	n := copy(p, c.in[c.r:c.w])
	if n > 0 {
		c.take(n)
	}
	var err error
	if n < len(p) {
		var more int
		more, err = b.receive(p[n:], n == 0)
		n += more
	}
	left -= int64(n)
	b.left.Store(left)
	if left == 0 {
		err = io.EOF
	}
	return n, err
}

// receive reads from the socket: what is there, or with wait at least
// something. A time that is over is an error for whoever waits only. As by
// net/http, the request ends with any error.
func (b *body) receive(p []byte, wait bool) (int, error) {
	if b.answer.expired() {
		if !wait {
			return 0, nil
		}
		b.answer.ctx.end()
		return 0, errSlowBody
	}
	b.into, b.got, b.cause, b.patient, b.waited = p, 0, nil, wait, false
	err := b.conn.raw.Read(b.take)
	b.into = nil
	if b.waited {
		b.answer.waited()
	}
	switch {
	case err == nil && b.cause == nil:
		return b.got, nil
	case err != nil && !wait: // the next read will see
		return 0, nil
	case err != nil:
		b.answer.ctx.end()
		return 0, fmt.Errorf("read the request's body: %w", err)
	}
	b.answer.ctx.end()
	b.failed = fmt.Errorf("read the request's body: %w", b.cause)
	return 0, b.failed
}

// takeIn reads from the descriptor, for raw.Read.
func (b *body) takeIn(fd uintptr) bool {
	n, err := sockio.Read(fd, b.into)
	switch {
	case errors.Is(err, syscall.EAGAIN):
		if b.patient && !b.waited {
			b.waited = true
			b.answer.waits()
		}
		return !b.patient
	case err == nil && n == 0:
		err = io.ErrUnexpectedEOF
	}
	b.got, b.cause = n, err
	return true
}
