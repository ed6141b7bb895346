package httpx

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"time"

	"github.com/labstack/echo/v4"

	"gatehouse.internal/shared/fault"
)

// observer surrounds every request: it gives it an id, a trace and a record,
// bounds its body, turns failures and panics into answers, and writes it down.
type observer struct {
	Options
	metrics *metrics
}

func (o *observer) middleware(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		start := o.Now()
		rec := o.begin(c)
		o.metrics.begin()
		cause := o.serve(c, next)
		if cause != nil {
			c.Error(cause)
		} else if !begun(c) { // a handler that said nothing means 200
			c.Response().WriteHeader(http.StatusOK)
		}
		if !rec.writer.hijacked {
			boundRest(&rec.writer, c.Request())
			boundAnswer(&rec.writer, c.Request())
		}
		elapsed := o.Now().Sub(start)
		rec.mu.Lock()
		defer rec.mu.Unlock()
		if rec.route == "" {
			rec.route = c.Path()
		}
		o.metrics.done(c.Request().Method, rec, elapsed)
		o.log(c, rec, elapsed)
		if rec.aborted {
			panic(http.ErrAbortHandler) // the one way to tell net/http to cut the answer off
		}
		return nil
	}
}

// begin prepares the request and its answer.
func (o *observer) begin(c echo.Context) *record {
	r := c.Request()
	trusted := o.TrustRequestID && len(o.TrustedProxies) > 0 && isTrusted(peerAddr(r), o.TrustedProxies)
	id := requestID(r.Header, trusted)
	rec := &record{
		Context: r.Context(), trace: newTrace(r.Header), id: id, answerID: [1]string{id},
		https: clientScheme(r, o.TrustedProxies) == "https", request: r, writer: writer{ResponseWriter: c.Response().Writer},
	}
	rec.writer.record = rec
	c.Response().Writer = &rec.writer
	if extends, ok := r.Context().(interface {
		Extend(own interface{ Value(key any) any })
	}); ok {
		extends.Extend((*recordValues)(rec))
	} else {
		c.SetRequest(r.WithContext(rec))
	}
	return rec
}

// serve calls the handler. A panic becomes an internal error; one that came
// after the answer had begun, or that asks for it, cuts the answer off.
func (o *observer) serve(c echo.Context, next echo.HandlerFunc) (err error) {
	ctx := c.Request().Context()
	defer func() {
		cause := recover()
		if cause == nil {
			return
		}
		if cause == http.ErrAbortHandler { //nolint:errorlint // net/http compares it so, too
			note(ctx, func(rec *record) { rec.aborted = true })
			err = nil
			return
		}
		err = fmt.Errorf("panic: %v\n%s", cause, debug.Stack())
	}()
	if o.MaxBody > 0 {
		if err := LimitBody(c.Request(), o.MaxBody); err != nil {
			return err
		}
	}
	return next(c)
}

// log writes the one record of a request. Its path has no query, which may
// hold what nobody should read.
func (o *observer) log(c echo.Context, rec *record, elapsed time.Duration) {
	r := c.Request()
	if rec.err == nil && !o.Log.Enabled(r.Context(), slog.LevelInfo) {
		return
	}
	level := slog.LevelInfo
	attrs := []slog.Attr{
		slog.String("request_id", rec.id),
		slog.String("trace_id", rec.trace.traceID),
		slog.String("method", bounded(r.Method, 16)),
		slog.String("route", rec.route),
		slog.String("path", bounded(r.URL.EscapedPath(), 512)),
		slog.Int("status", rec.writer.status),
		slog.Float64("duration_ms", float64(elapsed.Microseconds())/1000),
		slog.Int64("bytes", rec.writer.bytes),
		slog.String("client", c.RealIP()),
	}
	if rec.userID != "" {
		attrs = append(attrs, slog.String("user_id", rec.userID))
	}
	if rec.aborted {
		attrs = append(attrs, slog.Bool("aborted", true))
	}
	if rec.err != nil {
		err := fromEcho(rec.err)
		kind := fault.KindOf(err)
		attrs = append(attrs, slog.String("kind", string(kind)))
		if gone := errors.Is(err, context.Canceled) && r.Context().Err() != nil; kind == fault.Internal && !gone {
			level = slog.LevelError
		}
		if answers[kind].status >= 500 || kind == fault.Internal {
			attrs = append(attrs, slog.String("error", err.Error()))
		}
	}
	o.Log.LogAttrs(r.Context(), level, "request", attrs...)
}

// bounded cuts a text that a caller chose.
func bounded(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	return text[:limit] + "…"
}
