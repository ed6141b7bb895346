package direct

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"time"
)

// Hijack gives the connection away (http.Hijacker). What the client has sent
// already is in the reader's buffer.
func (a *answer) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	if a.over.Load() {
		return nil, nil, errOver
	}
	if a.hijacked || a.status != 0 {
		return nil, nil, http.ErrHijacked
	}
	c := a.conn
	if err := c.unwatch(); err != nil {
		return nil, nil, err
	}
	if a.upload != nil {
		a.upload.end(false) // what is left of it is the new owner's
	}
	if err := a.undo(); err != nil { // the deadlines were for the answer
		return nil, nil, err
	}
	a.hijacked, a.err = true, http.ErrHijacked
	pending := bytes.Clone(c.in[c.r:c.w])
	in := bufio.NewReaderSize(io.MultiReader(bytes.NewReader(pending), c.Conn), max(4<<10, len(pending)))
	if _, err := in.Peek(len(pending)); err != nil {
		return nil, nil, err // never: all of it is there
	}
	c.TakenOver()
	return c.Conn, bufio.NewReadWriter(in, bufio.NewWriter(c.Conn)), nil
}

// unwatch has the client no longer watched, for good.
func (c *conn) unwatch() error {
	c.mu.Lock()
	c.turn = nil
	watcher := c.watcher
	c.watcher = nil
	c.mu.Unlock()
	if watcher == nil {
		return nil
	}
	_ = c.SetReadDeadline(time.Unix(1, 0)) // an error is that of the next one
	<-watcher
	return c.SetReadDeadline(time.Time{})
}
