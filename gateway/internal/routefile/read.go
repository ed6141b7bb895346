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
)

// file is a route file as it was found.
type file struct {
	name    string
	content []byte
	err     error
}

// sources are all route files at one moment.
type sources []file

// readAll reads the files that the paths name. What cannot be read is part of
// the answer.
func readAll(paths []string) sources {
	var all sources
	for _, path := range paths {
		names, err := filesOf(path)
		if err != nil {
			all = append(all, file{name: path, err: err})
			continue
		}
		for _, name := range names {
			content, err := readFile(name)
			all = append(all, file{name: name, content: content, err: err})
		}
	}
	return all
}

// filesOf gives the path itself, or the route files in the folder that it is,
// by name. Hidden files are no route files: editors and Kubernetes keep theirs
// there.
func filesOf(path string) ([]string, error) {
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
		extension := filepath.Ext(e.Name())
		if !e.IsDir() && !strings.HasPrefix(e.Name(), ".") && (extension == ".yaml" || extension == ".yml") {
			names = append(names, filepath.Join(path, e.Name()))
		}
	}
	if len(names) > maxFiles {
		return nil, fmt.Errorf("more than %d files", maxFiles)
	}
	return names, nil
}

func readFile(name string) (content []byte, err error) {
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
	kept := slices.Clone(paths)
	slices.SortStableFunc(kept, cmp.Compare)
	return slices.Compact(kept)
}
