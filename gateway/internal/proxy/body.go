package proxy

import (
	"errors"
	"io"
	"net/http"
	"os"
	"sync"
	"time"

	"gatehouse.internal/shared/fault"
)

// The patience with a client that sends a body. It may pause for bodyPause,
// and after bodyGrace it must have kept up bodyRate on the average.
const (
	bodyPause = 30 * time.Second
	bodyGrace = 60 * time.Second
	bodyRate  = 1 << 10 // bytes per second
)

var (
	errBodyTooLarge = fault.New(fault.PayloadTooLarge, "The body is larger than this route takes.")
	errBodyOver     = errors.New("read of a request body after its exchange has ended")
)

// clientBody is the body of a client's request on its way to the upstream. It
// counts the bytes, keeps a deadline on the client, and remembers whether it
// was the client who failed, so that the upstream is not blamed.
type clientBody struct {
	src     io.Reader
	client  *http.ResponseController
	limit   int64 // 0 is unlimited
	started time.Time
	patient bool // a stream, which may be silent
	ends    bool // Close ends a read that is under way

	mu      sync.Mutex // reads run in the transport
	over    sync.Cond  // of mu: a read is
	reading bool
	touched bool // a read has begun
	read    int64
	whole   bool  // nothing more is to come
	err     error // what the client did wrong
	closed  bool
	ended   bool // a read, by Close
}

// open makes the body that of a client, who sends it by src.
func (b *clientBody) open(src io.Reader, client *http.ResponseController, limit int64, started time.Time) {
	b.src, b.client, b.limit, b.started = src, client, limit, started
	b.over.L = &b.mu
}

// Read reads on. It never gives more than the limit.
func (b *clientBody) Read(p []byte) (int, error) {
	room, err := b.room(len(p))
	if err != nil {
		return 0, err
	}
	n, err := b.src.Read(p[:room])
	return b.took(n, err)
}

// room says how much may be read next, and sets the client a deadline for it.
// The lock is not held while the client is waited for.
func (b *clientBody) room(want int) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return 0, errBodyOver
	}
	if b.err != nil {
		return 0, b.err
	}
	if b.limit > 0 {
		want = int(min(int64(want), b.limit-b.read+1)) // one more byte tells whether there is more
	}
	if !b.patient {
		_ = b.client.SetReadDeadline(b.deadline(time.Now())) // where there are no deadlines, the limit remains
	}
	b.reading, b.touched = true, true
	return want, nil
}

func (b *clientBody) took(n int, err error) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.reading = false
	b.over.Broadcast()
	b.read += int64(n)
	if b.limit > 0 && b.read > b.limit {
		b.err = errBodyTooLarge
		return 0, b.err
	}
	switch {
	case err == nil:
	case errors.Is(err, io.EOF):
		// From now on the server watches whether the client goes away, which
		// must not end at the deadline of the body. After any other error the
		// deadline stays: what is left of the body is not waited for.
		b.whole = true
		if !b.closed {
			_ = b.client.SetReadDeadline(time.Time{})
		}
	case b.closed:
		return 0, errBodyOver
	case b.err != nil: // it was refused, and that is why
		return 0, b.err
	default:
		b.err = clientFault(err)
		err = b.err
	}
	return n, err
}

// refuse ends the body for a reason that the client is told.
func (b *clientBody) refuse(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return
	}
	if b.err == nil {
		b.err = err
	}
	_ = b.client.SetReadDeadline(time.Unix(1, 0)) // nothing more is waited for
}

// deadline is until when the next bytes must have come.
func (b *clientBody) deadline(now time.Time) time.Time {
	pause := now.Add(bodyPause)
	average := b.started.Add(bodyGrace + time.Duration(b.read/bodyRate)*time.Second)
	if average.Before(pause) {
		return average
	}
	return pause
}

// clientFault tells the client what it did wrong; the parser's own words go to
// the log.
func clientFault(err error) error {
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return fault.Wrap(fault.Malformed, "The body of the request did not arrive in time.", err)
	}
	return fault.Wrap(fault.Malformed, "The body of the request is malformed or incomplete.", err)
}

// Close is the transport's. net/http's HTTP/2 waits until the read that is
// under way is over, which Close must end, and begins none after: the client
// may have nothing more to say. The exchange ends every body with end.
func (b *clientBody) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ends && !b.whole {
		b.closed = true
		if b.reading {
			b.ended = true
			_ = b.client.SetReadDeadline(time.Unix(1, 0))
		}
	}
	return nil
}

// endedByClose reports whether Close has ended a read, and with it the client's
// request.
func (b *clientBody) endedByClose() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.ended
}

// again opens a body once more that a transport has closed without having read
// from it, as one that cannot connect does: another target may get it.
func (b *clientBody) again() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.touched {
		b.closed = false
	}
}

// end refuses further reads. With wait it ends one that is under way and waits
// for it; else that goes on until the rest of the body has come or is given up.
func (b *clientBody) end(wait bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	if !wait || !b.reading || b.client.SetReadDeadline(time.Unix(1, 0)) != nil {
		return
	}
	for b.reading {
		b.over.Wait()
	}
}

// unread reports whether there is a body that has not been read to its end.
func (b *clientBody) unread() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.src != nil && !b.whole
}

func (b *clientBody) fault() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.err
}
