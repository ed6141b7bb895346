//go:build !linux

package cluster

import "syscall"

// dieWithParent does nothing here: a test that is killed leaves its processes.
func dieWithParent() *syscall.SysProcAttr { return nil }
