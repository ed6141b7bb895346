package proxy

import (
	"context"
	"math/rand/v2"
	"net/http"
	"slices"
	"time"

	"gatehouse.internal/gateway/internal/upstream"
)

// retryPause is the mean time before a target is asked again that has just
// failed; it doubles with each try.
const retryPause = 25 * time.Millisecond

// roundTrip sends the request to a target. It is sent to another one, once,
// whenever no connection came about; and again as often as the upstream's
// definition and its budget allow, if the first try failed, or was answered
// with a status that counts as failure, and a repetition can do no harm.
func (p *Proxy) roundTrip(x *exchange, out *http.Request) (*http.Response, error) {
	target, err := p.set.Acquire(nil)
	if err != nil {
		return nil, err
	}
	x.target = target
	started := x.started
	for tries := 1; ; tries++ {
		res, err := p.send(x, out, started)
		outcome := x.outcomeOf(res, err)
		if outcome == upstream.Answered || outcome == upstream.Neutral {
			return res, err
		}
		next := p.another(x, out, err, tries)
		if next == nil {
			return res, err
		}
		if res != nil {
			_ = res.Body.Close()
		}
		failed := x.target
		failed.Report(outcome)
		failed.Release()
		x.target = next
		if tries > 1 || !unreachable(err) {
			p.retried(p.name)
		}
		if next == failed && !sleep(x, retryPause<<(tries-1)) {
			return nil, x.Err()
		}
		started = time.Now()
	}
}

// outcomeOf says what a try tells about its target.
func (x *exchange) outcomeOf(res *http.Response, err error) upstream.Outcome {
	switch {
	case err != nil:
		outcome, _ := x.judge(err)
		return outcome
	case slices.Contains(x.proxy.failing, res.StatusCode):
		return upstream.Failed
	}
	return upstream.Answered
}

// another gives the target for a further try, or nil.
func (p *Proxy) another(x *exchange, out *http.Request, err error, tries int) *upstream.Target {
	if x.Err() != nil {
		return nil
	}
	unseen := unreachable(err)
	if unseen && tries == 1 {
		if next, refused := p.set.Acquire(x.target); refused == nil {
			return next
		}
	}
	if tries > p.retries || !unseen && !x.repeatable(out) {
		return nil
	}
	next, refused := p.set.Retry(x.target)
	if refused != nil {
		return nil
	}
	return next
}

// repeatable reports whether a request may be sent to an upstream that may
// have acted on it (RFC 9110 section 9.2.2): its method says that this changes
// nothing, no byte of a body has gone, and the client has seen nothing of an
// answer.
func (x *exchange) repeatable(out *http.Request) bool {
	switch out.Method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodPut, http.MethodDelete:
		return out.Body == nil && !x.informed && len(out.Header["Upgrade"]) == 0
	}
	return false
}

// sleep waits for about the given time, and reports whether ctx lasted.
func sleep(ctx context.Context, mean time.Duration) bool {
	timer := time.NewTimer(mean/2 + rand.N(mean))
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
