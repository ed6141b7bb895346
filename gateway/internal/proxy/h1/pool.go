package h1

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

// ErrBusy says that a target has as many connections as it may have. It was
// sent nothing.
var ErrBusy = errors.New("the target has no connection to spare")

// pool is the connections to one target.
type pool struct {
	t       *Transport
	address string

	mu    sync.Mutex
	idle  []*conn // the one that was used last comes last
	open  int     // idle and in use
	sweep *time.Timer
}

// get gives a connection that is fit for a request: an idle one on which
// nothing has come, or a new one. With fresh it is a new one. With swap nobody
// has looked at the connection, if it can do that itself. The time for the call
// has begun.
func (p *pool) get(ctx context.Context, fresh, swap bool) (*conn, error) {
	for !fresh {
		c := p.pop()
		if c == nil {
			break
		}
		// The deadlines come first: one that has passed would look like a
		// connection that is not quiet.
		now := time.Now()
		if now.Before(c.until) && c.prepare(now) == nil && (swap && c.probe.swaps() || c.probe.quiet()) {
			c.reused = true
			return c, nil
		}
		c.close()
	}
	p.mu.Lock()
	if p.open >= p.t.o.MaxConns {
		p.mu.Unlock()
		return nil, ErrBusy
	}
	p.open++
	p.mu.Unlock()
	made := p.t.renewed.Load() // before the address is known
	dialed, err := p.t.o.Dial(ctx, "tcp", p.address)
	if err != nil {
		p.mu.Lock()
		p.open--
		p.mu.Unlock()
		return nil, fmt.Errorf("connect to %s: %w", p.address, err)
	}
	c := newConn(p, dialed)
	c.made = made
	if err := c.prepare(time.Now()); err != nil {
		c.close()
		return nil, fmt.Errorf("connect to %s: %w", p.address, err)
	}
	return c, nil
}

func (p *pool) pop() *conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := len(p.idle)
	if n == 0 {
		return nil
	}
	c := p.idle[n-1]
	p.idle[n-1] = nil
	p.idle = p.idle[:n-1]
	return c
}

// put takes a connection back after a whole answer. It may stay for at most
// the given time, counted from the beginning of the call, and not if there are
// enough.
func (p *pool) put(c *conn, stay time.Duration) {
	stay = min(stay, p.t.o.IdleTimeout)
	p.mu.Lock()
	if stay <= 0 || len(p.idle) >= p.t.o.MaxIdle || p.t.closed.Load() || c.made != p.t.renewed.Load() {
		p.mu.Unlock()
		c.close()
		return
	}
	c.until = c.since.Add(stay) // from the beginning of the last call, which spares a look at the clock
	p.idle = append(p.idle, c)
	if p.sweep == nil {
		p.sweep = time.AfterFunc(p.t.o.IdleTimeout, p.expire)
	}
	p.mu.Unlock()
}

// expire closes the connections that were idle for too long, and comes again
// while there are others.
func (p *pool) expire() {
	now := time.Now()
	p.drop(func(c *conn) bool { return !now.Before(c.until) })
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.idle) == 0 {
		p.sweep = nil
		return
	}
	p.sweep.Reset(p.t.o.IdleTimeout / 4)
}

// drop closes the idle connections that are chosen.
func (p *pool) drop(chosen func(*conn) bool) {
	p.mu.Lock()
	var gone []*conn
	kept := p.idle[:0]
	for _, c := range p.idle {
		if chosen(c) {
			gone = append(gone, c)
		} else {
			kept = append(kept, c)
		}
	}
	clear(p.idle[len(kept):])
	p.idle = kept
	p.mu.Unlock()
	for _, c := range gone {
		c.close()
	}
}

// conn is a connection to a target. Between two calls it has no memory.
type conn struct {
	net.Conn
	in     reader
	pool   *pool
	probe  probe
	made   int64     // when, in times of Renew
	reused bool      // it has carried an answer before
	since  time.Time // when the call under way began
	until  time.Time // when it has been idle for too long
	read   time.Time // the deadline of reads
	write  time.Time // and of writes
	closer func()    // close
	once   sync.Once
}

// prepare gives the connection the deadlines of a call that begins now. They
// are up to a quarter late, so that they need not be set each time.
func (c *conn) prepare(now time.Time) error {
	c.since = now
	o := &c.pool.t.o
	if c.write.Before(now.Add(o.WriteTimeout)) {
		c.write = now.Add(o.WriteTimeout + o.WriteTimeout/4)
		if err := c.SetWriteDeadline(c.write); err != nil {
			return err
		}
	}
	if c.read.Before(now.Add(o.AnswerTimeout)) {
		return c.readUntil(now.Add(o.AnswerTimeout + o.AnswerTimeout/4))
	}
	return nil
}

// readUntil sets the deadline of reads; the zero time is none.
func (c *conn) readUntil(deadline time.Time) error {
	c.read = deadline
	return c.SetReadDeadline(deadline)
}

func newConn(p *pool, dialed net.Conn) *conn {
	c := &conn{Conn: dialed, pool: p}
	c.in.src, c.closer = dialed, c.close
	c.probe.open(dialed)
	if c.probe.swaps() {
		c.in.probe = &c.probe
	}
	return c
}

// close ends the connection for good. It may be called more than once, and
// while the connection is in use.
func (c *conn) close() {
	c.once.Do(func() {
		_ = c.Close() // nothing can be done about it
		c.pool.mu.Lock()
		c.pool.open--
		c.pool.mu.Unlock()
	})
}
