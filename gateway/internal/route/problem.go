package route

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
)

// String gives the place as file:line:column, as editors take it.
func (p Position) String() string {
	if p.Line == 0 {
		return p.File
	}
	return p.File + ":" + strconv.Itoa(p.Line) + ":" + strconv.Itoa(p.Column)
}

// Problem is one thing that is wrong in a route file, and where.
type Problem struct {
	Position
	Message string
}

// String gives the problem as file:line:column: message.
func (p Problem) String() string { return p.Position.String() + ": " + p.Message }

// Problems are all that is wrong, in the order of files and lines. They are
// an error as soon as there is one.
type Problems []Problem

// Error gives one line for each problem.
func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// Err returns the problems, sorted and without repetition, as an error, or nil
// if there are none.
func (ps Problems) Err() error {
	if len(ps) == 0 {
		return nil
	}
	slices.SortStableFunc(ps, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line),
			cmp.Compare(a.Column, b.Column), cmp.Compare(a.Message, b.Message))
	})
	return slices.Compact(ps)
}
