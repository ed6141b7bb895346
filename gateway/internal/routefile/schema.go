package routefile

import (
	"bytes"
	"encoding/json"
	"fmt"

	"gatehouse.internal/gateway/internal/route"
)

// schema is the part of JSON Schema (draft 2020-12) that describes route
// files. It is made of the very keys that the reader knows, so that what an
// editor completes and what the gateway reads cannot drift apart.
type schema struct {
	Dialect     string             `json:"$schema,omitempty"`
	Title       string             `json:"title,omitempty"`
	Description string             `json:"description,omitempty"`
	Type        any                `json:"type,omitempty"` // a name or several
	Enum        []string           `json:"enum,omitempty"`
	Pattern     string             `json:"pattern,omitempty"`
	Minimum     int                `json:"minimum,omitempty"` // of a number
	Default     any                `json:"default,omitempty"`
	AnyOf       []*schema          `json:"anyOf,omitempty"`
	Items       *schema            `json:"items,omitempty"`
	MinItems    int                `json:"minItems,omitempty"`
	MinKeys     int                `json:"minProperties,omitempty"`
	Required    []string           `json:"required,omitempty"`
	Properties  map[string]*schema `json:"properties,omitempty"`
	Additional  any                `json:"additionalProperties,omitempty"` // false or a schema
}

// Schema gives the JSON Schema of a route file, indented, with a line break at
// its end. It says which keys there are and how their values look; only the
// gateway itself knows whether a table of routes makes sense as a whole.
func Schema() ([]byte, error) {
	d := document{definitions: new(route.Definitions), problems: new(route.Problems)}
	top := object(d.keys())
	top.Dialect = "https://json-schema.org/draft/2020-12/schema"
	top.Title = "Gatehouse routes"
	top.Description = "Upstreams and the routes that lead to them. Every file of a gateway may name the upstreams of any other."
	var out bytes.Buffer
	e := json.NewEncoder(&out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(top); err != nil {
		return nil, fmt.Errorf("encode the schema of route files: %w", err)
	}
	return out.Bytes(), nil
}

// object describes a mapping with these keys and no others.
func object(known keys) *schema {
	s := &schema{Type: "object", Properties: make(map[string]*schema), Additional: false}
	for _, name := range known.names() {
		s.Properties[name] = known[name].schema
		if known[name].required {
			s.Required = append(s.Required, name)
		}
	}
	return s
}

// about says what a key means.
func (k key) about(text string) key { k.schema.Description = text; return k }

// must says that a key cannot be left out.
func (k key) must() key { k.required = true; return k }

// unless says what counts if the key is left out.
func (k key) unless(value any) key { k.schema.Default = value; return k }

// of says which values there are.
func (k key) of(values ...string) key {
	if k.schema.Items != nil {
		k.schema.Items.Enum = values
	} else {
		k.schema.Enum = values
	}
	return k
}

// matching says how the items of a list look.
func (k key) matching(pattern string) key { k.schema.Items.Pattern = pattern; return k }
