package routefile

import (
	"go.yaml.in/yaml/v3"

	"gatehouse.internal/gateway/internal/route"
)

// keys are those of a file.
func (d *document) keys() keys {
	var noRoute route.Definition
	var noUpstream route.UpstreamDefinition
	return keys{
		"upstreams": key{
			read:   d.upstreams,
			schema: &schema{Type: "object", Additional: object(d.upstreamKeys(&noUpstream))},
		}.about("Services behind the gateway, by name."),
		"routes": key{
			read:   d.routes,
			schema: &schema{Type: "array", Items: object(d.routeKeys(&noRoute))},
		}.about("Which requests go where, and on what terms. The most specific path decides alone."),
	}
}

// routes reads the list of routes.
func (d *document) routes(n *yaml.Node) string {
	if n.Kind != yaml.SequenceNode {
		return "not a list of routes"
	}
	for _, item := range n.Content {
		d.route(item)
	}
	return ""
}

func (d *document) route(n *yaml.Node) {
	r := route.Definition{At: make(route.Places)}
	r.Source, r.BuiltIn = d.position(n), d.builtIn
	if wrong := d.mapping(n, "", r.At, d.routeKeys(&r)); wrong != "" {
		d.report(n, "a route is %s", wrong)
		return
	}
	d.definitions.Routes = append(d.definitions.Routes, r)
}

// inner reads a mapping inside another. If it is none, its fields count as
// reported.
func (d *document) inner(prefix string, places route.Places, known keys) key {
	return key{schema: object(known), read: func(n *yaml.Node) string {
		wrong := d.mapping(n, prefix, places, known)
		if wrong != "" {
			for name := range known {
				places[prefix+name] = route.Place{Position: d.position(n), Broken: true}
			}
		}
		return wrong
	}}
}

// given notes that a mapping is there, before it is read.
func given[T any](k key, into **T, value *T) key {
	read := k.read
	k.read = func(n *yaml.Node) string {
		*into = value
		return read(n)
	}
	return k
}

// upstreams reads the mapping of names to upstreams.
func (d *document) upstreams(n *yaml.Node) string {
	if n.Kind != yaml.MappingNode {
		return "not a mapping of names to upstreams"
	}
	for i := 0; i+1 < len(n.Content); i += 2 {
		d.upstream(n.Content[i], n.Content[i+1])
	}
	return ""
}

func (d *document) upstream(name, n *yaml.Node) {
	u := route.UpstreamDefinition{At: route.Places{"name": {Position: d.position(name)}}, BuiltIn: d.builtIn}
	u.Name, u.Source = name.Value, d.position(name)
	if wrong := d.mapping(n, "", u.At, d.upstreamKeys(&u)); wrong != "" {
		d.report(n, "an upstream is %s", wrong)
		u.At["targets"] = route.Place{Position: d.position(n), Broken: true}
	}
	// A broken upstream is known all the same: its routes are no problem.
	d.definitions.Upstreams = append(d.definitions.Upstreams, u)
}
