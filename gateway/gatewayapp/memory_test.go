package gatewayapp

import (
	"math"
	"os"
	"runtime/debug"
	"testing"
)

func TestMemoryLimit(t *testing.T) {
	const gib = int64(1) << 30
	machine := map[string]string{"/proc/meminfo": "MemTotal:       8388608 kB\nMemFree:        1 kB\n"}
	for name, c := range map[string]struct {
		files map[string]string
		want  int64
	}{
		"nothing is known":       {map[string]string{}, math.MaxInt64},
		"a machine":              {machine, 4 * gib},
		"a container":            {map[string]string{"/sys/fs/cgroup/memory.max": "5368709120\n"}, 4 * gib},
		"without a limit":        {map[string]string{"/sys/fs/cgroup/memory.max": "max\n"}, math.MaxInt64 / 5 * 4},
		"of version 1":           {map[string]string{"/sys/fs/cgroup/memory/memory.limit_in_bytes": "5368709120\n"}, 4 * gib},
		"a group within a group": {map[string]string{"/proc/self/cgroup": "0::/a/b\n", "/sys/fs/cgroup/a/memory.max": "5368709120\n", "/sys/fs/cgroup/a/b/memory.max": "max\n"}, 4 * gib},
		"nonsense":               {map[string]string{"/proc/meminfo": "MemTotal: x kB\n", "/proc/self/cgroup": "0::\n"}, math.MaxInt64 / 2},
	} {
		read := func(file string) ([]byte, error) {
			if text, has := c.files[file]; has {
				return []byte(text), nil
			}
			return nil, os.ErrNotExist
		}
		got := memoryLimit(read)
		if c.want > math.MaxInt64/5 {
			if got < math.MaxInt64/5 {
				t.Errorf("%s: %d", name, got)
			}
			continue
		}
		if got != c.want {
			t.Errorf("%s: %d, want %d", name, got, c.want)
		}
	}
}

func TestTuneMemory_leaves_what_the_operator_says(t *testing.T) {
	percent, limit := debug.SetGCPercent(77), debug.SetMemoryLimit(1<<40)
	t.Cleanup(func() { debug.SetGCPercent(percent); debug.SetMemoryLimit(limit) })
	if tuneMemory([]string{"GOGC=77", "GOMEMLIMIT=1TiB"}) {
		t.Error("a pace that was given would be changed")
	}
	if got := debug.SetGCPercent(77); got != 77 {
		t.Errorf("GOGC is %d", got)
	}
	if got := debug.SetMemoryLimit(-1); got != 1<<40 {
		t.Errorf("GOMEMLIMIT is %d", got)
	}
	if !tuneMemory(nil) {
		t.Error("nobody keeps the pace")
	}
	if got := debug.SetGCPercent(77); got != mostPercent {
		t.Errorf("GOGC is %d by itself", got)
	}
	if got := debug.SetMemoryLimit(-1); got == 1<<40 {
		t.Error("GOMEMLIMIT is not set by itself")
	}
}
