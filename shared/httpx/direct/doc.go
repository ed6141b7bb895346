// Package direct serves the plainest requests of HTTP/1.1, which are most:
// those in clear, whose head is not large, without a body or with one whose
// length is told in one plain number. It decides whether a request is one of
// them, calls the handler, and writes the answer, for less than half of what
// net/http's server needs, because it knows no other kind. Whatever else comes on a connection it gives to net/http, together with the
// rest of that connection and in the very bytes that came; so it refuses
// nothing by itself, and every refusal is that of one place.
//
// It promises that a request that it takes is, to the handler, the same one
// that package framing would let pass and net/http would read, with the same
// end (FuzzParse holds it to that); that answers are framed in one way, and no
// value in them can end a line; that one handler runs at a time on a
// connection, and answers are in the order of requests; that a request's
// context ends when its client goes away, its body does not come, its answer
// cannot be sent or the handler returns; that not one byte behind a body is
// read as part of it, nor one of it as the next request, whatever handlers do
// and for how long they read; and that heads, waits, what is left of bodies
// and idle connections are bounded.
//
//	Serve ─► parse ─► handler ─► answer ─┐     a connection between two
//	  ▲        └────► hand over          │     requests holds no buffers
//	  └──────────────────────────────────┘
package direct
