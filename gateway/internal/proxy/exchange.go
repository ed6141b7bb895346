package proxy

import (
	"context"
	"io"
	"net/http"
	"sync/atomic"
	"time"

	"gatehouse.internal/gateway/internal/upstream"
)

// progressPause is how long an answer that has begun may stand still, on
// either side. Event streams and switched protocols may be silent for as long
// as they live; but a client that does not take what was sent to it may not.
const progressPause = 60 * time.Second

// exchange is one request on its way to an upstream and back. It is the
// context of the outgoing request, the writer of the answer, and the body of
// the answer, so that all of them are one allocation.
type exchange struct {
	context.Context // of the client's request

	proxy   *Proxy
	client  http.ResponseWriter
	call    *Call
	given   http.Header // what the gateway says beside an upstream's answer; may be nil
	body    clientBody
	target  *upstream.Target
	started time.Time

	err       error            // what became of it, if no answer was begun
	committed bool             // an answer was begun
	outcome   upstream.Outcome // what it tells about the target

	answer  io.ReadCloser // from the upstream
	quiet   bool          // an event stream
	watch   *time.Timer   // fires when nothing moves
	stalled atomic.Bool
	stream  *stream // as registered
}

type exchangeKey struct{}

// Value finds the exchange itself, for the callbacks of the reverse proxy.
func (x *exchange) Value(key any) any {
	if _, ok := key.(exchangeKey); ok {
		return x
	}
	return x.Context.Value(key)
}

func exchangeOf(r *http.Request) *exchange {
	x, _ := r.Context().Value(exchangeKey{}).(*exchange)
	return x
}

// Header is that of the client's answer.
func (x *exchange) Header() http.Header { return x.client.Header() }

// Unwrap lets http.ResponseController reach the client's writer.
func (x *exchange) Unwrap() http.ResponseWriter { return x.client }

// WriteHeader begins the answer; interim ones do not count.
func (x *exchange) WriteHeader(status int) {
	if status >= 200 {
		x.committed = true
	}
	x.client.WriteHeader(status)
}

// Write gives the client some of the answer, and notes that something moves.
func (x *exchange) Write(p []byte) (int, error) {
	if x.watch == nil {
		return x.client.Write(p)
	}
	x.watch.Reset(x.proxy.pause)
	n, err := x.client.Write(p)
	if x.quiet {
		x.watch.Stop()
	}
	return n, err
}

// Read reads on in the answer. What goes wrong here is the upstream's doing,
// unless we closed it or the client went away.
func (x *exchange) Read(p []byte) (int, error) {
	n, err := x.answer.Read(p)
	if err != nil && err != io.EOF && !x.stalled.Load() && x.Err() == nil {
		x.outcome = upstream.Failed
	}
	return n, err
}

// Close closes the upstream's answer.
func (x *exchange) Close() error { return x.answer.Close() }

// watchProgress begins to watch an answer that has a body.
func (x *exchange) watchProgress() {
	x.watch = time.AfterFunc(x.proxy.pause, x.giveUp)
	if x.quiet {
		x.watch.Stop()
	}
}

// giveUp ends an answer that stands still, whichever side is the cause.
func (x *exchange) giveUp() {
	_ = x.cutOff()
	_ = http.NewResponseController(x.client).SetWriteDeadline(time.Unix(1, 0))
}

// cutOff ends the upstream's answer for a reason that is not the upstream's.
func (x *exchange) cutOff() error {
	x.stalled.Store(true)
	return x.answer.Close()
}

// finish gives back what the exchange holds.
func (x *exchange) finish() {
	if x.watch != nil {
		x.watch.Stop()
	}
	if x.stream != nil {
		x.proxy.streams.remove(x.stream)
	}
	_ = x.body.end()
	if x.target != nil {
		x.target.Report(x.outcome)
		x.target.Release()
	}
}
