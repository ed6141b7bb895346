// Package h1 is a client of HTTP/1.1 (RFC 9112) for a proxy: it carries one
// request over a plain connection to a target, and the answer back.
//
// It promises that a message is framed in one way or refused: what two readers
// could take for different answers is an error, and its connection is closed.
// A connection is used again only after an answer that came to its end with
// nothing behind it, and only if nothing has come on it since. A request is
// sent a second time only if the target cannot have seen it, or if it has no
// body and its method is safe, and then once, on a new connection.
//
// A call runs in the goroutine of its caller. Only a body of a request that is
// large, or whose length is unknown, has a goroutine of its own while it is
// sent, so that an answer which comes early is not missed; Close waits for it.
// Connections are bounded in number, heads in size, and every wait in time,
// except for the body of an answer, whose pace is the caller's to judge.
//
// It knows no TLS, no HTTP/2, no upgrades and no proxies, follows no
// environment, adds no fields of its own but those of framing, and leaves
// encodings as they are.
//
//	RoundTrip ─► pool (checked connection, or dial) ─► head ─► body ─► pool
//	                 ▲                                  │
//	                 └────── once more, if unseen ◄─────┘
package h1
