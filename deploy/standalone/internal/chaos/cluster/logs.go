package cluster

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"
)

const (
	maxLog   = 32 << 20 // bytes of a log, after which it begins anew beside its older part
	logPause = 5 * time.Second
)

// boundLogs looks after the size of the logs until the cluster is closed.
func (c *Cluster) boundLogs(processes []*Process) {
	ticker := time.NewTicker(logPause)
	defer ticker.Stop()
	for {
		select {
		case <-c.closing:
			return
		case <-ticker.C:
			for _, p := range processes {
				_ = p.boundLog(maxLog) // it is tried again
			}
		}
	}
}

// boundLog moves the end of a log that has grown too large to a file beside it,
// in the place of what was moved before, and empties it. Lines that are written
// meanwhile may be lost.
func (p *Process) boundLog(limit int64) error {
	info, err := os.Stat(p.logFile)
	if err != nil || info.Size() <= limit {
		return err //nolint:wrapcheck // nobody is told
	}
	if err := os.WriteFile(p.logFile+".old", []byte(p.Log(limit/4)), 0o600); err != nil {
		return fmt.Errorf("keep the end of a log: %w", err)
	}
	if err := os.Truncate(p.logFile, 0); err != nil { // its writers append, wherever its end is
		return fmt.Errorf("empty a log: %w", err)
	}
	return nil
}

// Log gives the last bytes of what the program has printed.
func (p *Process) Log(last int64) string {
	file, err := os.Open(p.logFile)
	if err != nil {
		return err.Error()
	}
	defer file.Close() //nolint:errcheck // only read from
	info, err := file.Stat()
	if err != nil {
		return err.Error()
	}
	text := make([]byte, min(last, info.Size()))
	n, err := file.ReadAt(text, info.Size()-int64(len(text)))
	if n == 0 && err != nil && err != io.EOF { //nolint:errorlint // ReadAt gives it as it is
		return err.Error()
	}
	return string(text[:n])
}

// Logs gives the last bytes of every process's log.
func (c *Cluster) Logs(last int64) string {
	var text strings.Builder
	for _, p := range c.processes {
		fmt.Fprintf(&text, "--- %s (%s)\n%s\n", p.Name, p.logFile, p.Log(last))
	}
	return text.String()
}

// watchLogs starts boundLogs for the processes there are.
func (c *Cluster) watchLogs() {
	processes := slices.Clone(c.processes)
	c.group.Go(func() { c.boundLogs(processes) })
}
