//go:build !linux

package cluster

import "errors"

// LimitFiles works on Linux alone.
func (p *Process) LimitFiles(uint64) (restore func() error, err error) {
	return nil, errors.New("limits of running processes can be set on Linux alone")
}
