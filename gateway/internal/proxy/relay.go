package proxy

import (
	"errors"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"gatehouse.internal/gateway/internal/proxy/h1"
	"gatehouse.internal/gateway/internal/proxy/live"
	"gatehouse.internal/gateway/internal/upstream"
	"gatehouse.internal/shared/contract"
)

// An exchange says what the gateway has to tell the upstream, is told of interim
// answers, and writes the body of the final one.
var (
	_ h1.Telling  = (*exchange)(nil)
	_ h1.Informed = (*exchange)(nil)
	_ h1.Waiter   = (*exchange)(nil)
)

// Told gives what the gateway says beside the client's fields.
func (x *exchange) Told() []h1.Field { return x.header.said[:x.header.n] }

// Interim gives the client an interim answer, which takes nothing with it of
// what the gateway says. HTTP/1.0 knows none (RFC 9110 section 15.2).
func (x *exchange) Interim(status int, fields http.Header) error {
	if x.http10 {
		return nil
	}
	x.clean(fields)
	x.informed = true
	header := x.client.Header()
	clear(header)
	maps.Copy(header, fields)
	x.client.WriteHeader(status)
	clear(header)
	maps.Copy(header, x.given)
	return nil
}

// relay gives the client the upstream's answer. It returns an error if the
// answer was not begun.
func (x *exchange) relay(res *http.Response) error {
	defer func() { _ = res.Body.Close() }()
	if err := x.prepare(res); err != nil {
		return err
	}
	if err := x.choose(res); err != nil {
		return err
	}
	if res.Body != http.NoBody {
		if err := x.lookAfter(res); err != nil {
			return err
		}
	}
	header := x.say(res.Header)
	if _, typed := header["Content-Type"]; !typed {
		header["Content-Type"] = nil // else the server guesses, and what a stranger has stored may become a page
	}
	var announced []string
	if len(res.Trailer) > 0 {
		announced = slices.Sorted(maps.Keys(res.Trailer))
		header["Trailer"] = []string{strings.Join(announced, ", ")}
	}
	if x.body.unread() { // the client still sends, and what comes on its connection is no request
		_ = http.NewResponseController(x.client).EnableFullDuplex() // not known to HTTP/2, which needs none
		if x.http1 {
			header["Connection"] = []string{"close"}
		}
	}
	x.committed = true
	x.client.WriteHeader(res.StatusCode)
	if res.Body != http.NoBody {
		x.carry(res)
	}
	x.trail(res.Trailer, announced)
	return nil
}

// say adds the upstream's fields to what the gateway says in the header of the
// answer, which it returns.
func (x *exchange) say(fields http.Header) http.Header {
	header := x.client.Header()
	if len(header) == 0 {
		if taking, ok := x.client.(interface{ TakeHeader(h http.Header) bool }); ok && taking.TakeHeader(fields) {
			return fields
		}
	}
	for name, values := range fields {
		if before, has := header[name]; has {
			values = append(before, values...)
		}
		header[name] = values
	}
	return header
}

// carry gives the client the body of the answer. One that cannot be finished is
// cut off.
func (x *exchange) carry(res *http.Response) {
	x.pending = true // the head
	var to sink = x
	if x.encoder != nil {
		to = &encoded{x: x}
	}
	var err error
	if from, ok := res.Body.(io.WriterTo); ok {
		_, err = from.WriteTo(to)
	} else {
		err = copyBody(to, res.Body, &x.proxy.buffers)
	}
	if err == nil && x.encoder != nil {
		err = x.encoder.Close()
	}
	if err == nil {
		return
	}
	if x.lost == nil && !x.cut.Load() && x.Err() == nil {
		x.outcome = upstream.Failed // nobody else can have ended it
	}
	panic(http.ErrAbortHandler)
}

// copyBody copies a body that cannot do so itself.
func copyBody(to sink, body io.Reader, from *buffers) error {
	memory := from.lend()
	defer from.takeBack(memory)
	for {
		if err := to.Wait(); err != nil {
			return err //nolint:wrapcheck // nobody reads it: the answer is cut off
		}
		n, err := body.Read(memory[:])
		if n > 0 {
			if _, err := to.Write(memory[:n]); err != nil {
				return err //nolint:wrapcheck // as above
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err //nolint:wrapcheck // nobody reads it: the answer is cut off
		}
	}
}

// Write gives the client some of the answer, and notes that something moves.
func (x *exchange) Write(p []byte) (int, error) {
	x.pending = true
	var n int
	err := x.moving(func() (err error) { n, err = x.client.Write(p); return err })
	if err != nil {
		x.lost = err
	}
	return n, err
}

// Wait sends on what is held back, before more is waited for, where the answer
// may be a stream.
func (x *exchange) Wait() error {
	if !x.eager || !x.pending {
		return nil
	}
	x.pending = false
	if err := x.moving(http.NewResponseController(x.client).Flush); err != nil && !errors.Is(err, http.ErrNotSupported) {
		x.lost = err
		return err //nolint:wrapcheck // nobody reads it: the answer is cut off
	}
	return nil
}

// moving has the client take something. While that lasts, an answer that may
// else be silent stands still like any other.
func (x *exchange) moving(send func() error) error {
	if !x.watched { // there is nobody who would look
		return send()
	}
	x.moved.Store(int64(time.Since(x.started)))
	err := send()
	if x.quiet {
		x.moved.Store(idle)
	}
	return err
}

// trail sends what came after the body. Fields of the gateway's own and those
// that no service may set are not among it.
func (x *exchange) trail(fields http.Header, announced []string) {
	if len(fields) == 0 {
		return
	}
	x.clean(fields)
	delete(fields, contract.HeaderRequestID)
	_ = http.NewResponseController(x.client).Flush() // has net/http send the body in chunks, behind which fields can stand
	header := x.client.Header()
	for name, values := range fields {
		if _, said := slices.BinarySearch(announced, name); !said {
			name = http.TrailerPrefix + name
		}
		header[name] = values
	}
}

// lookAfter finds out how an answer with a body moves, and has it watched. One
// that is there as a whole is over with one write, which the server bounds.
func (x *exchange) lookAfter(res *http.Response) error {
	if there, ok := res.Body.(h1.Whole); ok && there.Whole() {
		return x.refusedMeanwhile()
	}
	events := isEventStream(res.Header)
	x.quiet = events || x.proxy.http2 && isGRPC(res.Header)
	x.eager = x.quiet || res.ContentLength < 0
	if err := x.watchOver(res.Body); err != nil {
		return err
	}
	if events {
		x.register(live.EventStream)
	}
	return nil
}

// buffers lends the memory through which bodies are copied.
type buffers struct{ pool sync.Pool }

const bufferSize = 32 << 10

func (b *buffers) lend() *[bufferSize]byte {
	if lent, ok := b.pool.Get().(*[bufferSize]byte); ok {
		return lent
	}
	return new([bufferSize]byte)
}

func (b *buffers) takeBack(p *[bufferSize]byte) { b.pool.Put(p) }
