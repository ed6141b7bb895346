package route

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Place is where a field was written. Broken says that it could not be read
// and was reported already, so that one mistake is reported once.
type Place struct {
	Position
	Broken bool
}

// Places are the fields of a definition that were written down, by their
// names in the file: "auth", "match.path".
type Places map[string]Place

// ItemName is under which name Places holds the place of an item of a list.
func ItemName(field string, i int) string { return fmt.Sprintf("%s[%d]", field, i) }

// Definition is a route as somebody wrote it, before it is checked.
type Definition struct {
	Route
	At Places
}

// UpstreamDefinition is an upstream as somebody wrote it.
type UpstreamDefinition struct {
	Upstream
	BuiltIn bool
	At      Places
}

// Definitions are the contents of all route files.
type Definitions struct {
	Upstreams []UpstreamDefinition
	Routes    []Definition
}

// checker collects the problems of one definition.
type checker struct {
	problems *Problems
	source   Position
	at       Places
}

// report adds a problem with a field, unless its place was reported before.
func (c checker) report(field, format string, args ...any) {
	place, written := c.at[field]
	if !written {
		place.Position = c.source
	}
	if place.Broken {
		return
	}
	*c.problems = append(*c.problems, Problem{Position: place.Position, Message: field + ": " + fmt.Sprintf(format, args...)})
}

// reportItem adds a problem with one item of a list.
func (c checker) reportItem(field string, i int, format string, args ...any) {
	if place, known := c.at[ItemName(field, i)]; known {
		c.at = Places{field: place}
	}
	c.report(field, format, args...)
}

// written reports whether the field is in the file, readable or not.
func (c checker) written(field string) bool { _, is := c.at[field]; return is }

// broken reports whether the field was reported already.
func (c checker) broken(field string) bool { return c.at[field].Broken }

// name reports what is wrong with a name.
func (c checker) name(name string) {
	if !c.written("name") {
		c.report("name", "missing")
	} else if !isName(name) {
		c.report("name", "%q is not 1 to 64 letters, digits, dashes, dots and underscores", name)
	}
}

// duration reports a duration that was written and is not within bounds.
func (c checker) duration(field string, d, lowest, highest time.Duration) {
	if c.written(field) && (d < lowest || d > highest) {
		c.report(field, "%v is not within %v and %v", d, lowest, highest)
	}
}

// oneOf reports a text that was written and is none of the choices.
func (c checker) oneOf(field, text string, choices ...string) {
	if c.written(field) && !slices.Contains(choices, text) {
		c.report(field, "%q is not one of %s", text, strings.Join(choices, ", "))
	}
}
