// Package bus carries messages between the services over NATS. No other
// package knows the library.
//
// It promises: Connect returns although the server is away, and the connection
// comes back by itself; an error from Publish or Store means that nothing will
// be sent later on; calls end within a bound even when the server hangs; what
// Store has acknowledged is in the stream; Consume hands over every message of
// a stream at least once and in order, through restarts of the server and of
// the stream; a message that cannot be handled goes to the dead letters and
// never blocks those behind it for ever. Failures because the server is away
// have the kind fault.Unavailable, and a fault that a responder returns
// arrives at the requester as the same fault.
//
// It refuses to buffer for a server that is away, and to let a slow subscriber
// grow memory without bound: its messages are dropped and counted.
//
// Core messages (Publish, Subscribe) may be lost; whoever needs them all must
// be able to notice a gap. Messages of a stream may come twice.
package bus
