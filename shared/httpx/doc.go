// Package httpx is how every service speaks HTTP. It decides what a server
// does around its handlers: request ids and trace context, one wide log record
// per request, strict JSON bodies, bounded bodies, security headers, problem
// documents (RFC 9457) for every failure, metrics, and the ops listener.
//
// It promises that a fault.Kind becomes the same status, code and headers in
// every service (ProblemFor is the only such table), that no internal text, and
// no stack, reaches a caller, and that what a caller sends cannot forge a log
// record. Requests that net/http refuses by itself, before any handler, are
// answered with a problem document, too, where the connection is plain. It
// refuses bodies that two parsers could read differently.
package httpx
