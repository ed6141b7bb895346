package routefile

import (
	"go.yaml.in/yaml/v3"

	"gatehouse.internal/gateway/internal/route"
)

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
	wrong := d.mapping(n, "", r.At, map[string]setter{
		"name": text(&r.Name),
		"match": d.inner("match.", r.At, map[string]setter{
			"host":    text(&r.Match.Host),
			"path":    text(&r.Match.Path),
			"methods": d.list(&r.Match.Methods, r.At, "match.methods"),
		}),
		"upstream": text(&r.Upstream),
		"rewrite": d.inner("rewrite.", r.At, map[string]setter{
			"strip_prefix":   text(&r.Rewrite.StripPrefix),
			"replace_prefix": text(&r.Rewrite.ReplacePrefix),
		}),
		"auth":           word(&r.Auth),
		"roles":          d.list(&r.Roles, r.At, "roles"),
		"verified_email": flag(&r.VerifiedEmail),
		"max_staleness":  duration(&r.MaxStaleness),
		"rate_limit":     d.rateLimit(&r),
		"websocket":      flag(&r.WebSocket),
		"end_at_expiry":  flag(&r.EndAtExpiry),
		"max_body":       size(&r.MaxBody),
		"timeout":        duration(&r.Timeout),
	})
	if wrong != "" {
		d.report(n, "a route is %s", wrong)
		return
	}
	d.definitions.Routes = append(d.definitions.Routes, r)
}

// inner reads a mapping inside another. If it is none, its fields count as
// reported.
func (d *document) inner(prefix string, places route.Places, known map[string]setter) setter {
	return func(n *yaml.Node) string {
		wrong := d.mapping(n, prefix, places, known)
		if wrong != "" {
			for key := range known {
				places[prefix+key] = route.Place{Position: d.position(n), Broken: true}
			}
		}
		return wrong
	}
}

func (d *document) rateLimit(r *route.Definition) setter {
	return func(n *yaml.Node) string {
		var l route.RateLimit
		r.RateLimit = &l
		return d.inner("rate_limit.", r.At, map[string]setter{
			"requests": number(&l.Requests),
			"per":      duration(&l.Per),
			"by":       word(&l.By),
		})(n)
	}
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

func (d *document) upstream(key, n *yaml.Node) {
	u := route.UpstreamDefinition{At: route.Places{"name": {Position: d.position(key)}}, BuiltIn: d.builtIn}
	u.Name, u.Source = key.Value, d.position(key)
	wrong := d.mapping(n, "", u.At, map[string]setter{
		"targets": d.list(&u.Targets, u.At, "targets"),
		"balance": text(&u.Balance),
		"health":  d.health(&u),
		"timeout": duration(&u.Timeout),
	})
	if wrong != "" {
		d.report(n, "an upstream is %s", wrong)
		u.At["targets"] = route.Place{Position: d.position(n), Broken: true}
	}
	// A broken upstream is known all the same: its routes are no problem.
	d.definitions.Upstreams = append(d.definitions.Upstreams, u)
}

func (d *document) health(u *route.UpstreamDefinition) setter {
	return func(n *yaml.Node) string {
		var h route.Health
		u.Health = &h
		return d.inner("health.", u.At, map[string]setter{
			"path":     text(&h.Path),
			"interval": duration(&h.Interval),
		})(n)
	}
}
