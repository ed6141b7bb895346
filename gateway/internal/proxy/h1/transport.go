package h1

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// Options make a Transport. All of them must be given.
type Options struct {
	// Dial connects to a target. What it returns should be the connection of
	// the operating system: only there can be seen, without waiting, whether
	// an idle connection is still good, so others are used once.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// AnswerTimeout is how long a target may take to begin its answer once the
	// request was sent, and up to a quarter more.
	AnswerTimeout time.Duration
	// WriteTimeout is how long a target may leave unread what is sent to it.
	WriteTimeout time.Duration
	// ContinueTimeout is how long a request with Expect: 100-continue waits
	// with its body for a target that says nothing (RFC 9110 section 10.1.1).
	ContinueTimeout time.Duration
	IdleTimeout     time.Duration
	MaxIdle         int // connections kept, for each target
	MaxConns        int // connections, for each target
	MaxHead         int // bytes of an answer's head and its interim answers
}

// Informed is a context that wants to know of interim answers (1xx other than
// 101). Interim is called while RoundTrip runs, in its goroutine; an error
// ends the call with it.
type Informed interface {
	Interim(status int, header http.Header) error
}

// Field is a line of a head. Its name is a token (RFC 9110 section 5.6.2).
type Field struct{ Name, Value string }

// Telling is a context that has fields for the head of the request besides
// those of its header, which are none of them, nor of framing. Told is called
// while RoundTrip runs, which keeps no reference to what it returns.
type Telling interface {
	Told() []Field
}

// Transport carries requests to targets. It is safe for concurrent use.
type Transport struct {
	o       Options
	closed  atomic.Bool
	renewed atomic.Int64 // how often connections were taken out of use
	senders sync.WaitGroup

	mu    sync.RWMutex
	pools map[string]*pool // by host and port; targets are configured, so they are few
}

// New returns a transport without connections.
func New(o Options) *Transport { return &Transport{o: o, pools: map[string]*pool{}} }

var (
	errScheme = errors.New("h1 carries plain http alone")
	errClosed = errors.New("the transport is closed")
)

// RoundTrip sends a request and returns the answer, whose body comes as it is
// read. The body of an answer must be read to its end or closed; until then,
// the end of the request's context ends it. It has WriteTo, which spares its
// reader the memory.
//
// The URL's Opaque, if there is one, is the path in the very bytes that are
// sent; it is followed by the query. The request's body is never closed: it
// may be read until the body of the answer is closed or, if there is none,
// until RoundTrip has returned; a read of it that is under way then goes on,
// and its caller must end it. Of a body of up to smallBody bytes the first
// are read before a connection is taken, and go out with the head; if none can
// be had, the request gets another body, with the same bytes.
//
// Errors of Dial and of the body are wrapped.
func (t *Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL == nil || r.URL.Scheme != "http" {
		return nil, errScheme
	}
	if t.closed.Load() {
		return nil, errClosed
	}
	k := call{t: t, req: r, pool: t.pool(r.URL.Host)}
	if err := k.compose(); err != nil {
		giveBack(k.message)
		return nil, err
	}
	res, err := k.try(false)
	for err != nil && k.unseen(err) { // until there is no idle connection, or a fresh one has failed
		res, err = k.try(!errors.Is(err, errNotQuiet))
	}
	if err != nil {
		if gone := r.Context().Err(); gone != nil {
			return nil, gone //nolint:wrapcheck // it is the caller's own
		}
		return nil, err
	}
	return res, nil
}

// pool gives the connections to one target.
func (t *Transport) pool(host string) *pool {
	t.mu.RLock()
	p := t.pools[host]
	t.mu.RUnlock()
	if p != nil {
		return p
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if p = t.pools[host]; p == nil {
		address := host
		if _, _, err := net.SplitHostPort(host); err != nil {
			address = net.JoinHostPort(host, "80")
		}
		p = &pool{t: t, address: address}
		t.pools[host] = p
	}
	return p
}

// CloseIdleConnections closes the connections that carry nothing now.
func (t *Transport) CloseIdleConnections() {
	t.mu.RLock()
	defer t.mu.RUnlock()
	for _, p := range t.pools {
		p.drop(func(*conn) bool { return true })
	}
}

// Renew has no connection that was made before carry another request: idle
// ones are closed, those in use after their answer.
func (t *Transport) Renew() {
	t.renewed.Add(1)
	t.CloseIdleConnections()
}

// Close closes idle connections, has those in use closed after their answer,
// and waits for the bodies of requests that are still sent, whose reads must
// have been ended.
func (t *Transport) Close() error {
	t.closed.Store(true)
	t.CloseIdleConnections()
	t.senders.Wait()
	return nil
}

var _ interface {
	http.RoundTripper
	io.Closer
} = (*Transport)(nil)
