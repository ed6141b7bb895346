package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// clockVariable names the file from which a binary of BuildWithClock takes by
// how many seconds its wall clock is wrong.
const clockVariable = "CHAOS_CLOCK"

// The services have no setting that falsifies their clock, and libfaketime does
// not reach Go programs, which ask the kernel without the C library. So a second
// set of the same binaries is compiled against a standard library in which
// time.Now adds what a file says; the monotonic clock stays right, as it would.
const (
	clockCall  = "func Now() Time {\n\tsec, nsec, mono := runtimeNow()\n"
	wrongClock = clockCall + "\tsec += chaosSkew(mono)\n"
	clockFile  = `package time

import (
	"sync/atomic"
	"syscall"
	"unsafe"
)

var (
	chaosPath          = chaosFile()
	chaosText          [16]byte
	chaosRead, chaosBy atomic.Int64
)

func chaosFile() *byte {
	path, _ := syscall.Getenv("` + clockVariable + `")
	file, err := syscall.BytePtrFromString(path)
	if path == "" || err != nil {
		return nil
	}
	return file
}

// Timers ask for the time on the scheduler's own stack, where nothing may be
// allocated, locked or waited for.
func chaosSkew(mono int64) int64 {
	last := chaosRead.Load()
	if chaosPath == nil || last != 0 && mono-last < int64(20*Millisecond) || !chaosRead.CompareAndSwap(last, mono) {
		return chaosBy.Load()
	}
	const here = -100 // AT_FDCWD
	dir := here
	file, _, err := syscall.RawSyscall6(syscall.SYS_OPENAT, uintptr(dir), uintptr(unsafe.Pointer(chaosPath)), syscall.O_RDONLY|syscall.O_CLOEXEC, 0, 0, 0)
	if err != 0 {
		return chaosBy.Load()
	}
	n, _, err := syscall.RawSyscall(syscall.SYS_READ, file, uintptr(unsafe.Pointer(&chaosText[0])), uintptr(len(chaosText)))
	_, _, _ = syscall.RawSyscall(syscall.SYS_CLOSE, file, 0, 0)
	if err != 0 {
		return chaosBy.Load()
	}
	by, sign := int64(0), int64(1)
	for i := 0; i < int(n); i++ {
		switch c := chaosText[i]; {
		case c == '-':
			sign = -1
		case c >= '0' && c <= '9':
			by = by*10 + int64(c-'0')
		}
	}
	chaosBy.Store(sign * by)
	return sign * by
}
`
)

// BuildWithClock is Build, of binaries whose wall clocks SetClock can change.
func BuildWithClock(ctx context.Context, folder string) error {
	root, err := exec.CommandContext(ctx, "go", "env", "GOROOT").Output()
	if err != nil {
		return fmt.Errorf("find the standard library: %w", err)
	}
	library := filepath.Join(strings.TrimSpace(string(root)), "src", "time")
	text, err := os.ReadFile(filepath.Join(library, "time.go"))
	if err != nil {
		return fmt.Errorf("read the standard library: %w", err)
	}
	changed := strings.Replace(string(text), clockCall, wrongClock, 1)
	if changed == string(text) {
		return errors.New("time.Now of this Go version is not as expected; adapt clockCall")
	}
	overlay := map[string]map[string]string{"Replace": {}}
	for name, content := range map[string]string{"time.go": changed, "chaos_clock.go": clockFile} {
		file := filepath.Join(folder, "overlay_"+name+".txt")
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			return fmt.Errorf("write the changed standard library: %w", err)
		}
		overlay["Replace"][filepath.Join(library, name)] = file
	}
	data, err := json.Marshal(overlay)
	if err != nil {
		return fmt.Errorf("encode the overlay: %w", err)
	}
	file := filepath.Join(folder, "overlay.json")
	if err := os.WriteFile(file, data, 0o600); err != nil {
		return fmt.Errorf("write the overlay: %w", err)
	}
	return Build(ctx, folder, "-overlay", file)
}

// Clocks tells whether SetClock has an effect.
func (c *Cluster) Clocks() bool { return c.config.Clocks }

// SetClock makes the wall clock of a process wrong from now on, if its binary is
// one of BuildWithClock.
func (c *Cluster) SetClock(p *Process, by time.Duration) error {
	next := p.clockFile + ".next"
	if err := os.WriteFile(next, fmt.Appendf(nil, "%d\n", int64(by/time.Second)), 0o600); err != nil {
		return fmt.Errorf("set the clock of %s: %w", p.Name, err)
	}
	if err := os.Rename(next, p.clockFile); err != nil { // nobody reads half of it
		return fmt.Errorf("set the clock of %s: %w", p.Name, err)
	}
	return nil
}
