package proxybench

import "syscall"

// dieWithParent has the kernel end a program if the bench ends without doing so.
func dieWithParent() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
