package faultproxy

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"
)

// Direction is a way through a link.
type Direction byte

// The directions of a link: to the server, to the client that has connected to
// it, and both.
const (
	Up   Direction = 1
	Down Direction = 2
	Both           = Up | Down
)

const (
	dialTimeout  = 2 * time.Second
	writeTimeout = 30 * time.Second
	maxPairs     = 4096
)

// Link is a proxy for one way from a client to a server. Its methods may be
// called at any time.
type Link struct {
	name, target string
	listener     net.Listener
	ctx          context.Context // ends with Close
	cancel       context.CancelFunc
	group        sync.WaitGroup

	mu      sync.Mutex
	cut     bool
	stalled Direction
	delay   time.Duration
	jitter  time.Duration
	changed chan struct{} // closed and replaced whenever one of those has changed
	pairs   map[*pair]struct{}
}

// Open starts a link to the address target on a free port of 127.0.0.1.
func Open(name, target string) (*Link, error) {
	listener, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("open link %s: %w", name, err)
	}
	l := &Link{name: name, target: target, listener: listener, changed: make(chan struct{}), pairs: map[*pair]struct{}{}}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	l.group.Go(l.accept)
	return l, nil
}

// Name is the name that the link was opened with.
func (l *Link) Name() string { return l.name }

// Addr is where the link takes connections.
func (l *Link) Addr() string { return l.listener.Addr().String() }

// Cut resets all connections and every new one, until Heal.
func (l *Link) Cut() {
	l.set(func() { l.cut = true })
	l.Reset()
}

// Reset resets all connections once; new ones pass.
func (l *Link) Reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for p := range l.pairs {
		p.reset()
	}
}

// Stall lets nothing pass in a direction (or both) until Heal. Connections
// stay open and new ones are taken.
func (l *Link) Stall(d Direction) { l.set(func() { l.stalled = d }) }

// Delay holds everything back for d and up to jitter more, each way, until
// Heal.
func (l *Link) Delay(d, jitter time.Duration) { l.set(func() { l.delay, l.jitter = d, jitter }) }

// Heal ends what Cut, Stall and Delay have begun.
func (l *Link) Heal() { l.set(func() { l.cut, l.stalled, l.delay, l.jitter = false, 0, 0, 0 }) }

// Connections is the number of open connections.
func (l *Link) Connections() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.pairs)
}

// Close resets all connections, takes no more, and waits for its goroutines.
func (l *Link) Close() error {
	l.cancel()
	err := l.listener.Close()
	l.Reset()
	l.group.Wait()
	if err != nil && !errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("close link %s: %w", l.name, err)
	}
	return nil
}

func (l *Link) set(change func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	change()
	close(l.changed)
	l.changed = make(chan struct{})
}

func (l *Link) accept() {
	for {
		conn, err := l.listener.Accept()
		if err != nil {
			return // closed
		}
		l.mu.Lock()
		refuse := l.cut || len(l.pairs) >= maxPairs
		l.mu.Unlock()
		if refuse {
			resetConn(conn)
			continue
		}
		l.group.Go(func() { l.carry(conn) })
	}
}

// carry joins a client to the server until one of them ends or the link is cut.
func (l *Link) carry(client net.Conn) {
	dialer := net.Dialer{Timeout: dialTimeout}
	server, err := dialer.DialContext(l.ctx, "tcp", l.target)
	if err != nil {
		resetConn(client)
		return
	}
	p := &pair{link: l, client: client, server: server, done: make(chan struct{})}
	l.mu.Lock()
	if l.cut || l.ctx.Err() != nil {
		l.mu.Unlock()
		resetConn(client)
		resetConn(server)
		return
	}
	l.pairs[p] = struct{}{}
	l.mu.Unlock()
	p.run()
	l.mu.Lock()
	delete(l.pairs, p)
	l.mu.Unlock()
}

// passage is the state of a link in one direction.
func (l *Link) passage(d Direction) (stalled bool, changed <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.stalled&d != 0, l.changed
}

func (l *Link) held() (delay, jitter time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.delay, l.jitter
}
