package routefile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"gatehouse.internal/gateway/internal/route"
)

// document is one file while it is read.
type document struct {
	file        string
	definitions *route.Definitions
	problems    *route.Problems
	builtIn     bool
}

// parse adds what the file defines. It goes on after a problem, so that one
// look finds them all.
func (d *document) parse(content []byte) {
	decoder := yaml.NewDecoder(bytes.NewReader(content))
	var root yaml.Node
	switch err := decoder.Decode(&root); {
	case errors.Is(err, io.EOF):
		d.nothing()
		return
	case err != nil:
		d.syntax(err)
		return
	}
	var second yaml.Node
	if err := decoder.Decode(&second); err == nil {
		d.report(&second, "a second document; one file holds one")
	} else if !errors.Is(err, io.EOF) {
		d.syntax(err)
	}
	if d.refuseAliases(&root) {
		return
	}
	body := root.Content[0]
	if body.Kind == yaml.ScalarNode && body.ShortTag() == "!!null" {
		d.nothing()
		return
	}
	wrong := d.mapping(body, "", make(route.Places), d.keys())
	if wrong != "" {
		d.report(body, "%s", wrong)
	}
}

// nothing reports a file that says nothing. It may be one that is written at
// this moment, or that was emptied by mistake; to define nothing, one can say
// so or remove the file.
func (d *document) nothing() {
	*d.problems = append(*d.problems, route.Problem{
		Position: route.Position{File: d.file, Line: 1, Column: 1},
		Message:  "the file is empty; write routes: [] if it is to define nothing, or remove it",
	})
}

// syntax reports an error of the YAML parser at the line that it names. What
// comes from its grammar, and not from its scanner, is counted from 0 there.
func (d *document) syntax(err error) {
	position := route.Position{File: d.file, Line: 1, Column: 1}
	message := err.Error()
	if parts := regexp.MustCompile(`^yaml: (?:line (\d+): )?(.*)$`).FindStringSubmatch(message); parts != nil {
		if line, err := strconv.Atoi(parts[1]); err == nil {
			position.Line = line
			if strings.HasPrefix(parts[2], "did not find expected") || strings.HasPrefix(parts[2], "found a tab") {
				position.Line++
			}
		}
		message = parts[2]
	}
	*d.problems = append(*d.problems, route.Problem{Position: position, Message: "not YAML: " + message})
}

// refuseAliases reports aliases and merge keys: with them the line that says
// something is not the line that decides it.
func (d *document) refuseAliases(n *yaml.Node) bool {
	refused := false
	if n.Kind == yaml.AliasNode {
		d.report(n, "an alias; write the value out")
		return true // what it stands for is looked at where it is written
	}
	for _, child := range n.Content {
		refused = d.refuseAliases(child) || refused
	}
	return refused
}

func (d *document) position(n *yaml.Node) route.Position {
	return route.Position{File: d.file, Line: n.Line, Column: n.Column}
}

func (d *document) report(n *yaml.Node, format string, args ...any) {
	*d.problems = append(*d.problems, route.Problem{Position: d.position(n), Message: fmt.Sprintf(format, args...)})
}

// mapping reads a mapping with the known keys, and notes in places where each
// value is, under its name with the prefix. It says what is wrong if the node
// is no mapping.
func (d *document) mapping(n *yaml.Node, prefix string, places route.Places, known keys) string {
	if n.Kind != yaml.MappingNode {
		return "not a mapping of keys to values"
	}
	seen := make(map[string]int)
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		field := prefix + key.Value
		k, isKnown := known[key.Value]
		if key.Kind != yaml.ScalarNode || !isKnown {
			d.report(key, "%s: unknown key", field)
			continue
		}
		if line, repeated := seen[key.Value]; repeated {
			d.report(key, "%s: appears twice; the first is in line %d", field, line)
			continue
		}
		seen[key.Value] = key.Line
		if wrong := k.read(value); wrong != "" {
			d.report(value, "%s: %s", field, wrong)
			places[field] = route.Place{Position: d.position(value), Broken: true}
		} else if _, noted := places[field]; !noted {
			places[field] = route.Place{Position: d.position(value)}
		}
	}
	return ""
}
