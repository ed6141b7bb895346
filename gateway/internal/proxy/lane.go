package proxy

import (
	"errors"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"gatehouse.internal/gateway/internal/proxy/websocket"
)

// laneBuffer is how much of a WebSocket is carried at once.
const laneBuffer = 16 << 10

// lane is one direction of a WebSocket. Once it has been given a farewell it
// carries the frame that is under way to its end and nothing after it, says
// the farewell, and then listens only for the other end's answer.
type lane struct {
	from io.Reader
	to   io.Writer
	// limit sets a deadline for what is written next. It may be nil.
	limit func(time.Time) error
	pause time.Duration // how long what is written may stand still

	farewell atomic.Pointer[[]byte]
	said     atomic.Bool // nothing more is carried

	mu     sync.Mutex        // held while something is written
	frames websocket.Scanner // of what came
}

// run carries until its source ends, which is no error, or until one of the
// two ends fails. After the farewell it ends with the other end's close frame.
func (l *lane) run() error {
	buffer := make([]byte, laneBuffer)
	for {
		n, err := l.from.Read(buffer)
		if n > 0 {
			if failed := l.carry(buffer[:n]); failed != nil {
				return failed
			}
		}
		switch {
		case errors.Is(err, io.EOF), l.said.Load() && l.answered():
			return nil
		case err != nil:
			return err //nolint:wrapcheck // nobody reads it: a connection has ended
		}
	}
}

// carry takes in what has come, and passes on what may still pass.
func (l *lane) carry(p []byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.said.Load() {
		l.frames.Skip(p)
		return nil
	}
	farewell := l.farewell.Load()
	if farewell == nil {
		l.frames.Skip(p)
		return l.write(p)
	}
	n := 0
	if !l.frames.Boundary() {
		n = l.frames.Next(p)
		if err := l.write(p[:n]); err != nil {
			return err
		}
	}
	err := l.sayAtBoundary(*farewell)
	l.frames.Skip(p[n:])
	return err
}

// end says the lane's farewell at once if no frame is under way; else the next
// carry does. It waits for a write that is: whoever calls it bounds that by
// closing the connections.
func (l *lane) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	_ = l.sayAtBoundary(*l.farewell.Load()) // who cannot be told will see the connection end
}

// sayAtBoundary says the farewell between two frames, unless that end has been
// told already that it is over.
func (l *lane) sayAtBoundary(farewell []byte) error {
	if l.said.Load() || !l.frames.Boundary() {
		return nil
	}
	defer l.said.Store(true)
	if l.frames.Closed() {
		return nil
	}
	return l.write(farewell)
}

// answered reports whether the source has closed the WebSocket on its part.
func (l *lane) answered() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.frames.Closed()
}

func (l *lane) write(p []byte) error {
	if l.limit != nil {
		if err := l.limit(time.Now().Add(l.pause)); err != nil {
			return err
		}
	}
	_, err := l.to.Write(p)
	return err //nolint:wrapcheck // nobody reads it: a connection has ended
}
