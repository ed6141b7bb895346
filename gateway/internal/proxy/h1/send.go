package h1

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"sync"
	"time"
)

// sender sends the body of a request while its answer is waited for.
type sender struct {
	o    *Options
	c    *conn
	body io.Reader
	left int64 // of the body; less than 0 if nobody knows

	mu       sync.Mutex
	sent     bool // the whole body
	answered bool // the head of the answer is there
	err      error
}

// send begins to send the body.
func (k *call) send() {
	k.sender = &sender{o: &k.t.o, c: k.c, body: k.req.Body, left: k.req.ContentLength}
	if k.taken > 0 { // whose length is known, then
		k.sender.left -= int64(k.taken)
	}
	k.t.senders.Go(k.sender.run)
}

// run sends the body. When that fails the answer fails, too: at once if the
// body is not whole, and after a moment if the target does not take it, for it
// may have said why.
func (s *sender) run() {
	reading, err := s.copy()
	timeout := s.o.AnswerTimeout
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err, s.sent = err, err == nil
	switch {
	case reading && err != nil:
		s.c.close()
		return
	case err != nil:
		timeout = earlyWait
	}
	if !s.answered {
		_ = s.c.readUntil(time.Now().Add(timeout)) // fails when the connection is closed, which ends the wait
	}
}

// failure is why the body could not be sent.
func (s *sender) failure() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// answer notes that the answer has begun, whose body has no deadline. It
// reports whether the whole body was sent before.
func (s *sender) answer() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answered = true
	_ = s.c.readUntil(time.Time{}) // as above
	return s.sent
}

// The places around a chunk's data in the memory of a sender.
const (
	chunkHead = 8 // the size in hexadecimal and CRLF, at its end
	chunkTail = 2 + len(lastChunk)
	lastChunk = "0\r\n\r\n"
)

// copy sends the body in its framing. reading says that an error is one of the
// body, and not of the connection.
func (s *sender) copy() (reading bool, err error) {
	memory := lend()
	defer giveBack(memory)
	chunked := s.left < 0
	for {
		room := memory[chunkHead : len(memory)-chunkTail]
		n, err := s.body.Read(room)
		over := errors.Is(err, io.EOF)
		if err != nil && !over {
			return true, fmt.Errorf("read the request's body: %w", err)
		}
		piece := room[:n]
		if chunked {
			piece = frame(memory, n, over)
		} else {
			s.left -= int64(n)
			switch {
			case s.left < 0:
				return true, errLong
			case over && s.left > 0:
				return true, fmt.Errorf("%w: %w", errShort, io.ErrUnexpectedEOF)
			}
		}
		if err := s.write(piece); err != nil {
			return false, fmt.Errorf("send the request's body: %w", err)
		}
		if over {
			return false, nil
		}
	}
}

// frame puts n bytes of data, which stand in memory behind the place for a
// chunk's size, into a chunk, and adds the last chunk to it.
func frame(memory []byte, n int, last bool) []byte {
	from, to := chunkHead, chunkHead
	if n > 0 {
		var size [chunkHead]byte
		text := append(strconv.AppendInt(size[:0], int64(n), 16), "\r\n"...)
		from -= copy(memory[chunkHead-len(text):], text)
		to += n
		to += copy(memory[to:], "\r\n")
	}
	if last {
		to += copy(memory[to:], lastChunk)
	}
	return memory[from:to]
}

func (s *sender) write(p []byte) error {
	if len(p) == 0 {
		return nil
	}
	s.c.write = time.Time{} // the next call sets its own
	if err := s.c.SetWriteDeadline(time.Now().Add(s.o.WriteTimeout)); err != nil {
		return err //nolint:wrapcheck // the caller says what was written
	}
	_, err := s.c.Write(p)
	return err //nolint:wrapcheck // as above
}
