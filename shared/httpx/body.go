package httpx

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"gatehouse.internal/shared/fault"
)

// DefaultMaxBody bounds request bodies when Options says nothing.
const DefaultMaxBody = 1 << 20

// How much is read, and for how long, of a body that was refused, so that a
// client that is still writing it gets to see the answer instead of a reset
// connection; and for how long of one that nobody wanted.
const (
	drainBytes = 8 << 20
	drainTime  = 2 * time.Second
	restTime   = 3 * time.Second
)

// LimitBody bounds the body of r. It fails at once, with PayloadTooLarge, if
// the client announces more than limit bytes; a client that announces less, or
// nothing, gets the same failure from the Read that goes past the limit.
func LimitBody(r *http.Request, limit int64) error {
	if r.ContentLength > limit {
		return tooLargeBody(limit)
	}
	if r.Body != nil && r.Body != http.NoBody {
		r.Body = &limitedBody{ReadCloser: r.Body, limit: limit, left: limit}
	}
	return nil
}

func tooLargeBody(limit int64) error {
	return fault.New(fault.PayloadTooLarge, fmt.Sprintf("The body is larger than %d bytes.", limit))
}

// limitedBody fails on the first byte past its limit.
type limitedBody struct {
	io.ReadCloser
	limit, left int64
	err         error
}

// Read reads up to the limit, and one byte more to know whether there is one.
func (b *limitedBody) Read(p []byte) (int, error) {
	if b.err != nil || len(p) == 0 {
		return 0, b.err
	}
	if int64(len(p)) > b.left+1 {
		p = p[:b.left+1]
	}
	n, err := b.ReadCloser.Read(p)
	if int64(n) > b.left {
		n, err = int(b.left), tooLargeBody(b.limit)
	}
	b.left -= int64(n)
	b.err = err
	return n, err
}

// unlimited gives the body below the limit, for draining it.
func unlimited(body io.ReadCloser) io.ReadCloser {
	if limited, ok := body.(*limitedBody); ok {
		return unlimited(limited.ReadCloser)
	}
	return body
}

// boundRest bounds how long a client may take to send the rest of a body that
// nobody reads. net/http reads up to 256 KiB of it, so that the connection can
// be used again, and would wait for ever. It sets a new deadline itself before
// it waits for the next request.
func boundRest(w http.ResponseWriter, r *http.Request) {
	if r.ProtoMajor == 1 && r.ContentLength != 0 {
		// What cannot have a deadline, like a test's recorder, does not wait.
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(restTime))
	}
}

// boundAnswer bounds how long a client of HTTP/2 may leave what is left of an
// answer unread, by giving its stream no room. In HTTP/1.1 the connection finds
// that out; here others use it, and it looks well.
func boundAnswer(w http.ResponseWriter, r *http.Request) {
	if r.ProtoMajor != 2 {
		return
	}
	if s := serverOf(r.Context()); s != nil {
		_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(s.limits.Stall)) // always supported by HTTP/2
	}
}

// refuseBody answers a request whose body is too large and closes the
// connection. net/http would read up to 256 KiB before it sends the answer, so
// a client that stalls would wait for ever; here the answer goes out first and
// a bounded rest is read after it.
func refuseBody(w http.ResponseWriter, r *http.Request, status int, body []byte) {
	control := http.NewResponseController(w)
	duplexErr := control.EnableFullDuplex() // not supported by HTTP/2, which needs none
	if r.ProtoMajor == 1 {
		w.Header().Set("Connection", "close")
	}
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(body)
	}
	_ = control.Flush()
	if r.Body == nil || r.ProtoMajor != 1 || r.Header.Get("Expect") != "" || duplexErr != nil {
		return
	}
	if err := control.SetReadDeadline(time.Now().Add(drainTime)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return
	}
	_, _ = io.CopyN(io.Discard, unlimited(r.Body), drainBytes)
}
