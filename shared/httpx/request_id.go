package httpx

import (
	"context"
	"encoding/binary"
	"math/rand/v2"
	"net/http"

	"github.com/google/uuid"

	"gatehouse.internal/shared/contract"
)

// maxRequestID bounds a request id that comes from outside.
const maxRequestID = 128

type requestIDKey struct{} // of a *string

// RequestID gives the id of the request that ctx belongs to, or "".
func RequestID(ctx context.Context) string {
	if id, ok := ctx.Value(requestIDKey{}).(*string); ok {
		return *id
	}
	return ""
}

// WithRequestID returns a context that belongs to the request with this id.
func WithRequestID(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, requestIDKey{}, &id)
}

// requestID keeps the id that a trusted proxy has given, else makes one.
func requestID(header http.Header, trusted bool) string {
	if values := header.Values(contract.HeaderRequestID); trusted && len(values) == 1 && wellFormedID(values[0]) {
		return values[0]
	}
	return newID()
}

// newID makes a UUIDv7, whose order is the order of time. It is no secret, so
// what is random in it need not come from the system each time.
func newID() string {
	id, err := uuid.NewV7FromReader(random{})
	if err != nil { // the clock cannot be read; any unique text will do
		return string(appendRandomHex(appendRandomHex(nil)))
	}
	return id.String()
}

// random is ChaCha8 of a seed from the system.
type random struct{}

// Read fills p.
func (random) Read(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		var eight [8]byte
		binary.NativeEndian.PutUint64(eight[:], rand.Uint64())
		p = p[copy(p, eight[:]):]
	}
	return n, nil
}

// wellFormedID allows the characters that ids are made of in practice, so that
// an id is safe in logs, headers and subjects.
func wellFormedID(id string) bool {
	if id == "" || len(id) > maxRequestID {
		return false
	}
	for i := range len(id) {
		c := id[i]
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		if !letter && (c < '0' || c > '9') && c != '-' && c != '_' && c != '.' {
			return false
		}
	}
	return true
}
