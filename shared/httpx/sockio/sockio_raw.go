//go:build linux && !race && !386

package sockio

import "syscall"

// Supported says whether the functions work here.
const Supported = true

// Read reads what has come, at most len(p) bytes; 0 without an error is the end.
func Read(fd uintptr, p []byte) (int, error) { return call(syscall.SYS_READ, fd, p, 0) }

// Write writes as much of p as there is room for.
func Write(fd uintptr, p []byte) (int, error) { return call(syscall.SYS_WRITE, fd, p, 0) }

// Peek looks whether a byte has come, without taking it; 0 without an error is
// the end.
func Peek(fd uintptr) (int, error) {
	var one [1]byte
	return call(syscall.SYS_RECVFROM, fd, one[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
}
