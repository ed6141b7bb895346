package faultproxy

import (
	"math/rand/v2"
	"net"
	"sync"
	"time"
)

const (
	chunkSize = 16 << 10
	maxChunks = 16
)

// pair is a connection of a client and the one to the server that belongs to
// it.
type pair struct {
	link           *Link
	client, server net.Conn
	once           sync.Once
	done           chan struct{} // closed by reset, or when both directions have ended
}

// chunk is what one read gave, and when it may go on.
type chunk struct {
	data []byte
	due  time.Time
}

func (p *pair) run() {
	var group sync.WaitGroup
	for _, way := range []struct {
		direction Direction
		from, to  net.Conn
	}{{Up, p.client, p.server}, {Down, p.server, p.client}} {
		queue := make(chan chunk, maxChunks)
		group.Go(func() { p.read(way.from, queue) })
		group.Go(func() { p.write(way.direction, way.to, queue) })
	}
	group.Wait()
	p.once.Do(func() { close(p.done) })
	_ = p.client.Close() // closed already, or broken
	_ = p.server.Close()
}

// reset ends both connections at once and lets the peers notice.
func (p *pair) reset() {
	p.once.Do(func() { close(p.done) })
	resetConn(p.client)
	resetConn(p.server)
}

// read fills the queue until the sender ends.
func (p *pair) read(from net.Conn, queue chan<- chunk) {
	defer close(queue)
	for {
		buffer := make([]byte, chunkSize)
		n, err := from.Read(buffer)
		if n > 0 {
			delay, jitter := p.link.held()
			if jitter > 0 {
				delay += rand.N(jitter)
			}
			select {
			case queue <- chunk{buffer[:n], time.Now().Add(delay)}:
			case <-p.done:
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// write empties the queue when each chunk is due and the direction is free. At
// the end it tells the receiver that no more comes.
func (p *pair) write(d Direction, to net.Conn, queue <-chan chunk) {
	for c := range queue {
		if !p.await(d, c.due) {
			return
		}
		if err := to.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
			p.reset()
			return
		}
		if _, err := to.Write(c.data); err != nil {
			p.reset()
			return
		}
	}
	if !p.await(d, time.Time{}) {
		return
	}
	if half, ok := to.(*net.TCPConn); ok {
		_ = half.CloseWrite() // an error means that it has ended
	}
}

// await returns when a chunk may pass, and false if the pair has ended.
func (p *pair) await(d Direction, due time.Time) bool {
	if rest := time.Until(due); rest > 0 {
		timer := time.NewTimer(rest)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-p.done:
			return false
		}
	}
	for {
		stalled, changed := p.link.passage(d)
		if !stalled {
			return true
		}
		select {
		case <-changed:
		case <-p.done:
			return false
		}
	}
}

// resetConn closes a connection so that the peer gets a reset and nothing that
// is still under way.
func resetConn(conn net.Conn) {
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // an error means that it has ended
	}
	_ = conn.Close()
}
