//go:build !linux

package proxybench

import "syscall"

// dieWithParent does nothing here, where the bench does not run either.
func dieWithParent() *syscall.SysProcAttr { return nil }
