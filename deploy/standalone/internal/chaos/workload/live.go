package workload

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"gatehouse.internal/deploy/standalone/internal/chaos/history"
)

// The bounds of live connections.
const (
	pingPause = 100 * time.Millisecond
	longest   = 15 * time.Second // for which a client holds one
	patience  = 20 * time.Second // without an answer, before the client gives up
)

// Hold has some clients hold live connections through every gateway, WebSockets
// and event streams, until ctx ends; then it ends those that are still open. A
// connection that has ended gives way to one of another session. On each gateway
// there is a WebSocket for every bound, so that one of them is the first to end
// when the gateway knows too little.
func (w *Workload) Hold(ctx context.Context) {
	var group sync.WaitGroup
	defer group.Wait()
	for node := range w.urls {
		for i := range len(bounds) + 1 {
			rng := w.source(400 + uint64(10*node+i)) //nolint:gosec // small
			hold := func(s *session) { w.holdSocket(ctx, s, node, i, rng) }
			if i == len(bounds) {
				hold = func(s *session) { w.holdStream(ctx, s, node, rng) }
			}
			group.Go(func() {
				repeat(ctx, w.Rest, func() {
					if s := w.pick(rng); s != nil {
						hold(s)
					}
				})
			})
		}
	}
}

// begun notes what a live connection is before it begins, and gives its token,
// its path, and for how long the client will hold it.
func (w *Workload) begun(o *history.Op, s *session, route int, rng *rand.Rand) (t watched, path string, last time.Duration) {
	t, _ = s.pair()
	o.User, o.Session, o.Token, o.Bound, o.Start = s.user.id, t.Session, t.ID, bounds[route].bound, w.Recorder.Now()
	return t, strings.TrimSuffix(bounds[route].path, "x") + string(o.Kind), time.Duration(rng.Int64N(int64(longest)))
}

// heard notes that something came over a live connection.
func (w *Workload) heard(l *history.Life) {
	now := w.Recorder.Now()
	if now-l.Heard > history.Stall {
		l.Stalled = now
	}
	l.Heard = now
}

// holdStream opens an event stream and reads it to its end, or to ours.
func (w *Workload) holdStream(ctx context.Context, s *session, node int, rng *rand.Rand) {
	o := history.Op{Kind: history.Stream, Node: node}
	t, path, last := w.begun(&o, s, rng.IntN(len(bounds)), rng)
	defer func() { o.End = w.Recorder.Now(); w.Recorder.Add(o) }()
	ctx, cancel := context.WithTimeout(ctx, last+callTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, w.urls[node]+path, http.NoBody)
	if err != nil {
		return
	}
	req.Header.Set("Authorization", "Bearer "+t.raw)
	response, err := w.client.Do(req)
	if err != nil {
		return
	}
	defer response.Body.Close() //nolint:errcheck // read to its end, or no longer wanted
	if o.Status = response.StatusCode; o.Status != http.StatusOK {
		o.Code = codeOf(response.Body)
		return
	}
	o.Life = &history.Life{Heard: w.Recorder.Now()}
	silent := time.AfterFunc(patience, cancel)
	defer silent.Stop()
	buffer := make([]byte, 4096)
	for {
		if _, err := response.Body.Read(buffer); err != nil {
			o.Life.Ours = ctx.Err() != nil
			return
		}
		w.heard(o.Life)
		silent.Reset(patience)
	}
}

// holdSocket opens a WebSocket and has texts echoed over it until it is closed,
// or the client has had enough.
func (w *Workload) holdSocket(ctx context.Context, s *session, node, route int, rng *rand.Rand) {
	o := history.Op{Kind: history.Socket, Node: node}
	t, path, last := w.begun(&o, s, route, rng)
	defer func() { o.End = w.Recorder.Now(); w.Recorder.Add(o) }()
	conn, in, err := w.openSocket(ctx, node, path, t.raw, &o)
	if err != nil {
		return
	}
	defer conn.Close() //nolint:errcheck // it has ended
	o.Life = &history.Life{Heard: w.Recorder.Now()}
	ctx, cancel := context.WithTimeout(ctx, last)
	defer cancel()
	defer context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Now().Add(callTimeout)) })() // an answer under way may come
	for {
		// A gateway that has closed the connection has sent its close frame before.
		_, _ = conn.Write([]byte{0x81, 0x82, 0, 0, 0, 0, 'h', 'i'})
		if ctx.Err() == nil {
			_ = conn.SetDeadline(time.Now().Add(patience))
		}
		status, err := answered(in)
		switch timeout, _ := errors.AsType[net.Error](err); {
		case err == nil:
			w.heard(o.Life)
		case timeout != nil && timeout.Timeout():
			o.Life.Ours = true
			return
		default:
			o.Life.Closed = status
			return
		}
		select {
		case <-ctx.Done():
			o.Life.Ours = true
			return
		case <-time.After(pingPause):
		}
	}
}

// openSocket switches a connection to WebSocket (RFC 6455 section 4.1), and
// notes what it is answered.
func (w *Workload) openSocket(ctx context.Context, node int, path, token string, o *history.Op) (net.Conn, *bufio.Reader, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	at, err := url.Parse(w.urls[node])
	if err != nil {
		return nil, nil, fmt.Errorf("open a WebSocket: %w", err)
	}
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", at.Host)
	if err != nil {
		return nil, nil, fmt.Errorf("open a WebSocket: %w", err)
	}
	_ = conn.SetDeadline(time.Now().Add(callTimeout)) // an error shows in what follows
	_, _ = fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", path, at.Host, token)
	in := bufio.NewReader(conn)
	response, err := http.ReadResponse(in, nil) //nolint:bodyclose // it ends with the connection
	if err == nil {
		if o.Status = response.StatusCode; o.Status == http.StatusSwitchingProtocols {
			return conn, in, nil
		}
		o.Code = codeOf(response.Body)
		err = errors.New(response.Status)
	}
	_ = conn.Close()
	return nil, nil, fmt.Errorf("open a WebSocket: %w", err)
}

// answered reads the echo of "hi". Anything else is an error; a close frame's
// status is given with it.
func answered(in io.Reader) (closed int, err error) {
	var frame [4]byte
	if _, err := io.ReadFull(in, frame[:]); err != nil {
		return 0, fmt.Errorf("read a frame: %w", err)
	}
	if frame[0] == 0x88 && frame[1] >= 2 {
		return int(binary.BigEndian.Uint16(frame[2:])), errors.New("the WebSocket was closed")
	}
	if frame != [4]byte{0x81, 2, 'h', 'i'} {
		return 0, fmt.Errorf("%x is no echo", frame)
	}
	return 0, nil
}
