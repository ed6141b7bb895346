package proxy

import (
	"time"

	"gatehouse.internal/gateway/internal/route"
	"gatehouse.internal/shared/contract"
)

// Call is what was decided about a request before it is carried on. It must
// not change while it is served.
type Call struct {
	// Path is the path for the upstream, in the very bytes that were authorised
	// (but for the route's own rewrite). It begins with a slash.
	Path string
	// Taken is the beginning of the client's path for which Put stands in Path;
	// both are empty where nothing was rewritten.
	Taken, Put string
	// Query is what stood behind the first question mark; HasQuery tells an
	// empty query from none.
	Query    string
	HasQuery bool

	Origin      Origin
	RequestID   string
	TraceParent string // W3C trace context for the upstream; "" sends none

	// Claims and Token are those of the caller. Claims are nil for a caller who
	// is not signed in; a Token is then one that nobody has judged, for an
	// upstream that does so itself and has no other way to see it.
	Claims *contract.Claims
	Token  string
	// Assertion is what the gateway signs of the caller for the upstream; "" for
	// nothing.
	Assertion string
	// KeepAuthorization forwards the client's own Authorization: for routes
	// where the gateway asks for no token and has no claim on that field.
	KeepAuthorization bool
	// WithholdAuthorization keeps every Authorization from the upstream, the
	// caller's token included.
	WithholdAuthorization bool

	// RequestHeaders and ResponseHeaders are the route's changes to what the
	// upstream gets and to what it answers; nil for none. What the gateway
	// itself says is said after them.
	RequestHeaders, ResponseHeaders *route.HeaderRules

	// Compress are the codings in which the answer may be sent, the better one
	// first; none for an answer that goes out as it came.
	Compress []string

	WebSocket    bool          // whether the client may switch to the WebSocket protocol
	MaxBody      int64         // bytes of the request's body; 0 is unlimited
	MaxStaleness time.Duration // for how long a long answer may live on old knowledge of revocations
	Total        time.Duration // from the call to the end of its answer; 0 is unlimited. It does not hold for WebSockets
	EndAtExpiry  bool          // a long answer ends when the caller's token expires
}
