package direct

import (
	"fmt"
	"os"
	"time"
)

var errSlowBody = fmt.Errorf("read the request's body: %w", os.ErrDeadlineExceeded)

// deadlines are those of one answer and the body of its request; guarded by the
// connection's mu. That of reads is told to the connection only when somebody
// waits, as bodies that have come already are most.
type deadlines struct {
	read    time.Time // zero for none
	waits   bool      // somebody does, for the body
	applied bool      // the connection has one for reads
	write   bool      // or for writes
}

// SetReadDeadline is for http.ResponseController. It holds for the body of
// this request.
func (a *answer) SetReadDeadline(t time.Time) error { return a.deadline(a.setRead, t) }

// SetWriteDeadline is for http.ResponseController. It holds for this answer.
func (a *answer) SetWriteDeadline(t time.Time) error { return a.deadline(a.setWrite, t) }

// deadline sets a deadline for this request, which must not meet the next one.
func (a *answer) deadline(set func(time.Time) error, t time.Time) error {
	c := a.conn
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.turn == nil || &c.turn.answer != a {
		return errOver
	}
	return set(t)
}

// setWrite sets until when the answer may be written; the lock is held.
func (a *answer) setWrite(t time.Time) error {
	a.deadlines.write = true
	return a.conn.SetWriteDeadline(t)
}

// setRead sets until when the body is waited for; the lock is held.
func (a *answer) setRead(t time.Time) error {
	d := &a.deadlines
	d.read = t
	if !d.applied && (!d.waits || t.IsZero()) {
		return nil
	}
	d.applied = !t.IsZero()
	return a.conn.SetReadDeadline(t)
}

// readUntil is setRead for the server itself, also after the handler.
func (a *answer) readUntil(t time.Time) {
	a.conn.mu.Lock()
	defer a.conn.mu.Unlock()
	_ = a.setRead(t) // fails when the connection is closed, which ends every wait
}

// hurry leaves the body no more than so much time.
func (a *answer) hurry(limit time.Duration) {
	a.conn.mu.Lock()
	defer a.conn.mu.Unlock()
	t := time.Now().Add(limit)
	if d := &a.deadlines; d.read.IsZero() || t.Before(d.read) {
		_ = a.setRead(t) // as above
	}
}

// expired reports whether the time for the body is over.
func (a *answer) expired() bool {
	a.conn.mu.Lock()
	defer a.conn.mu.Unlock()
	read := a.deadlines.read
	return !read.IsZero() && !time.Now().Before(read)
}

// waits notes that somebody begins to wait for the body.
func (a *answer) waits() {
	a.conn.mu.Lock()
	defer a.conn.mu.Unlock()
	a.deadlines.waits = true
	_ = a.setRead(a.deadlines.read) // as above
}

func (a *answer) waited() {
	a.conn.mu.Lock()
	defer a.conn.mu.Unlock()
	a.deadlines.waits = false
}

// undo takes back what was told to the connection: the next request begins
// without. The request and its body have ended, so nobody else is here.
func (a *answer) undo() error {
	d := a.deadlines
	a.deadlines = deadlines{}
	if d.applied {
		if err := a.conn.SetReadDeadline(time.Time{}); err != nil {
			return err
		}
	}
	if d.write {
		return a.conn.SetWriteDeadline(time.Time{})
	}
	return nil
}
