package live

import (
	"time"

	"gatehouse.internal/shared/contract"
	"gatehouse.internal/shared/fault"
)

// Kind is what a long answer is.
type Kind byte

// The kinds of long answers.
const (
	Other       Kind = iota // a download, a long poll: it ends by itself
	EventStream             // text/event-stream
	WebSocket
	kinds
)

// Kinds are all kinds.
func Kinds() []Kind { return []Kind{Other, EventStream, WebSocket} }

// String is the kind in metrics.
func (k Kind) String() string { return [kinds]string{"other", "event_stream", "websocket"}[k] }

// endless reports whether an answer would not end by itself.
func (k Kind) endless() bool { return k != Other }

// Cause is why an answer ended. Where a request would be refused for the same
// cause, it is the code of that refusal.
type Cause string

// The causes.
const (
	Ended    Cause = "ended" // by itself, or by one of its two ends
	Revoked  Cause = Cause(fault.TokenRevoked)
	Stale    Cause = Cause(fault.TokenStale)
	Expired  Cause = Cause(fault.TokenExpired)
	Unknown  Cause = Cause(fault.RevocationStateUnknown)
	Stopping Cause = "gateway_stopping"
)

// Ender ends an answer.
type Ender interface {
	// End is called at most once for an answer, from another goroutine than its
	// own. It must not wait for either end of the answer.
	End(Cause)
}

// Answer is a long answer under way. The fields are set before it is added.
type Answer struct {
	Kind         Kind
	Claims       *contract.Claims // nil for nobody, whom nothing can revoke
	MaxStaleness time.Duration    // how old knowledge of revocations may be
	Until        time.Time        // when it ends for its token's sake; zero for never
	Ender        Ender

	ending bool // guarded by the registry's lock, like what follows
	timer  *time.Timer
}
