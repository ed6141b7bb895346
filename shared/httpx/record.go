package httpx

import (
	"context"
	"sync"
)

// record collects what the log says about one request. Handlers and
// middleware of net/http reach it through the context.
type record struct {
	trace  trace
	writer *writer

	mu       sync.Mutex
	route    string
	userID   string
	err      error
	foreign  bool // the answer is an upstream's
	answered bool // a problem document was written
	aborted  bool // the answer must be cut off
}

type recordKey struct{}

func recordFrom(ctx context.Context) *record {
	rec, _ := ctx.Value(recordKey{}).(*record)
	return rec
}

// note changes the record of the request that ctx belongs to, if there is one.
func note(ctx context.Context, change func(rec *record)) {
	rec := recordFrom(ctx)
	if rec == nil {
		return
	}
	rec.mu.Lock()
	defer rec.mu.Unlock()
	change(rec)
}

// LogUser puts the caller's user id into the log record of the request.
func LogUser(ctx context.Context, userID string) {
	note(ctx, func(rec *record) { rec.userID = userID })
}

// LogRoute names the route of the request in its log record and metrics, where
// Echo's own pattern says too little. Names must come from a bounded set.
func LogRoute(ctx context.Context, name string) {
	note(ctx, func(rec *record) { rec.route = name })
}

// PassThrough says that the answer to this request is an upstream's, who is
// the one to decide on its security headers; only HSTS, which speaks for the
// whole origin, is still added to it.
func PassThrough(ctx context.Context) {
	note(ctx, func(rec *record) { rec.foreign = true })
}

// noteError keeps the first failure, which is the cause of any later one.
func noteError(ctx context.Context, err error) {
	note(ctx, func(rec *record) {
		if rec.err == nil {
			rec.err = err
		}
	})
}

// noteAnswer keeps the failure that a problem document is about, and that the
// answer is ours again, whoever was asked before.
func noteAnswer(ctx context.Context, err error) {
	noteError(ctx, err)
	note(ctx, func(rec *record) { rec.answered, rec.foreign = true, false })
}

// noteAbort has an answer cut off that began and cannot be finished. A problem
// document is always whole.
func noteAbort(ctx context.Context) {
	note(ctx, func(rec *record) { rec.aborted = !rec.answered })
}
