package revocation

import (
	"testing"
	"time"
)

// A head proves completeness as of the moment at which the very nonce was sent
// that it echoes: not as of a later one's, and with nobody else's it proves
// nothing. Else whoever replays a head, or has a node's head reach another,
// makes a view look younger than it is.
func TestProgress_F40_I2_a_head_counts_by_the_nonce_that_it_echoes(t *testing.T) {
	c := &clock{start}
	p := NewProgress(c.now)
	first := p.Nonce()
	c.advance(time.Second)
	p.Nonce() // nobody has echoed it
	for _, echo := range []string{"", "not-mine-1", first[:len(first)-1], first + "0"} {
		p.Head(head(1, 0), echo)
		wantNeverComplete(t, p)
	}
	p.Head(head(1, 0), first)
	wantAge(t, p, time.Second)
	c.advance(10 * time.Second)
	p.Nonce()
	for _, echo := range []string{first, "not-mine-1", NewProgress(c.now).Nonce()} {
		p.Head(head(1, 0), echo)
		wantAge(t, p, 11*time.Second)
	}
}
