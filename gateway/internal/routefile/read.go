package routefile

import (
	"cmp"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"gatehouse.internal/gateway/internal/route"
)

// The bounds of what is read.
const (
	maxFileSize = 4 << 20
	maxFiles    = 1000
	maxDepth    = 4 // of folders in folders; also ends a ring of links
)

// file is a route file as it was found.
type file struct {
	name    string
	content []byte
	err     error
}

// sources are all route files at one moment.
type sources []file

// readAll reads the files that the paths name, each once. What cannot be read
// is part of the answer.
func readAll(paths []string) sources {
	var all sources
	known := make(map[string]bool)
	for _, path := range paths {
		names, err := filesOf(path, maxDepth)
		if err != nil {
			all = append(all, file{name: path, err: err})
			continue
		}
		if len(names) > maxFiles {
			all = append(all, file{name: path, err: fmt.Errorf("more than %d files", maxFiles)})
			continue
		}
		for _, name := range names {
			if !known[name] {
				known[name] = true
				content, err := readFile(name, name == path)
				all = append(all, file{name: name, content: content, err: err})
			}
		}
	}
	return all
}

// filesOf gives the path itself, or the route files in the folder that it is
// and in the folders there, by name.
func filesOf(path string, depth int) ([]string, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, plain(err)
	}
	if !info.IsDir() {
		return []string{path}, nil
	}
	entries, err := os.ReadDir(path) // sorted by name
	if err != nil {
		return nil, plain(err)
	}
	var names []string
	for _, e := range entries {
		inner := filepath.Join(path, e.Name())
		switch {
		case isHidden(e.Name()):
		case isFolder(inner, e):
			if depth == 0 {
				return nil, fmt.Errorf("%s: folders are nested deeper than %d", inner, maxDepth)
			}
			more, err := filesOf(inner, depth-1)
			if err != nil {
				return nil, err
			}
			names = append(names, more...)
		case isRouteFile(e.Name()):
			names = append(names, inner)
		}
		if len(names) > maxFiles {
			return names, nil // readAll reports it
		}
	}
	return names, nil
}

// isHidden reports whether a name is none of the operator's: editors and
// Kubernetes keep theirs there.
func isHidden(name string) bool { return strings.HasPrefix(name, ".") }

func isRouteFile(name string) bool {
	extension := filepath.Ext(name)
	return extension == ".yaml" || extension == ".yml"
}

// isFolder follows a link, as a team's folder may be one.
func isFolder(path string, e os.DirEntry) bool {
	if e.Type()&fs.ModeSymlink == 0 {
		return e.IsDir()
	}
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// readFile reads a file. A pipe may be named by itself, as shells do, but none
// is looked for in folders: to open one waits for somebody who writes into it,
// and nothing would end that.
func readFile(name string, named bool) (content []byte, err error) {
	if info, err := os.Stat(name); err == nil && !info.Mode().IsRegular() && !named {
		return nil, errors.New("not a file")
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, plain(err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	content, err = io.ReadAll(io.LimitReader(f, maxFileSize+1))
	if err != nil {
		return nil, plain(err)
	}
	if len(content) > maxFileSize {
		return nil, fmt.Errorf("larger than %d bytes", maxFileSize)
	}
	return content, nil
}

// plain leaves out the path, which a problem names anyway.
func plain(err error) error {
	if pathErr, ok := errors.AsType[*fs.PathError](err); ok {
		return pathErr.Err
	}
	return err
}

// digest tells two sets of files apart.
func (s sources) digest() [sha256.Size]byte {
	h := sha256.New()
	for _, f := range s {
		fmt.Fprintf(h, "%q %v %d\n", f.name, f.err, len(f.content))
		h.Write(f.content)
	}
	return [sha256.Size]byte(h.Sum(nil))
}

// compile makes a table of the built-in routes and the files. The error is of
// type route.Problems.
func (s sources) compile(settings Settings) (*route.Table, error) {
	var definitions route.Definitions
	var problems route.Problems
	builtIn(settings, &definitions, &problems)
	for _, f := range s {
		if f.err != nil {
			problems = append(problems, route.Problem{Position: route.Position{File: f.name}, Message: f.err.Error()})
			continue
		}
		d := document{file: f.name, definitions: &definitions, problems: &problems}
		d.parse(f.content)
	}
	table, err := route.Compile(definitions)
	if more, ok := errors.AsType[route.Problems](err); ok {
		problems = append(problems, more...)
	}
	if err := problems.Err(); err != nil {
		return nil, err
	}
	return table, nil
}

// distinct removes a path that is named twice.
func distinct(paths []string) []string {
	kept := make([]string, len(paths))
	for i, path := range paths {
		kept[i] = filepath.Clean(path)
	}
	slices.SortStableFunc(kept, cmp.Compare)
	return slices.Compact(kept)
}
