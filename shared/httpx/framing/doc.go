// Package framing decides whether the bytes on a client's connection are
// HTTP/1.1 in the one way that every server reads alike (RFC 9112), and where
// each request ends. It stands in front of net/http, which forgives much that
// two servers could read differently: a Content-Length beside a
// Transfer-Encoding, lines that end in a bare LF, folded fields, a
// Transfer-Encoding in HTTP/1.0.
//
// It promises that what a Scanner passes is, to net/http, the same requests
// with the same ends, and that it refuses the first byte from which that would
// not hold. It parses nothing that does not matter for this: methods, targets
// and fields are for those who come after it.
package framing
