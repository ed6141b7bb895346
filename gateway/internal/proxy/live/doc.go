// Package live knows the long answers under way — WebSockets, event streams,
// downloads — and decides when one must end before its time: when its token,
// session, user or key is revoked, when its token has expired, when this node's
// knowledge becomes older than its route allows, and when the gateway stops.
//
// It promises that an answer is told to end as soon as a revocation that
// concerns it is applied, whether that was before or after it was registered,
// and that neither the number of answers nor a source that hangs delays the
// end of another. What it keeps is bounded by the answers under way. It ends
// nothing itself, and refuses to end an answer twice.
//
//	Applied ──────────► look up by jti, sid, user, kid ──┐
//	judge (100 ms) ───► too old? then ask, once a token ─┼─► due ─► Ender.End
//	timer of a token ─► it expires ──────────────────────┘
package live
