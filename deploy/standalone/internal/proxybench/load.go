package proxybench

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"
)

// load is what a phase sends.
type load struct {
	path        string // "/api/" and one of the upstream's answers
	body        int    // size of a POST's; 0 is a GET
	connections int
	fresh       bool                  // a connection for each request
	token       func() (string, bool) // of the next request; false ends the load
}

// counts is what a phase has led to so far.
type counts struct {
	answered, failed atomic.Int64
	measured         atomic.Bool  // times are taken
	over             atomic.Bool  // the callers stop
	why              atomic.Value // text: why the first of them failed
}

// warmUp is how long a phase runs before it is measured.
const warmUp = 300 * time.Millisecond

// drive has clients call address until ctx ends or there are no tokens left,
// and gives the times that answers took while they were measured.
func (l load) drive(ctx context.Context, address string, n *counts) []time.Duration {
	var (
		mu    sync.Mutex
		times []time.Duration
		group sync.WaitGroup
	)
	context.AfterFunc(ctx, func() { n.over.Store(true) })
	for range l.connections {
		group.Go(func() {
			c := &client{load: l, address: address, n: n}
			c.run()
			mu.Lock()
			defer mu.Unlock()
			times = append(times, c.times...)
		})
	}
	group.Wait()
	slices.Sort(times)
	return times
}

// client is one caller, with one connection at a time.
type client struct {
	load
	address string
	n       *counts
	conn    net.Conn
	in      *bufio.Reader
	request []byte
	payload []byte
	times   []time.Duration
}

func (c *client) run() {
	c.payload = bytes.Repeat([]byte("x"), c.body)
	defer c.hangUp()
	for !c.n.over.Load() {
		token, more := c.token()
		if !more {
			return
		}
		began := time.Now()
		if err := c.call(token); err != nil {
			if !c.n.over.Load() {
				c.n.failed.Add(1)
				c.n.why.CompareAndSwap(nil, fmt.Sprint(err))
			}
			c.hangUp()
			continue
		}
		c.n.answered.Add(1)
		if c.n.measured.Load() {
			c.times = append(c.times, time.Since(began))
		}
		if c.fresh {
			c.hangUp()
		}
	}
}

// callTime bounds one call.
const callTime = 10 * time.Second

// call sends one request and reads its answer, which must be a 200.
func (c *client) call(token string) error {
	if c.conn == nil {
		conn, err := net.DialTimeout("tcp", c.address, callTime) //nolint:noctx // bounded, like all calls here
		if err != nil {
			return err
		}
		c.conn, c.in = conn, bufio.NewReaderSize(conn, 64<<10)
		if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil { // longer than a phase
			return err
		}
	}
	c.compose(token)
	if _, err := c.conn.Write(c.request); err != nil {
		return err
	}
	return c.answer()
}

func (c *client) compose(token string) {
	method := "GET "
	if c.body > 0 {
		method = "POST "
	}
	b := append(append(append(c.request[:0], method...), c.path...), " HTTP/1.1\r\nHost: bench\r\nAccept: */*\r\nUser-Agent: bench\r\n"...)
	if token != "" {
		b = append(append(append(b, "Authorization: Bearer "...), token...), "\r\n"...)
	}
	if c.body > 0 {
		b = append(strconv.AppendInt(append(b, "Content-Length: "...), int64(c.body), 10), "\r\n"...)
	}
	c.request = append(append(b, "\r\n"...), c.payload...)
}

var errUnread = errors.New("an answer that the load generator cannot read")

// answer reads an answer with a Content-Length.
func (c *client) answer() error {
	line, err := c.in.ReadSlice('\n')
	if err != nil {
		return err
	}
	if !bytes.HasPrefix(line, []byte("HTTP/1.1 200")) {
		status := string(bytes.TrimSpace(line))
		more, _ := c.in.Peek(c.in.Buffered()) // what it says of the reason
		return fmt.Errorf("%w: %s: %.1000q", errUnread, status, more)
	}
	length := -1
	for len(line) > 2 {
		if line, err = c.in.ReadSlice('\n'); err != nil {
			return err
		}
		if len(line) > 16 && (line[0] == 'C' || line[0] == 'c') && bytes.EqualFold(line[:15], []byte("content-length:")) {
			if length, err = strconv.Atoi(string(bytes.TrimSpace(line[15:]))); err != nil {
				return err
			}
		}
	}
	if length < 0 {
		return errUnread
	}
	for length > 0 {
		n, err := c.in.Discard(min(length, 64<<10))
		if length -= n; err != nil {
			return err
		}
	}
	return nil
}

// hangUp closes the connection in a way that leaves nothing in the kernel, of
// which there is not enough for a run.
func (c *client) hangUp() {
	if c.conn == nil {
		return
	}
	if tcp, ok := c.conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = c.conn.Close()
	c.conn = nil
}
