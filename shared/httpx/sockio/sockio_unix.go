//go:build unix && (!linux || race || 386)

package sockio

import "syscall"

// The race detector learns from these what happens before what, and which
// memory is read and written. It learns nothing from calls of our own.

// Supported says whether the functions work here.
const Supported = true

// Read reads what has come, at most len(p) bytes; 0 without an error is the end.
func Read(fd uintptr, p []byte) (int, error) {
	for {
		if n, err := syscall.Read(int(fd), p); err != syscall.EINTR {
			return max(n, 0), err
		}
	}
}

// Write writes as much of p as there is room for.
func Write(fd uintptr, p []byte) (int, error) {
	for {
		if n, err := syscall.Write(int(fd), p); err != syscall.EINTR {
			return max(n, 0), err
		}
	}
}

// Peek looks whether a byte has come, without taking it; 0 without an error is
// the end.
func Peek(fd uintptr) (int, error) {
	var one [1]byte
	for {
		if n, _, err := syscall.Recvfrom(int(fd), one[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT); err != syscall.EINTR {
			return max(n, 0), err
		}
	}
}
