// Package rolefile reads the roles of an installation from a YAML file:
//
//	roles:
//	  clerk:
//	    description: Answers the telephone.
//	    permissions: [orders:read]
//	  manager:
//	    inherits: [clerk]
//	    permissions: [orders:refund]
//
// It refuses what it does not know, and says where it stands. What roles mean
// is decided in package role.
package rolefile

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strconv"

	"go.yaml.in/yaml/v3"

	"gatehouse.internal/auth-service/internal/auth/role"
)

// maxFile bounds a file in bytes.
const maxFile = 1 << 20

// Load reads a file. The error names every problem with file and line.
func Load(path string) (*role.Table, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err // names the path
	}
	content, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err = errors.Join(err, f.Close()); err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return Parse(path, content)
}

// Parse reads the content of a file of that name.
func Parse(name string, content []byte) (*role.Table, error) {
	if len(content) > maxFile {
		return nil, fmt.Errorf("%s:1: larger than %d bytes", name, maxFile)
	}
	d := document{file: name}
	var root yaml.Node
	decoder := yaml.NewDecoder(bytes.NewReader(content))
	if err := decoder.Decode(&root); errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s:1: the file is empty; write roles: {} to define none", name)
	} else if err != nil {
		return nil, d.syntax(err)
	}
	if err := decoder.Decode(new(yaml.Node)); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("%s: more than one document", name)
	}
	d.top(root.Content[0])
	table, err := role.Compile(d.definitions)
	if err = errors.Join(append(d.problems, err)...); err != nil {
		return nil, err
	}
	return table, nil
}

// document is a file while it is read.
type document struct {
	file        string
	definitions []role.Definition
	problems    []error
}

func (d *document) at(n *yaml.Node) role.Position { return role.Position{File: d.file, Line: n.Line} }

func (d *document) refuse(n *yaml.Node, format string, args ...any) {
	d.problems = append(d.problems, fmt.Errorf("%v: %s", d.at(n), fmt.Sprintf(format, args...)))
}

// syntax gives an error of the YAML parser the form of all others.
func (d *document) syntax(err error) error {
	line, message := 1, err.Error()
	if parts := regexp.MustCompile(`^yaml: (?:line (\d+): )?(.*)$`).FindStringSubmatch(message); parts != nil {
		if n, err := strconv.Atoi(parts[1]); err == nil {
			line = n
		}
		message = parts[2]
	}
	return fmt.Errorf("%s:%d: not YAML: %s", d.file, line, message)
}

// each calls visit for every key of a mapping, once.
func (d *document) each(n *yaml.Node, what string, visit func(key, value *yaml.Node)) {
	if n.Kind != yaml.MappingNode {
		d.refuse(n, "%s: not a mapping of keys to values", what)
		return
	}
	lines := make(map[string]int)
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		switch line, repeated := lines[key.Value]; {
		case key.Kind != yaml.ScalarNode || value.Kind == yaml.AliasNode || key.Value == "<<":
			d.refuse(key, "%s: aliases and merge keys are not read; write the value out", what)
		case repeated:
			d.refuse(key, "%s: %s appears twice; the first is in line %d", what, key.Value, line)
		default:
			lines[key.Value] = key.Line
			visit(key, value)
		}
	}
}

func (d *document) top(n *yaml.Node) {
	d.each(n, d.file, func(key, value *yaml.Node) {
		if key.Value != "roles" {
			d.refuse(key, "unknown key %q; there is: roles", key.Value)
			return
		}
		d.each(value, "roles", d.role)
	})
}

func (d *document) role(name, body *yaml.Node) {
	made := role.Definition{Name: role.Name{Text: name.Value, At: d.at(name)}}
	if body.Kind == yaml.ScalarNode && body.ShortTag() == "!!null" {
		d.definitions = append(d.definitions, made)
		return
	}
	d.each(body, name.Value, func(key, value *yaml.Node) {
		switch key.Value {
		case "description":
			if value.Kind != yaml.ScalarNode || value.ShortTag() != "!!str" || len(value.Value) > 500 {
				d.refuse(value, "%s.description: not a text of at most 500 bytes", name.Value)
				return
			}
			made.Description = value.Value
		case "inherits":
			made.Inherits = d.names(value, name.Value+".inherits")
		case "permissions":
			made.Permissions = d.names(value, name.Value+".permissions")
		default:
			d.refuse(key, "%s: unknown key %q; there are: description, inherits, permissions", name.Value, key.Value)
		}
	})
	d.definitions = append(d.definitions, made)
}

func (d *document) names(n *yaml.Node, what string) []role.Name {
	if n.Kind != yaml.SequenceNode {
		d.refuse(n, "%s: not a list of names", what)
		return nil
	}
	out := make([]role.Name, 0, len(n.Content))
	for _, item := range n.Content {
		if item.Kind != yaml.ScalarNode {
			d.refuse(item, "%s: not a name", what)
			continue
		}
		out = append(out, role.Name{Text: item.Value, At: d.at(item)})
	}
	return out
}
