package limit_test

import (
	"net"
	"net/url"
	"sync"
	"testing"
)

// toggle is a TCP proxy that can be turned off.
type toggle struct {
	listener net.Listener
	backend  string
	mu       sync.Mutex
	off      bool
	open     []net.Conn
	wg       sync.WaitGroup
}

func newSwitch(t *testing.T, server string) *toggle {
	t.Helper()
	parsed, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &toggle{listener: listener, backend: parsed.Host}
	p.wg.Go(p.serve)
	t.Cleanup(func() {
		p.turnOff()
		_ = listener.Close()
		p.wg.Wait()
	})
	return p
}

func (p *toggle) url() string { return "redis://" + p.listener.Addr().String() }

func (p *toggle) serve() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", p.backend)
		if err != nil {
			_ = client.Close()
			continue
		}
		if !p.keep(client, server) {
			_, _ = client.Close(), server.Close()
			continue
		}
		p.wg.Go(func() { pipe(client, server) })
		p.wg.Go(func() { pipe(server, client) })
	}
}

func pipe(from, to net.Conn) {
	buffer := make([]byte, 4096)
	for {
		n, err := from.Read(buffer)
		if err != nil {
			_ = to.Close()
			return
		}
		if _, err := to.Write(buffer[:n]); err != nil {
			_ = from.Close()
			return
		}
	}
}

func (p *toggle) keep(connections ...net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.off {
		return false
	}
	p.open = append(p.open, connections...)
	return true
}

func (p *toggle) turnOff() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.off = true
	for _, c := range p.open {
		_ = c.Close()
	}
	p.open = nil
}

func (p *toggle) turnOn() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.off = false
}
