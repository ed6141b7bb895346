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

// negotiate looks at what the client has asked for, where its route wants
// answers encoded. A part is asked for of the upstream only if the client
// cannot join it to bytes of an encoded answer: else the condition under which
// it wants a part does not hold, and it gets the whole (RFC 9110 section
// 13.1.5).
func (x *exchange) negotiate(method string, out http.Header) {
	if len(x.call.Compress) == 0 {
		return
	}
	x.fetch = method == http.MethodGet || method == http.MethodHead
	if len(out["Range"]) > 0 && coding.Joins(out, x.taken() != "") {
		delete(out, "Range")
		delete(out, "If-Range")
	}
	x.part = len(out["Range"]) > 0
}

// taken is the coding that the client likes best of those of the route; "" for
// none.
func (x *exchange) taken() string {
	if x.http10 {
		return ""
	}
	return coding.Choose(x.asked["Accept-Encoding"], x.call.Compress)
}

// choose decides whether the answer is encoded, where its route wants that, and
// makes its header say so.
func (x *exchange) choose(res *http.Response) error {
	if len(x.call.Compress) == 0 {
		return nil
	}
	if res.StatusCode == http.StatusNotModified {
		coding.Vary(res.Header)
		coding.NotModified(x.asked, res.Header, x.taken() != "")
		return nil
	}
	if x.part || !coding.Fits(x.asked, res) {
		return nil
	}
	coding.Vary(res.Header)
	name := x.taken()
	if name == "" {
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
	if x.fetch {                      // else the tag is that of what the request has made (RFC 9110 section 9.3.4)
		coding.Weaken(res.Header)
	}
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
