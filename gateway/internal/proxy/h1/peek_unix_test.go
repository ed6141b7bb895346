//go:build unix

package h1

import "syscall"

// peekEmpty reports whether a descriptor has nothing to read, and takes nothing.
func peekEmpty(fd uintptr) bool {
	var one [1]byte
	_, _, err := syscall.Recvfrom(int(fd), one[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
	return err == syscall.EAGAIN
}
