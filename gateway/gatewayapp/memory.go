package gatewayapp

import (
	"math"
	"os"
	"path"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
)

// tuneMemory limits the memory, unless the environment has GOMEMLIMIT, to four
// fifths of what the process may have, and begins with the collector's pace for
// a small heap. It reports whether that pace is for a pacer to keep: not if the
// environment has GOGC. Near the limit the collector runs more often, so the
// heap cannot cost a container its life.
func tuneMemory(environ []string) (paced bool) {
	set := func(name string) bool {
		return slices.ContainsFunc(environ, func(pair string) bool { return strings.HasPrefix(pair, name+"=") })
	}
	if !set("GOMEMLIMIT") {
		debug.SetMemoryLimit(memoryLimit(os.ReadFile))
	}
	if set("GOGC") {
		return false
	}
	debug.SetGCPercent(mostPercent)
	return true
}

// memoryLimit is four fifths of the memory that the process's control group may
// have, or half of the machine's if that is less or there is no group.
func memoryLimit(read func(string) ([]byte, error)) int64 {
	limit := int64(math.MaxInt64)
	if text, err := read("/proc/meminfo"); err == nil {
		for line := range strings.Lines(string(text)) {
			if fields := strings.Fields(line); len(fields) == 3 && fields[0] == "MemTotal:" {
				limit = min(limit, min(number(fields[1]), math.MaxInt64/1024)/2*1024)
			}
		}
	}
	for _, file := range groupFiles(read) {
		if text, err := read(file); err == nil {
			limit = min(limit, number(strings.TrimSpace(string(text)))/5*4)
		}
	}
	return limit
}

// groupFiles are where the limits of the control group may be, and of the
// groups above it: version 2, and version 1 as containers see it.
func groupFiles(read func(string) ([]byte, error)) []string {
	files := []string{"/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"}
	text, err := read("/proc/self/cgroup")
	if err != nil {
		return files
	}
	for line := range strings.Lines(string(text)) {
		if group, is := strings.CutPrefix(strings.TrimSpace(line), "0::"); is {
			for group = path.Clean(group); group != "/" && group != "."; group = path.Dir(group) {
				files = append(files, path.Join("/sys/fs/cgroup", group, "memory.max"))
			}
		}
	}
	return files
}

// number reads a number of bytes; what is none, such as "max", is no limit.
func number(text string) int64 {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n <= 0 {
		return math.MaxInt64
	}
	return n
}
