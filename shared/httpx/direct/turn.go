package direct

import (
	"errors"
	"io"
	"net/http"
	"os"
	"syscall"

	"gatehouse.internal/shared/httpx/sockio"
)

// serveOne answers one request. It reports whether the connection can go on.
func (c *conn) serveOne(q *request) bool {
	t := &turn{ctx: turnContext{values: c.server.Base}}
	a := &t.answer
	a.conn, a.ctx, a.method, a.header, a.close = c, &t.ctx, q.method, http.Header{}, q.close
	var upload io.ReadCloser = http.NoBody
	if q.length > 0 {
		a.upload = newBody(c, a, q.length)
		upload = a.upload
	}
	request := http.Request{
		Method: q.method, URL: q.url, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Header: q.header, Body: upload, ContentLength: q.length,
		Host: q.host, RequestURI: q.target, RemoteAddr: c.remote, Close: q.close,
	}
	c.begin(t)
	whole := c.call(t, request.WithContext(&t.ctx))
	good := c.end(t)
	switch {
	case a.hijacked:
		c.given, good = true, false
	case whole:
		good = a.finish() == nil && good
	case a.framed:
		_ = a.flush() // what there is of the answer: it looks cut off
	}
	a.over.Store(true)
	a.giveBack()
	if a.upload != nil && !a.upload.end(whole && good && !a.close) {
		if whole && good {
			c.linger(a.upload.left.Load())
		}
		return false
	}
	return whole && good && !a.close && a.undo() == nil
}

// begin notes that a request is under way.
func (c *conn) begin(t *turn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.turn = t
	c.number++
}

// call calls the handler. A panic with http.ErrAbortHandler cuts the answer
// off, and so does any other, which is a fault of the handler.
func (c *conn) call(t *turn, r *http.Request) (whole bool) {
	defer func() {
		cause := recover()
		if cause == nil {
			return
		}
		whole = false
		if cause != http.ErrAbortHandler { //nolint:errorlint // net/http compares it so, too
			logPanic(c.server.Log, cause)
		}
	}()
	c.server.Handler.ServeHTTP(&t.answer, r)
	return true
}

// end ends the request's context and what watches the client. From now on
// nobody sets deadlines.
func (c *conn) end(t *turn) (good bool) {
	t.ctx.end()
	return c.unwatch() == nil
}

// look has the client watched if its request was under way at the last look,
// too. While its body comes, that one's reads find out.
func (c *conn) look() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.turn == nil || c.turn.answer.upload != nil && !c.turn.answer.upload.over() {
		return
	}
	if c.seen == c.number && c.watcher == nil {
		c.watcher = make(chan struct{})
		go c.watch(c.turn, c.watcher)
	}
	c.seen = c.number
}

// watch ends the request when its client goes away, and is ended by a deadline
// of reads. What the client sends meanwhile is its next request.
func (c *conn) watch(t *turn, over chan struct{}) {
	defer close(over)
	gone := false
	err := c.raw.Read(func(fd uintptr) bool {
		n, err := sockio.Peek(fd)
		if errors.Is(err, syscall.EAGAIN) {
			return false
		}
		gone = n == 0
		return true
	})
	if gone || err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
		t.ctx.end()
	}
}

// cut ends what is under way and closes the connection. It reports whether
// there was a request.
func (c *conn) cut() bool {
	c.mu.Lock()
	t := c.turn
	c.mu.Unlock()
	if t != nil {
		t.ctx.end()
	}
	_ = c.Close() // it may be closed
	return t != nil
}
