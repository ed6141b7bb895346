package direct

import (
	"context"
	"sync"
	"time"
)

// turnContext is the context of one request. It ends when the client goes away
// or the handler returns. What it would need for that is made only for those
// who ask, as most answers are there before anybody has waited.
type turnContext struct {
	values context.Context
	own    interface{ Value(key any) any } // asked first; nil for none

	mu       sync.Mutex
	done     chan struct{} // nil until somebody asks
	err      error
	first    func() // to be called at the end
	firstKey int
	more     map[int]func() // the same
	next     int            // the newest key
}

var _ interface {
	context.Context
	AfterFunc(f func()) (stop func() bool)
	Extend(own interface{ Value(key any) any })
} = (*turnContext)(nil)

// Deadline says that there is none.
func (*turnContext) Deadline() (time.Time, bool) { return time.Time{}, false }

// Value is that of Extend, or else that of the server.
func (c *turnContext) Value(key any) any {
	if c.own != nil {
		if value := c.own.Value(key); value != nil {
			return value
		}
	}
	return c.values.Value(key)
}

// Extend has values come from there first, which spares a request with a
// context of its own. It is for whoever handles the request first, before
// others know its context.
func (c *turnContext) Extend(own interface{ Value(key any) any }) { c.own = own }

// Done is closed at the end.
func (c *turnContext) Done() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.done == nil {
		c.done = make(chan struct{})
		if c.err != nil {
			close(c.done)
		}
	}
	return c.done
}

// Err is context.Canceled after the end.
func (c *turnContext) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// AfterFunc has f called in a goroutine of its own after the end, as
// context.AfterFunc does, which finds this method. What it returns takes that
// back, and reports whether it could.
func (c *turnContext) AfterFunc(f func()) (stop func() bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		go f()
		return func() bool { return false }
	}
	c.next++
	key := c.next
	if c.first == nil {
		c.first, c.firstKey = f, key
	} else {
		if c.more == nil {
			c.more = map[int]func(){}
		}
		c.more[key] = f
	}
	return func() bool { return c.stop(key) }
}

func (c *turnContext) stop(key int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.firstKey == key {
		had := c.first != nil
		c.first = nil
		return had
	}
	_, had := c.more[key]
	delete(c.more, key)
	return had
}

// end ends the context.
func (c *turnContext) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return
	}
	c.err = context.Canceled
	if c.done != nil {
		close(c.done)
	}
	if c.first != nil {
		go c.first()
		c.first = nil
	}
	for _, f := range c.more {
		go f()
	}
	c.more = nil
}
