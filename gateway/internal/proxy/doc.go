// Package proxy carries a request that may pass to an upstream, and its answer
// back, safely. It decides nothing about who may pass; that is over when a
// Call is made.
//
// It promises that an upstream gets the path and the query byte for byte as
// they were authorised; that no client can set, change or remove what the
// gateway says of the caller, in any spelling of a header's name; that a
// protocol is switched only where the Call allows it and only after the
// upstream has granted it; that a request which is not idempotent is sent at
// most once, and another only again if it has no body and within a budget; that an answer cut short by the upstream looks cut short to the
// client; and that nothing waits for a stalled client or upstream for ever.
//
// What the client did wrong (a malformed body, one that is too large or too
// slow, going away) is told from what the upstream did wrong: only the latter
// counts against the health of a target.
//
//	Serve ─► outgoing (headers, identity, path) ─► roundTrip (choose a target, and
//	   ▲                                               another if that does no harm;
//	   └── relay (headers, streams, stalls) ◄────────── Transport)
package proxy
