package cluster

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// LimitFiles has the program find that no file descriptor from n on is free.
// Those that it has stay open; what it wants to open beside them is refused.
// restore ends that. It lasts no longer than the process.
func (p *Process) LimitFiles(n uint64) (restore func() error, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.running() {
		return nil, fmt.Errorf("limit the files of %s: it does not run", p.Name)
	}
	pid := p.command.Process.Pid
	var before unix.Rlimit
	if err := unix.Prlimit(pid, unix.RLIMIT_NOFILE, nil, &before); err != nil {
		return nil, fmt.Errorf("read the limit of files of %s: %w", p.Name, err)
	}
	if err := unix.Prlimit(pid, unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: n, Max: before.Max}, nil); err != nil {
		return nil, fmt.Errorf("limit the files of %s: %w", p.Name, err)
	}
	return func() error {
		p.mu.Lock()
		defer p.mu.Unlock()
		if !p.running() || p.command.Process.Pid != pid {
			return nil
		}
		if err := unix.Prlimit(pid, unix.RLIMIT_NOFILE, &before, nil); err != nil {
			return fmt.Errorf("restore the limit of files of %s: %w", p.Name, err)
		}
		return nil
	}, nil
}
