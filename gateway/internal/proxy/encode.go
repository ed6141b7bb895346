package proxy

import (
	"io"
	"net/http"
	"time"

	"gatehouse.internal/gateway/internal/proxy/coding"
)

// sink is where the body of an answer goes; Wait is called before more of it is
// waited for.
type sink interface {
	io.Writer
	Wait() error
}

// choose decides whether the answer is encoded, where its route wants that, and
// makes its header say so.
func (x *exchange) choose(res *http.Response) error {
	if len(x.call.Compress) == 0 {
		return nil
	}
	if res.StatusCode == http.StatusNotModified {
		coding.Vary(res.Header)
		coding.NotModified(x.asked, res.Header)
		return nil
	}
	if !coding.Fits(x.asked, res) {
		return nil
	}
	coding.Vary(res.Header)
	name := coding.Choose(x.asked["Accept-Encoding"], x.call.Compress)
	if name == "" || x.http10 {
		return nil
	}
	if res.Body != http.NoBody {
		encoder, err := x.proxy.encoders.Lend(name, x)
		if err != nil || encoder == nil {
			return err //nolint:wrapcheck // it says what was attempted
		}
		x.encoder = encoder
	}
	coding.Announce(res.Header, name) // of an answer to HEAD, too
	return nil
}

// encoded is the sink of an answer that is encoded on its way to the client.
type encoded struct {
	x    *exchange
	held bool // the encoder may hold something that has come
}

// Write encodes some of the answer. The client may get it later, but something
// has moved.
func (e *encoded) Write(p []byte) (int, error) {
	e.held = true
	if !e.x.quiet {
		e.x.moved.Store(int64(time.Since(e.x.started)))
	}
	return e.x.encoder.Write(p) //nolint:wrapcheck // nobody reads it: the answer is cut off
}

// Wait sends on what has come, where the answer may be a stream.
func (e *encoded) Wait() error {
	if e.held && e.x.eager {
		e.held = false
		if err := e.x.encoder.Flush(); err != nil {
			return err //nolint:wrapcheck // as above
		}
	}
	return e.x.Wait()
}
