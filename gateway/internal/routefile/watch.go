package routefile

import (
	"context"
	"os"
	"path/filepath"
	"time"

	"github.com/fsnotify/fsnotify"
)

// Run serves changes of the files until ctx ends. It watches folders, as
// editors and Kubernetes replace files instead of writing them, and waits for
// a moment of quiet, as a change is often several writes. Where notices do not
// come, it sees a change at the next look.
func (l *Loader) Run(ctx context.Context) error {
	if len(l.config.Paths) == 0 {
		<-ctx.Done()
		return nil
	}
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		l.config.Log.Warn("route files are polled only", "error", err.Error())
		return l.follow(ctx, nil)
	}
	defer func() {
		if err := watcher.Close(); err != nil {
			l.config.Log.Warn("route files: close the watcher", "error", err.Error())
		}
	}()
	return l.follow(ctx, watcher)
}

// follow reloads after notices and from time to time. Without a watcher the
// channels are nil and never ready.
func (l *Loader) follow(ctx context.Context, watcher *fsnotify.Watcher) error {
	var notices <-chan fsnotify.Event
	var failures <-chan error
	if watcher != nil {
		notices, failures = watcher.Events, watcher.Errors
		l.watchFolders(watcher)
	}
	poll := time.NewTicker(l.config.Poll)
	defer poll.Stop()
	quiet := time.NewTimer(0) // what changed since Open is seen at once
	defer quiet.Stop()
	waiting := true // for quiet; until then a look would be too early
	for {
		select {
		case <-ctx.Done():
			return nil
		case _, open := <-notices:
			if !open {
				notices = nil
				continue
			}
		case err, open := <-failures:
			if !open {
				failures = nil
				continue
			}
			// A lost notice; the next look makes up for it.
			l.config.Log.Warn("route files: watch", "error", err.Error())
			continue
		case <-quiet.C:
			waiting = false
		case <-poll.C:
		}
		if waiting {
			continue
		}
		if watcher != nil {
			l.watchFolders(watcher) // one may have come back
		}
		if !l.look() {
			quiet.Reset(l.config.Quiet)
			waiting = true
		}
	}
}

// look reloads if the files are the same as at the last look, and reports
// whether they were. A file that is written in place is half of itself for a
// moment, which can be a good table without some of its routes; so follow sees
// to it that after a look which found a change, the next is not before the
// quiet time is over, whatever wakes it.
func (l *Loader) look() (settled bool) {
	all := readAll(l.config.Paths)
	digest := all.digest()
	settled = digest == l.looked
	l.looked = digest
	if settled {
		// The problems were logged, and wait in Problems for whoever asks.
		_ = l.renew(all)
	}
	return settled
}

// watchFolders adds what is not watched yet; one that is missing stays with
// the polling.
func (l *Loader) watchFolders(watcher *fsnotify.Watcher) {
	for _, path := range l.config.Paths {
		for _, folder := range foldersOf(path, maxDepth) {
			if err := watcher.Add(folder); err != nil {
				l.config.Log.Debug("route files: watch a folder", "folder", folder, "error", err.Error())
			}
		}
	}
}

// foldersOf gives the folders in which a change can be one of the path's: the
// one that holds a file, or a folder and those in it.
func foldersOf(path string, depth int) []string {
	if info, err := os.Stat(path); err != nil || !info.IsDir() {
		return []string{filepath.Dir(path)}
	}
	all := []string{path}
	entries, err := os.ReadDir(path)
	if err != nil || depth == 0 {
		return all
	}
	for _, e := range entries {
		if inner := filepath.Join(path, e.Name()); !isHidden(e.Name()) && isFolder(inner, e) {
			all = append(all, foldersOf(inner, depth-1)...)
		}
		if len(all) > maxFiles {
			return all[:maxFiles]
		}
	}
	return all
}
