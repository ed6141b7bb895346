// Package sockio reads from and writes to sockets that do not block, inside of
// a syscall.RawConn's Read and Write. It spares what Go's runtime does around
// calls that could take long: these never do, as the kernel only copies. What
// a call costs and a busy thread loses that way is a tenth of what a proxied
// request costs.
//
// All of them return syscall.EAGAIN where they would have to wait. They must
// not be used on a descriptor that blocks.
package sockio
