package cluster

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"
)

// Process is a program that can be ended and started again. Its methods may be
// called at any time.
type Process struct {
	Name string

	path      string
	args      []string
	env       []string
	logFile   string
	clockFile string

	mu      sync.Mutex
	command *exec.Cmd
	exited  chan struct{} // closed when the current command has ended
	stopped bool
}

// Start starts the program unless it runs. Its output is added to its log.
func (p *Process) Start() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.running() {
		return nil
	}
	log, err := os.OpenFile(p.logFile, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("start %s: %w", p.Name, err)
	}
	defer log.Close()                          //nolint:errcheck // the process has its own copy
	command := exec.Command(p.path, p.args...) //nolint:gosec,noctx // the program under test; it ends when Stop says so
	command.Env, command.Stdout, command.Stderr = p.env, log, log
	command.SysProcAttr = dieWithParent()
	if err := command.Start(); err != nil {
		return fmt.Errorf("start %s: %w", p.Name, err)
	}
	exited := make(chan struct{})
	p.command, p.exited, p.stopped = command, exited, false
	go func() {
		_ = command.Wait() // how it ended is in its log
		close(exited)
	}()
	return nil
}

// Running tells whether the program runs, even if it is stopped by Pause.
func (p *Process) Running() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.running()
}

func (p *Process) running() bool {
	if p.command == nil {
		return false
	}
	select {
	case <-p.exited:
		return false
	default:
		return true
	}
}

// Kill ends the program at once (SIGKILL) and waits for its end.
func (p *Process) Kill() error { return p.end(syscall.SIGKILL, 10*time.Second) }

// Stop asks the program to end (SIGTERM), waits, and kills it if it does not.
func (p *Process) Stop() error {
	if err := p.Resume(); err != nil {
		return err
	}
	if err := p.end(syscall.SIGTERM, 20*time.Second); err != nil {
		return errors.Join(err, p.Kill())
	}
	return nil
}

func (p *Process) end(signal syscall.Signal, within time.Duration) error {
	p.mu.Lock()
	if !p.running() {
		p.mu.Unlock()
		return nil
	}
	exited, err := p.exited, p.command.Process.Signal(signal)
	p.mu.Unlock()
	if err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("send %v to %s: %w", signal, p.Name, err)
	}
	select {
	case <-exited:
		return nil
	case <-time.After(within):
		return fmt.Errorf("%s has not ended %v after %v", p.Name, within, signal)
	}
}

// Pause stops the program in its tracks (SIGSTOP); its connections stay open.
func (p *Process) Pause() error { return p.freeze(syscall.SIGSTOP, true) }

// Resume lets a stopped program go on (SIGCONT).
func (p *Process) Resume() error { return p.freeze(syscall.SIGCONT, false) }

func (p *Process) freeze(signal syscall.Signal, stopped bool) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.running() || p.stopped == stopped {
		return nil
	}
	if err := p.command.Process.Signal(signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("send %v to %s: %w", signal, p.Name, err)
	}
	p.stopped = stopped
	return nil
}
