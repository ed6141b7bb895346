package httpx

import (
	"context"
	"net/http"
	"sync"

	"gatehouse.internal/shared/contract"
)

// record collects what the log says about one request. It is the context of the
// request, by which handlers and middleware of net/http reach it, and the writer
// of its answer, so that all of it is one piece of memory.
type record struct {
	context.Context // of the server
	trace           trace
	id              string // of the request
	answerID        [1]string
	https           bool
	request         *http.Request // as it came
	writer          writer

	mu       sync.Mutex
	route    string
	userID   string
	err      error
	foreign  bool // the answer is an upstream's
	answered bool // a problem document was written
	aborted  bool // the answer must be cut off
}

type recordKey struct{}

// Value finds the record and the request's id beside what the server has to say.
func (rec *record) Value(key any) any {
	if value := (*recordValues)(rec).Value(key); value != nil {
		return value
	}
	return rec.Context.Value(key)
}

// recordValues are the values of a record alone, for a context that asks for
// them itself.
type recordValues record

// Value finds the record and the request's id.
func (v *recordValues) Value(key any) any {
	switch key.(type) {
	case recordKey:
		return (*record)(v)
	case requestIDKey:
		return &v.id
	}
	return nil
}

// AfterFunc has f called when the request ends, as context.AfterFunc does, which
// finds this method.
func (rec *record) AfterFunc(f func()) (stop func() bool) {
	if direct, ok := rec.Context.(interface {
		AfterFunc(f func()) (stop func() bool)
	}); ok {
		return direct.AfterFunc(f)
	}
	return context.AfterFunc(rec.Context, f)
}

// complete adds to the header of an answer what every answer has: the request's
// id, over what an upstream says, security headers, and a farewell if the server
// began to drain while the request was under way.
func (rec *record) complete(header http.Header) {
	rec.mu.Lock()
	foreign := rec.foreign
	rec.mu.Unlock()
	header[contract.HeaderRequestID] = rec.answerID[:]
	secure(header, rec.https, foreign)
	if leaving(rec) {
		header.Set("Connection", "close")
	}
	if !foreign {
		boundAnswer(&rec.writer, rec.request)
	}
}

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
