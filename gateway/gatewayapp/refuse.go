package gatewayapp

import (
	"io"
	"net/http"
	"time"

	"gatehouse.internal/shared/httpx"
)

// What is read of a body that was refused, after the answer has been sent, so
// that a client which is still sending gets to read the answer and not a reset
// connection; and for how long.
const (
	smallBody  = 64 << 10
	drainBytes = 8 << 20
	drainTime  = 2 * time.Second
)

// refuse answers with a problem document. A client that stalls in the middle
// of its body waits for nothing and nobody waits for it.
func refuse(w http.ResponseWriter, r *http.Request, err error) {
	if r.ProtoMajor != 1 || r.ContentLength == 0 || r.Body == nil {
		httpx.WriteProblem(w, r, err)
		return
	}
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Now().Add(drainTime)) // without deadlines the bounds on bytes remain
	if r.ContentLength > 0 && r.ContentLength <= smallBody {
		httpx.WriteProblem(w, r, err) // net/http reads the rest, and the connection lives on
		return
	}
	expects := r.Header.Get("Expect") != ""
	if !expects {
		_ = control.EnableFullDuplex() // the answer goes out before the body has been read
	}
	w.Header().Set("Connection", "close")
	httpx.WriteProblem(w, r, err)
	_ = control.Flush()
	if expects {
		return // nobody asked for the body, so it is not coming
	}
	_ = control.SetReadDeadline(time.Now().Add(drainTime))
	_, _ = io.CopyN(io.Discard, r.Body, drainBytes)
}
