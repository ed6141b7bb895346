package proxybench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// process is a program that runs for as long as the bench does.
type process struct {
	command *exec.Cmd
	exited  chan struct{}
}

// spawn starts a program. It ends with stop, and at the latest with the bench.
func spawn(log *os.File, env []string, path string, args ...string) (*process, error) {
	command := exec.Command(path, args...) //nolint:gosec,noctx // programs of our own choice; stop ends them
	command.Env = append(os.Environ(), env...)
	command.Stdout, command.Stderr = log, log
	command.SysProcAttr = dieWithParent()
	if err := command.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", path, err)
	}
	p := &process{command, make(chan struct{})}
	go func() {
		defer close(p.exited)
		_ = command.Wait() // how it ended is in its log
	}()
	return p, nil
}

// stop ends the program and waits for it.
func (p *process) stop() {
	_ = p.command.Process.Signal(syscall.SIGTERM) // it may have ended
	select {
	case <-p.exited:
	case <-time.After(10 * time.Second):
		_ = p.command.Process.Kill()
		<-p.exited
	}
}

// usage is what processes have used so far, and hold now.
type usage struct {
	processor time.Duration
	resident  int64 // bytes
}

// tick is the unit of times in /proc: USER_HZ, which is 100 wherever Linux runs
// today.
const tick = 10 * time.Millisecond

// measure adds up the usage of processes and their children.
func measure(pids ...int) (usage, error) {
	var sum usage
	for _, pid := range pids {
		own, err := measureOne(pid)
		if err != nil {
			return usage{}, err
		}
		children, err := childrenOf(pid)
		if err != nil {
			return usage{}, err
		}
		below, err := measure(children...)
		if err != nil {
			return usage{}, err
		}
		sum.processor += own.processor + below.processor
		sum.resident += own.resident + below.resident
	}
	return sum, nil
}

// measureOne reads /proc/PID/stat (proc(5)): fields 14 and 15 are the time in
// user and in kernel mode, 24 the resident pages.
func measureOne(pid int) (usage, error) {
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	if err != nil {
		return usage{}, fmt.Errorf("measure process %d: %w", pid, err)
	}
	_, rest, _ := strings.Cut(string(text), ") ") // the name before may hold anything
	fields := strings.Fields(rest)
	if len(fields) < 22 {
		return usage{}, fmt.Errorf("measure process %d: %w", pid, errors.ErrUnsupported)
	}
	var values [3]int64
	for i, field := range []int{14, 15, 24} {
		if values[i], err = strconv.ParseInt(fields[field-3], 10, 64); err != nil {
			return usage{}, fmt.Errorf("measure process %d: %w", pid, err)
		}
	}
	return usage{time.Duration(values[0]+values[1]) * tick, values[2] * int64(os.Getpagesize())}, nil
}

// childrenOf gives the processes that a process has started, from any thread.
func childrenOf(pid int) ([]int, error) {
	files, err := filepath.Glob(filepath.Join("/proc", strconv.Itoa(pid), "task", "*", "children"))
	if err != nil {
		return nil, fmt.Errorf("children of process %d: %w", pid, err)
	}
	var children []int
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // the thread has ended
		}
		for field := range strings.FieldsSeq(string(text)) {
			child, err := strconv.Atoi(field)
			if err != nil {
				return nil, fmt.Errorf("children of process %d: %w", pid, err)
			}
			children = append(children, child)
		}
	}
	return children, nil
}

// await tries until there is no error, for as long as a program may take to
// start.
func await(ctx context.Context, what string, try func() error) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for {
		err := try()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s is not ready: %w", what, err)
		case <-ticker.C:
		}
	}
}
