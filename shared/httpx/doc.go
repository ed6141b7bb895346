// Package httpx is how every service speaks HTTP. It decides what a server
// does around its handlers: request ids and trace context, one wide log record
// per request, strict JSON bodies, bounded bodies, security headers, problem
// documents (RFC 9457) for every failure, metrics, and the ops listener.
//
// It promises that a fault.Kind becomes the same status, code and headers in
// every service (ProblemFor is the only such table), that no internal text, and
// no stack, reaches a caller, and that what a caller sends cannot forge a log
// record. It holds clients to Limits, and a server that stops loses no request
// of theirs. Requests that are refused before any handler is called are answered
// with a problem document, too. It refuses what two parsers could read
// differently, in bodies and in the framing of requests (package framing). The
// plainest requests are served without net/http (package direct).
package httpx
