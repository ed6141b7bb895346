package config

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
)

// maxFile bounds the file that a variable X_FILE names.
const maxFile = 1 << 20

// collect finds the given value of each known setting.
func collect(known []setting, environ, prefixes []string) (map[string]string, []error) {
	names := make([]string, len(known))
	for i, s := range known {
		names[i] = s.name
	}
	values, files := map[string]string{}, map[string]string{}
	var problems []error
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		base, isFile := strings.CutSuffix(name, "_FILE")
		switch {
		case slices.Contains(names, name):
			if value != "" {
				values[name] = value
			}
		case isFile && slices.Contains(names, base):
			if value != "" {
				files[base] = value
			}
		case hasPrefix(name, prefixes):
			problems = append(problems, fmt.Errorf("%s: there is no such setting%s", name, suggest(name, names)))
		}
	}
	for _, name := range names {
		path, given := files[name]
		if !given {
			continue
		}
		if _, both := values[name]; both {
			problems = append(problems, fmt.Errorf("%s: both it and %s_FILE are set", name, name))
			continue
		}
		value, err := readFile(path)
		if err != nil {
			problems = append(problems, fmt.Errorf("%s_FILE: %w", name, err))
			continue
		}
		values[name] = value
	}
	return values, problems
}

// readFile gives the content of a file without the line end that editors add.
func readFile(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer func() { _ = f.Close() }()
	data, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return "", err
	}
	if len(data) > maxFile {
		return "", fmt.Errorf("%s is larger than %d bytes", path, maxFile)
	}
	return strings.TrimRight(string(data), "\r\n"), nil
}

func hasPrefix(name string, prefixes []string) bool {
	return slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(name, p) })
}

// suggest names the setting that was probably meant, if one is near.
func suggest(name string, known []string) string {
	name = strings.TrimSuffix(name, "_FILE")
	best, distance := "", min(3, len(name)/4)+1
	for _, k := range known {
		if d := editDistance(name, k); d < distance {
			best, distance = k, d
		}
	}
	if best == "" {
		return ""
	}
	return "; did you mean " + best + "?"
}

// editDistance counts the insertions, deletions and replacements between two names.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			replace := diagonal
			if a[i] != b[j] {
				replace++
			}
			diagonal = row[j+1]
			row[j+1] = min(replace, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
