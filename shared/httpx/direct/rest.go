package direct

import (
	"errors"
	"io"
	"syscall"
	"time"

	"gatehouse.internal/shared/httpx/sockio"
)

// maxRest is how much is read of a body that nobody has wanted, as much as
// net/http reads.
const maxRest = 256 << 10

// drop reads what is left of the body, if that is not much, so that the
// connection can go on. It reports whether the body is over.
func (b *body) drop() bool {
	if b.left.Load() >= maxRest {
		return false
	}
	b.answer.hurry(b.conn.server.Rest) // who reads now has no more time, either
	b.mu.Lock()
	defer b.mu.Unlock()
	p := lend()
	defer takeBack(p)
	for !b.over() {
		if _, err := b.read(p); err != nil && !errors.Is(err, io.EOF) {
			return false
		}
	}
	b.closed = true
	return true
}

// end ends the body with its request: a read that is under way, and all that
// would follow. With goOn the connection shall live on. It reports whether it
// can.
func (b *body) end(goOn bool) bool {
	if goOn && !b.over() {
		b.drop()
	}
	if !b.over() {
		b.answer.readUntil(time.Unix(1, 0))
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	return b.over()
}

// lingerTime is how long a client may take to see its answer while it still
// sends a body that nobody reads. To close a connection on which something
// comes takes from the client what it has not read yet.
const lingerTime = 500 * time.Millisecond

// linger tells the client that no more is said, and drops what it sends: up to
// the end of the body, to maxRest bytes, or for lingerTime. One who sends more
// than maxRest is not read any more, but it still has its time.
func (c *conn) linger(left int64) {
	half, ok := c.Conn.(interface{ CloseWrite() error })
	if !ok || half.CloseWrite() != nil || c.SetReadDeadline(time.Now().Add(lingerTime)) != nil {
		return
	}
	left -= int64(c.w - c.r)
	c.giveBack()
	if left <= 0 {
		return
	}
	p := lend()
	defer takeBack(p)
	room := maxRest
	_ = c.raw.Read(func(fd uintptr) bool { // it is over, however it ends
		for room > 0 {
			n, err := sockio.Read(fd, p[:min(len(p), room)])
			if errors.Is(err, syscall.EAGAIN) {
				return false
			}
			room -= n
			left -= int64(n)
			if n == 0 || err != nil || left <= 0 {
				return true
			}
		}
		return false
	})
}
