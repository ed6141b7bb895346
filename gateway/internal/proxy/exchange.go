package proxy

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"gatehouse.internal/gateway/internal/proxy/coding"
	"gatehouse.internal/gateway/internal/proxy/live"
	"gatehouse.internal/gateway/internal/upstream"
	"gatehouse.internal/shared/fault"
)

// progressPause is how long an answer that has begun may stand still, on
// either side. Event streams and switched protocols may be silent for as long
// as they live; but a client that does not take what was sent to it may not.
const progressPause = 60 * time.Second

// longAfter is how long an answer may last before it counts as a long one,
// whose caller is judged again. Event streams and WebSockets do at once.
const longAfter = 500 * time.Millisecond

// maxOutlive bounds how long an answer may outlive its caller's token where
// its route does not end it with that. A session that is ended is noticed; one
// that nobody has used for so long may be gone without anyone having ended it.
const maxOutlive = 24 * time.Hour

// idle is the last movement of an answer for which nothing is waited.
const idle = -1

// exchange is one request on its way to an upstream and back. It is the
// context of the outgoing request and the writer of the answer's body, so that
// all of them are one allocation.
type exchange struct {
	context.Context // of the client's request

	proxy   *Proxy
	client  http.ResponseWriter
	call    *Call
	asked   http.Header // the header of the client's request, as it came
	given   http.Header // what the gateway says beside an upstream's answer; may be nil
	body    clientBody
	url     url.URL // of the outgoing request
	header  *outHeader
	id      [1]string // the request's, for the answer
	target  *upstream.Target
	started time.Time
	http1   bool // the client's request
	http10  bool
	fetch   bool // GET or HEAD, where its answer may be encoded
	part    bool // of the answer was asked for, likewise

	err       error            // what became of it, if no answer was begun
	committed bool             // an answer was begun
	informed  bool             // the client has seen an interim answer
	outcome   upstream.Outcome // what it tells about the target

	answer  io.ReadCloser   // from the upstream
	encoder *coding.Encoder // of the answer; nil for none
	lost    error           // the client does not take the answer
	eager   bool            // what has come goes out at once
	pending bool            // something that has come is held back
	watched bool            // it is looked whether the answer moves
	quiet   bool            // an event stream or the like, which may be silent
	moved   atomic.Int64    // when the answer last moved, since started; or idle
	cut     atomic.Bool     // the answer was ended from here

	mu       sync.Mutex   // guards what follows, which timers and the registry use as well
	watch    *time.Timer  // looks after the answer
	live     *live.Answer // as registered; nil while the answer is no long one
	refused  error        // the request, while its body came
	finished bool
	ending   chan live.Cause // a WebSocket must end
}

// longBody is the size from which a request's body may last, and its caller is
// judged again meanwhile, like that of a long answer.
const longBody = 1 << 20

// expectBody begins to look after a large body of the request, which has its
// own deadlines.
func (x *exchange) expectBody(length int64) {
	if length >= 0 && length <= longBody {
		return
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	x.moved.Store(idle)
	x.watch = time.AfterFunc(longAfter, x.look)
}

// watchOver looks at an answer when it becomes a long one, and from then on
// whether it stands still. One that is over before costs a timer that never
// fires. A request that was refused meanwhile gets no answer but that.
func (x *exchange) watchOver(answer io.ReadCloser) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.refused != nil {
		return x.refused
	}
	x.answer, x.watched = answer, true
	x.moved.Store(int64(time.Since(x.started)))
	if x.quiet {
		x.moved.Store(idle)
	}
	first := min(longAfter, x.proxy.pause)
	if x.watch == nil {
		x.watch = time.AfterFunc(first, x.look)
	} else {
		x.watch.Reset(first)
	}
	return nil
}

// refusedMeanwhile is why the request was refused while its body came.
func (x *exchange) refusedMeanwhile() error {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.refused
}

// look registers an answer that has become a long one, and gives one up that
// stands still, whichever side is the cause.
func (x *exchange) look() {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.finished {
		return
	}
	if x.live == nil {
		x.add(live.Other)
	}
	patience := x.proxy.pause
	if moved := x.moved.Load(); moved != idle {
		patience -= time.Since(x.started) - time.Duration(moved)
	}
	if patience > 0 {
		x.watch.Reset(patience)
		return
	}
	x.cutOff()
}

// register has a long answer end when its caller's session does.
func (x *exchange) register(kind live.Kind) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.live != nil { // it was something else while its body came
		x.proxy.live.Remove(x.live)
	}
	x.add(kind)
}

// add registers the answer; the lock is held.
func (x *exchange) add(kind live.Kind) {
	x.live = &live.Answer{Kind: kind, Claims: x.call.Claims, MaxStaleness: x.call.MaxStaleness, Ender: x}
	if c := x.call.Claims; c != nil {
		x.live.Until = c.ExpiresAt
		if !x.call.EndAtExpiry {
			x.live.Until = c.ExpiresAt.Add(maxOutlive)
		}
	}
	x.proxy.live.Add(x.live)
}

// End ends the answer: a WebSocket with a close frame, any other by cutting it
// off, so that it looks cut off. One that has not begun, while the body of the
// request still comes, is the refusal of the request.
func (x *exchange) End(cause live.Cause) {
	x.mu.Lock()
	defer x.mu.Unlock()
	switch {
	case x.finished:
	case x.ending != nil:
		x.ending <- cause // has room: an answer is told once
	case x.answer == nil:
		x.refused = fault.New(fault.Kind(cause), "While the body of the request came, its caller's session ended or could no longer be judged.")
		x.body.refuse(x.refused)
	default:
		x.cutOff()
	}
}

// cutOff ends the answer on both sides for a reason that is not the
// upstream's. The lock is held and the exchange not finished: the deadline must
// not meet the next request on the client's connection.
func (x *exchange) cutOff() {
	x.cut.Store(true)
	_ = x.answer.Close()
	_ = http.NewResponseController(x.client).SetWriteDeadline(time.Unix(1, 0))
}

var (
	// errTotal is the cause of the end of a request that took too long.
	errTotal   = errors.New("the request took longer than its route allows")
	errOverdue = fault.Wrap(fault.UpstreamTimeout, "The request could not be answered within the time that it has.", errTotal)
)

// limitTotal ends the exchange, whatever it is at, when its time is over. What
// it returns takes that back.
func (x *exchange) limitTotal(total time.Duration) (stop func()) {
	ctx, cancel := context.WithTimeoutCause(x.Context, total, errTotal)
	x.Context = ctx
	stopped := context.AfterFunc(ctx, func() {
		x.mu.Lock()
		defer x.mu.Unlock()
		switch {
		case x.finished:
		case x.answer != nil:
			x.cutOff()
		case x.body.unread(): // it may be the client who is slow
			x.body.refuse(errOverdue)
		}
	})
	return func() { stopped(); cancel() }
}

// overdue reports whether the exchange has used up its time.
func (x *exchange) overdue() bool { return x.Err() != nil && errors.Is(context.Cause(x), errTotal) }

// finish gives back what the exchange holds.
func (x *exchange) finish() {
	x.mu.Lock()
	x.finished = true
	if x.watch != nil {
		x.watch.Stop()
	}
	x.mu.Unlock()
	if x.live != nil {
		x.proxy.live.Remove(x.live)
	}
	if x.encoder != nil {
		x.encoder.End()
	}
	x.body.end(x.committed)
	x.header.giveBack()
	if x.target != nil {
		x.target.Report(x.outcome)
		x.target.Release()
	}
}
