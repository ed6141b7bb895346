// Package websocket knows as much of RFC 6455 as it takes to close a WebSocket
// that somebody else is using: where one frame ends and the next begins, and
// what a close frame looks like. It decides nothing, holds no payload, and
// takes every frame as it is: reserved bits, unknown opcodes and extensions
// are the business of the two ends.
//
// A library would read and write messages, which a gateway must not: an
// extension such as permessage-deflate (RFC 7692) is agreed between the ends,
// and only the bytes as they came are right whatever they agreed.
package websocket
