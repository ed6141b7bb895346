package h1

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"
)

// smallBody is the size up to which a request's body goes out together with
// its head.
const smallBody = 16 << 10

// earlyWait is how long an answer is waited for after a target has stopped to
// take the request.
const earlyWait = time.Second

var (
	errNotQuiet = errors.New("the target has ended the connection, or sent something without being asked")
	errSwitched = errors.New("the target has switched protocols without being asked")
	errShort    = errors.New("the request's body is shorter than announced")
	errLong     = errors.New("the request's body is longer than announced")
)

// call is one request under way.
type call struct {
	t    *Transport
	req  *http.Request
	pool *pool

	message []byte // the head, and what is there of a small body; nil once the answer has begun
	taken   int    // of the body, at the end of the message
	rest    bool   // the body, or what is left of it, is not part of the message
	expect  bool   // the body waits for the target's consent

	c       *conn
	stop    func() bool // of the watch on the request's context
	sender  *sender     // of a body that is not part of the message
	nothing bool        // the target was sent nothing
	heads   int         // bytes of heads so far
}

// compose puts the message together.
func (k *call) compose() (err error) {
	r := k.req
	var memory []byte
	if hasBody(r) && r.ContentLength > 0 && r.ContentLength <= smallBody {
		memory = lend()
	} else {
		memory = lendForHead()
	}
	k.message, err = appendHead(memory[:0], r)
	if err != nil {
		k.message = memory
		return err
	}
	if cap(k.message) != len(memory) { // it has outgrown its memory
		giveBack(memory)
	}
	if !hasBody(r) {
		return nil
	}
	k.expect = len(r.Header["Expect"]) > 0 && strings.EqualFold(r.Header["Expect"][0], "100-continue")
	if k.expect || r.ContentLength < 0 || r.ContentLength > smallBody || len(k.message)+int(r.ContentLength) >= cap(k.message) {
		k.rest = true
		return nil
	}
	return k.takeBody()
}

// takeBody adds a small body to the message. One that has not come as a whole
// is not waited for: the target gets what is there, and the rest as it comes.
func (k *call) takeBody() error {
	head := len(k.message)
	whole := head + int(k.req.ContentLength)
	for {
		n, err := k.req.Body.Read(k.message[len(k.message) : whole+1])
		k.message = k.message[:len(k.message)+n]
		k.taken += n
		switch {
		case len(k.message) > whole:
			return errLong
		case errors.Is(err, io.EOF) && len(k.message) < whole:
			return fmt.Errorf("%w: %w", errShort, io.ErrUnexpectedEOF)
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("read the request's body: %w", err)
		case n > 0 && len(k.message) < whole:
			k.rest = true
			return nil
		}
	}
}

// unread gives the request its body again, for nobody has got it.
func (k *call) unread() {
	if k.taken == 0 {
		return
	}
	var body io.Reader = bytes.NewReader(bytes.Clone(k.message[len(k.message)-k.taken:]))
	if k.rest {
		body = io.MultiReader(body, k.req.Body)
	}
	k.req.Body = io.NopCloser(body)
}

// try sends the message on one connection and waits for the answer. After an
// error everything is given back, but for a message that may be tried again.
func (k *call) try(fresh bool) (*http.Response, error) {
	k.c, k.nothing = nil, false // of the try before
	ctx := k.req.Context()
	c, err := k.pool.get(ctx, fresh, !k.rest)
	if err != nil {
		k.unread()
		k.forget()
		return nil, err
	}
	k.c, k.heads = c, 0
	k.stop = watch(ctx, c.closer)
	res, err := k.exchange()
	if err == nil {
		return res, nil
	}
	c.close()
	if k.stop != nil {
		k.stop()
	}
	c.in.drop()
	if !k.unseen(err) {
		k.forget()
	}
	return nil, err
}

// forget gives back the memory of the message, which is not sent again.
func (k *call) forget() {
	giveBack(k.message)
	k.message = nil
}

// unseen reports whether a failed request may be sent again: it went to a
// connection that had been idle, which the target may have closed just then;
// nothing came back; and either nothing was sent, or nothing can have changed
// by it.
func (k *call) unseen(err error) bool {
	if k.c == nil || !k.c.reused || k.c.in.w > 0 || k.heads > 0 || k.sender != nil || k.req.Context().Err() != nil {
		return false
	}
	return (k.nothing || safe(k.req)) && !errors.Is(err, os.ErrDeadlineExceeded)
}

// exchange sends the message and reads the head of the answer.
func (k *call) exchange() (*http.Response, error) {
	if err := k.sendMessage(); err != nil {
		return nil, err
	}
	if k.rest {
		wait := time.Time{}
		if k.expect {
			wait = time.Now().Add(k.t.o.ContinueTimeout)
		}
		if err := k.c.readUntil(wait); err != nil {
			return nil, fmt.Errorf("send the request: %w", err)
		}
		if !k.expect {
			k.send()
		}
	}
	head, err := k.receive()
	if err != nil {
		return nil, k.cause(err)
	}
	k.forget()
	return k.answer(head)
}

// sendMessage sends the message, and waits for the answer where that is all
// there is to send.
func (k *call) sendMessage() error {
	var sent int
	var err error
	if !k.rest && k.c.probe.swaps() {
		sent, err = k.c.probe.swap(k.message, &k.c.in)
	}
	if err == nil && sent < len(k.message) {
		var n int
		n, err = k.c.Write(k.message[sent:])
		sent += n
	}
	k.nothing = sent == 0
	if sent < len(k.message) {
		return fmt.Errorf("send the request: %w", err)
	}
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	if err != nil {
		return fmt.Errorf("read the answer's head: %w", err)
	}
	return nil
}

// receive reads heads until one is that of the answer.
func (k *call) receive() (Head, error) {
	in := &k.c.in
	for {
		length, err := k.awaitHead()
		if err != nil {
			return Head{}, err
		}
		head, err := ParseHead(in.buf[in.r : in.r+length])
		if err != nil {
			return Head{}, err
		}
		in.r += length
		k.heads += length
		if head.Status >= 200 {
			return head, nil
		}
		if head.Status == http.StatusSwitchingProtocols {
			return Head{}, errSwitched
		}
		if head.Status == http.StatusContinue && k.expect {
			k.consented()
		}
		if informed, ok := k.req.Context().(Informed); ok {
			if err := informed.Interim(head.Status, head.Header); err != nil {
				return Head{}, fmt.Errorf("interim answer: %w", err)
			}
		}
	}
}

// awaitHead waits until a head is there, and returns its length.
func (k *call) awaitHead() (int, error) {
	in := &k.c.in
	var scan Scan
	for {
		length, err := scan.End(in.buf[in.r:in.w])
		if err != nil {
			return 0, err
		}
		size := length
		if length == 0 { // all that is there belongs to the head
			size = in.buffered()
		}
		if k.heads+size > k.t.o.MaxHead {
			return 0, errHeadSize
		}
		if length > 0 {
			return length, nil
		}
		if err := in.fill(k.t.o.MaxHead + bufferSize); err != nil {
			if k.expect && in.buffered() == 0 && errors.Is(err, os.ErrDeadlineExceeded) {
				k.consented() // it says nothing, so it gets the body
				continue
			}
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return 0, fmt.Errorf("read the answer's head: %w", err)
		}
	}
}

// consented begins to send a body that has waited.
func (k *call) consented() {
	k.expect = false
	_ = k.c.readUntil(time.Time{}) // a connection that is closed says so when it is read
	k.send()
}

// cause is why there is no answer: what went wrong with the request's body
// comes before what that has led to.
func (k *call) cause(err error) error {
	if k.sender != nil {
		if first := k.sender.failure(); first != nil {
			return first
		}
	}
	return err
}
