package gatewayapp

import (
	"errors"
	"io"
	"net/http"
	"time"

	"gatehouse.internal/shared/fault"
	"gatehouse.internal/shared/httpx"
)

// What is read of a body that was refused, so that a client which is still
// sending gets to read the answer and not a reset connection; and for how long.
const (
	smallBody  = 64 << 10
	smallTime  = 50 * time.Millisecond
	drainBytes = 8 << 20
	drainTime  = 2 * time.Second
)

// refuse answers with a problem document. A small body that has come with the
// request is read first, and the connection lives on. Otherwise the answer goes
// out at once, a bounded rest is read, and the connection is closed, because
// what still comes on it must not be taken for a request.
func refuse(w http.ResponseWriter, r *http.Request, err error) {
	if r.ProtoMajor != 1 || r.ContentLength == 0 || r.Body == nil {
		httpx.WriteProblem(w, r, err)
		return
	}
	if r.Header.Get("Expect") != "" { // nobody asked for the body, so it is not coming
		w.Header().Set("Connection", "close")
		httpx.WriteProblem(w, r, err)
		return
	}
	control := http.NewResponseController(w)
	if r.ContentLength > 0 && r.ContentLength <= smallBody && drain(r, control, smallTime) {
		httpx.WriteProblem(w, r, err)
		return
	}
	_ = control.EnableFullDuplex() // the answer does not wait for the body
	w.Header().Set("Connection", "close")
	httpx.WriteProblem(w, r, err)
	_ = control.Flush()
	drain(r, control, drainTime)
}

// drain reads what is left of a body, within bounds, and reports whether it has
// come to the end.
func drain(r *http.Request, control *http.ResponseController, limit time.Duration) bool {
	if control.SetReadDeadline(time.Now().Add(limit)) != nil {
		return false
	}
	_, err := io.CopyN(io.Discard, r.Body, drainBytes)
	if !errors.Is(err, io.EOF) {
		return false // and the deadline stays
	}
	_ = control.SetReadDeadline(time.Time{}) // the server watches for the client's going away again
	return true
}

// nameRefused puts into the record of a refused request whose token it came with
// (S-A1), for refusals that say nothing against the token itself. The gate keeps
// to itself whom it refuses; the signature was checked just now, so finding out
// again costs a look into the cache.
func (p *pipeline) nameRefused(q *request, kind fault.Kind) {
	switch kind {
	case fault.TokenRevoked, fault.TokenStale, fault.RevocationStateUnknown, fault.CrossOriginDenied,
		fault.InsufficientRole, fault.EmailUnverified, fault.MFARequired:
	default:
		return
	}
	if claims, err := p.owner(q.r.Context(), q.token); err == nil {
		httpx.LogUser(q.r.Context(), claims.Subject)
	}
}
