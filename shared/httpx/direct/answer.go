package direct

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
)

// maxKept is how much of a body whose length nobody has told is kept back, so
// that a short one gets a Content-Length.
const maxKept = 2 << 10

// answer is the http.ResponseWriter of one request.
type answer struct {
	conn   *conn
	ctx    *turnContext
	upload *body // the request's; nil for none
	method string
	header http.Header

	status    int   // 0 until the head is said
	length    int64 // of the body, as told; -1 if nobody has told
	written   int64
	kept      []byte      // of the body, while its framing is not decided
	framed    bool        // the head is complete, and what follows is the body
	chunked   bool        // the body is
	typed     bool        // nothing needs to be guessed about the body's type
	trailers  []string    // fields that were announced for behind the body
	options   []string    // what the handler says of the connection
	close     bool        // no further request is served on the connection
	err       error       // the client does not take the answer
	over      atomic.Bool // it has been sent, or never will be
	hijacked  bool        // the connection was given away
	duplex    bool        // the answer does not wait for the request's body
	deadlines deadlines
	memory    *[outSize]byte // of the connection's out; nil until there is something to say
}

// outSize is how much of an answer is collected before it is sent.
const outSize = 16 << 10

var outMemory = sync.Pool{New: func() any { return new([outSize]byte) }}

// room gives what goes out, to be added to. While an upstream or the request's
// body is waited for there is nothing, and no memory for it.
func (a *answer) room() []byte {
	if a.memory == nil {
		a.memory, _ = outMemory.Get().(*[outSize]byte) // it holds nothing else
		a.conn.out = a.memory[:0]
	}
	return a.conn.out
}

// giveBack gives back the memory of room, when all is sent.
func (a *answer) giveBack() {
	if a.memory != nil {
		outMemory.Put(a.memory)
		a.memory, a.conn.out = nil, nil
	}
}

// Header is the header that WriteHeader sends, and later that of the trailers.
func (a *answer) Header() http.Header { return a.header }

// TakeHeader has h stand in place of the answer's header, which spares copying
// it. It reports whether it does: not once the head is said.
func (a *answer) TakeHeader(h http.Header) bool {
	if a.over.Load() || a.status != 0 {
		return false
	}
	a.header = h
	return true
}

// WriteHeader says the head. Interim answers (1xx) go out at once.
func (a *answer) WriteHeader(status int) {
	if status < 100 || status > 999 {
		panic(fmt.Sprintf("invalid WriteHeader code %v", status)) // as net/http has it
	}
	if a.over.Load() || a.status != 0 {
		return
	}
	if status < 200 && status != http.StatusSwitchingProtocols {
		a.interim(status)
		return
	}
	a.status = status
	a.close = a.close || status == http.StatusSwitchingProtocols // nobody has asked for that
	a.head()
	if !a.bodyAllowed() {
		a.frame(nil)
	}
}

// bodyAllowed reports whether an answer of this status has a body (RFC 9110
// section 6.4.1).
func (a *answer) bodyAllowed() bool {
	return a.status >= 200 && a.status != http.StatusNoContent && a.status != http.StatusNotModified
}

// Write sends some of the body, or keeps it until there is more to send.
func (a *answer) Write(p []byte) (int, error) {
	if a.over.Load() {
		return 0, errOver
	}
	if a.status == 0 {
		a.WriteHeader(http.StatusOK)
	}
	switch {
	case a.hijacked:
		return 0, http.ErrHijacked
	case len(p) == 0:
		return 0, nil
	case !a.bodyAllowed():
		return 0, http.ErrBodyNotAllowed
	case a.length >= 0 && a.written+int64(len(p)) > a.length:
		return 0, http.ErrContentLength
	}
	a.written += int64(len(p))
	if !a.framed {
		if a.length < 0 && len(a.trailers) == 0 && len(a.kept)+len(p) <= maxKept {
			a.kept = append(a.kept, p...)
			return len(p), nil
		}
		if err := a.decide(p); err != nil {
			return 0, err
		}
	}
	if err := a.body(p); err != nil {
		return 0, err
	}
	return len(p), nil
}

// decide ends the head, and sends what was kept. next is what comes then.
func (a *answer) decide(next []byte) error {
	first := a.kept
	if len(first) == 0 {
		first = next
	}
	a.frame(first)
	err := a.body(a.kept)
	a.kept = nil
	return err
}

// body sends a part of the body in its framing.
func (a *answer) body(p []byte) error {
	if len(p) == 0 || a.method == http.MethodHead {
		return a.err
	}
	if !a.chunked {
		return a.send(p)
	}
	a.conn.out = append(strconv.AppendInt(a.conn.out, int64(len(p)), 16), "\r\n"...)
	if err := a.send(p); err != nil {
		return err
	}
	return a.send(crlf)
}

var crlf = []byte("\r\n")

// send adds to what goes out, and sends that when there is no more room.
func (a *answer) send(p []byte) error {
	c := a.conn
	if len(c.out)+len(p) <= cap(c.out) {
		c.out = append(c.out, p...)
		return a.err
	}
	if err := a.flush(); err != nil {
		return err
	}
	if len(p) < cap(c.out)/2 {
		c.out = append(c.out, p...)
		return nil
	}
	return a.write(p)
}

// flush sends what is kept in the connection's buffer.
func (a *answer) flush() error {
	err := a.write(a.conn.out)
	a.conn.out = a.conn.out[:0]
	return err
}

// write gives bytes to the client. If it does not take them, there is nobody
// to answer any more.
func (a *answer) write(p []byte) error {
	if a.err == nil && len(p) > 0 {
		if _, a.err = a.conn.Write(p); a.err != nil {
			a.ctx.end()
		}
	}
	return a.err
}

// FlushError sends all that there is of the answer.
func (a *answer) FlushError() error {
	if a.over.Load() {
		return errOver
	}
	if a.status == 0 {
		a.WriteHeader(http.StatusOK)
	}
	if !a.framed {
		if err := a.decide(nil); err != nil {
			return err
		}
	}
	return a.flush()
}

// Flush is FlushError for callers of http.Flusher.
func (a *answer) Flush() { _ = a.FlushError() }

// EnableFullDuplex is for http.ResponseController: the answer goes out whether
// or not the request's body was read.
func (a *answer) EnableFullDuplex() error {
	a.duplex = true
	return nil
}

var (
	errUnfinished = errors.New("the answer is shorter than announced")
	errOver       = errors.New("the answer is over, and its handler has returned")
)

// finish ends the answer after its handler has returned.
func (a *answer) finish() error {
	if a.status == 0 {
		a.WriteHeader(http.StatusOK)
	}
	if !a.framed {
		if a.length < 0 && !a.hasTrailers() && (a.method != http.MethodHead || len(a.kept) > 0) {
			a.length = int64(len(a.kept))
		}
		if err := a.decide(nil); err != nil {
			return err
		}
	}
	if a.chunked {
		a.trail()
	}
	if err := a.flush(); err != nil {
		return err
	}
	if a.bodyAllowed() && a.method != http.MethodHead && a.length > a.written {
		return errUnfinished
	}
	return nil
}
