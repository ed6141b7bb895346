package cluster

import "syscall"

// dieWithParent has the kernel end a process if the test ends without doing so.
func dieWithParent() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }
