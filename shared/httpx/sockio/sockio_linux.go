package sockio

import (
	"syscall"
	"unsafe"
)

// call makes a system call with a buffer. Calls of three arguments ignore the
// flags.
func call(number, fd uintptr, p []byte, flags uintptr) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for {
		n, _, errno := syscall.RawSyscall6(number, fd, uintptr(unsafe.Pointer(&p[0])), uintptr(len(p)), flags, 0, 0)
		switch errno {
		case 0:
			return int(n), nil
		case syscall.EINTR:
		case syscall.EAGAIN:
			return 0, syscall.EAGAIN // which costs no memory this way
		default:
			return 0, errno
		}
	}
}
