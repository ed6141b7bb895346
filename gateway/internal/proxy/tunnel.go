package proxy

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"gatehouse.internal/gateway/internal/proxy/live"
	"gatehouse.internal/gateway/internal/proxy/websocket"
)

// The bounds of ending a WebSocket before its time.
const (
	// frameWait is how long the frame that is under way may take to come to its
	// end, so that a close frame can follow it.
	frameWait = 500 * time.Millisecond
	// answerWait is how long the ends may take to answer the close frame.
	answerWait = time.Second
)

// tunnel is a WebSocket between a client and an upstream.
type tunnel struct {
	client   net.Conn
	upstream io.ReadWriteCloser
	up, down lane // to the upstream, to the client
	pause    time.Duration
	end      chan live.Cause // of size 1
	gone     <-chan struct{} // the request's context has ended
}

// tunnel carries a WebSocket which the upstream has granted until one of its
// ends has had enough or it must end. The connection is the client's own from
// here on, so that nothing but the frames' bounds decides where the gateway
// has its say.
func (x *exchange) tunnel(res *http.Response) error {
	x.ending = make(chan live.Cause, 1)
	upstream, ok := res.Body.(io.ReadWriteCloser)
	if !ok {
		return fmt.Errorf("switch protocols: the upstream's connection is a %T", res.Body)
	}
	defer func() { _ = upstream.Close() }()
	if err := x.prepare(res); err != nil {
		_, err = x.judge(err)
		return err
	}
	client, buffered, err := http.NewResponseController(x.client).Hijack()
	if err != nil {
		return fmt.Errorf("take over the client's connection: %w", err)
	}
	defer func() { _ = client.Close() }()
	x.committed = true
	t := &tunnel{client: client, upstream: upstream, pause: x.proxy.pause, end: x.ending, gone: x.Done()}
	t.up = lane{from: buffered.Reader, to: upstream}
	t.down = lane{from: upstream, to: client, limit: client.SetWriteDeadline, pause: t.pause}
	if err := t.greet(x.client.Header(), res.Header); err == nil {
		x.register(live.WebSocket)
		t.run()
	}
	return nil
}

// greet sends the client the head that switches protocols.
func (t *tunnel) greet(ours, theirs http.Header) error {
	delete(theirs, "Content-Length")
	for name, values := range theirs {
		ours[name] = append(ours[name], values...)
	}
	ours["Connection"], ours["Upgrade"] = []string{"Upgrade"}, []string{"websocket"}
	head := http.Response{StatusCode: http.StatusSwitchingProtocols, ProtoMajor: 1, ProtoMinor: 1, Header: ours}
	if err := t.client.SetWriteDeadline(time.Now().Add(t.pause)); err != nil {
		return fmt.Errorf("switch protocols: %w", err)
	}
	var whole bytes.Buffer
	_ = head.Write(&whole) // never fails (bytes.Buffer)
	if _, err := t.client.Write(whole.Bytes()); err != nil {
		return fmt.Errorf("switch protocols: %w", err)
	}
	return nil
}

// run carries both ways until both are over.
func (t *tunnel) run() {
	var group sync.WaitGroup
	defer group.Wait()
	defer func() { _ = t.client.Close(); _ = t.upstream.Close() }()
	over := make(chan laneEnd, 2)
	group.Go(func() { over <- laneEnd{&t.up, t.up.run()} })
	group.Go(func() { over <- laneEnd{&t.down, t.down.run()} })
	var late <-chan time.Time // while one end has nothing more to say
	for open := 2; open > 0; open-- {
		select {
		case cause := <-t.end:
			t.sayGoodbye(cause, over)
			return
		case <-t.gone:
			return
		case <-late:
			return
		case end := <-over:
			if end.err != nil || !halfClose(end.lane.to) {
				return
			}
		}
		late = time.After(t.pause)
	}
}

// laneEnd is how one direction has come to its end.
type laneEnd struct {
	lane *lane
	err  error
}

// halfClose tells one end that the other one has nothing more to say.
func halfClose(end io.Writer) bool {
	half, ok := end.(interface{ CloseWrite() error })
	return ok && half.CloseWrite() == nil
}

// sayGoodbye closes the WebSocket towards both ends: the client gets a close
// frame with the cause, the upstream one that says the client is leaving. Both
// may answer, within bounds; what else they say is dropped. If a frame has not
// ended in time, there is no place for a close frame and the connections end
// without.
func (t *tunnel) sayGoodbye(cause live.Cause, over <-chan laneEnd) {
	status, toUpstream := statusOf(cause)
	var key [4]byte
	_, _ = rand.Read(key[:]) // never fails (crypto/rand)
	var group sync.WaitGroup
	defer group.Wait()
	defer func() { _ = t.client.Close(); _ = t.upstream.Close() }() // ends a write that waits
	toClient, toServer := websocket.ServerClose(status, string(cause)), websocket.ClientClose(toUpstream, string(cause), key)
	t.down.farewell.Store(&toClient)
	t.up.farewell.Store(&toServer)
	group.Go(func() {
		t.down.end() // first: what the upstream does when it is told must not come before it
		t.up.end()
	})
	frame, answer := time.NewTimer(frameWait), time.NewTimer(answerWait)
	defer frame.Stop()
	defer answer.Stop()
	for open := 2; open > 0; {
		select {
		case end := <-over: // this end has answered, or has gone
			open--
			switch {
			case end.lane == &t.up && t.down.said.Load():
				_ = t.client.Close()
			case end.lane == &t.down && t.down.said.Load():
				_ = t.upstream.Close()
			case end.lane == &t.down:
				return // its frame will never end
			}
		case <-frame.C:
			if !t.down.said.Load() {
				return
			}
			t.up.said.Store(true) // the client's frame has had its time, too
		case <-answer.C:
			return
		}
	}
}

// statusOf gives the status with which a client is told of a cause, and the
// one for the upstream. 1013 and not a code of ours for a node that does not
// know enough: it is registered, and says what to do.
func statusOf(cause live.Cause) (client, upstream websocket.Status) {
	switch cause {
	case live.Unknown:
		return websocket.TryAgainLater, websocket.GoingAway
	case live.Stopping:
		return websocket.GoingAway, websocket.GoingAway
	}
	return websocket.Unauthorized, websocket.PolicyViolation
}
