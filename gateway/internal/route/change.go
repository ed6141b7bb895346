package route

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// change says how the routes of a pair differ to callers, if they do.
func (p pair) change(methods methodSet) (Change, bool) {
	c := Change{Methods: methods.names(), Host: p.host(), Path: p.path(), Old: p.routes[0], New: p.routes[1]}
	roles := p.roles()
	gains, loses := make(map[caller]bool), make(map[caller]bool)
	for _, who := range callersOf(roles) {
		before, after := lets(c.Old, who), lets(c.New, who)
		if after && !before {
			gains[who] = true
		}
		if before && !after {
			loses[who] = true
		}
	}
	c.Gains, c.Loses = permitted(inWords(gains, roles), c.New), permitted(inWords(loses, roles), c.Old)
	if c.Old != nil && c.New != nil {
		c.Terms = termsChanged(c.Old, c.New)
	}
	return c, len(c.Gains)+len(c.Loses)+len(c.Terms) > 0
}

// permitted adds to descriptions of callers the permissions that the route asks
// for. That a route which stays asks for others is told as one of its terms.
func permitted(lines []string, r *Route) []string {
	if r == nil || len(r.Permissions) == 0 {
		return lines
	}
	for i := range lines {
		lines[i] += ", if their roles give " + strings.Join(r.Permissions, ", ")
	}
	return lines
}

// roles are all that one of the routes asks for, in order.
func (p pair) roles() []string {
	var all []string
	for _, r := range p.routes {
		if r != nil {
			all = append(all, r.Roles...)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// termsChanged says on what terms a request is served differently, apart from
// who may make it.
func termsChanged(older, newer *Route) []string {
	var lines []string
	before, after := older.terms(), newer.terms()
	for i, term := range after {
		switch was := before[i]; {
		case was.value == term.value || was.value == "" || term.value == "":
		case term.hidden:
			lines = append(lines, term.name+": changed")
		default:
			lines = append(lines, fmt.Sprintf("%s: %s, was %s", term.name, term.value, was.value))
		}
	}
	return lines
}

// term is a field of a route as a text.
type term struct {
	name, value string // no value where the term says nothing
	hidden      bool   // the value may be a credential
}

func (r *Route) terms() []term {
	limit, timeout := "none", "the upstream's"
	if l := r.RateLimit; l != nil {
		limit = fmt.Sprintf("%d per %v by %s", l.Requests, l.Per, l.By)
	}
	if r.Timeout > 0 {
		timeout = r.Timeout.String()
	}
	total := "none"
	if r.Total > 0 {
		total = r.Total.String()
	}
	var auth, staleness string
	if r.Auth != AuthNone {
		staleness = r.MaxStaleness.String()
	}
	if r.Auth != AuthRequired {
		auth = string(r.Auth) // else it is seen in who may pass
	}
	return []term{
		{name: "auth", value: auth},
		{name: "upstream", value: r.Upstream},
		{name: "rewrite", value: fmt.Sprintf("%q to %q", r.Rewrite.StripPrefix, r.Rewrite.ReplacePrefix)},
		{name: "permissions", value: cmp.Or(strings.Join(slices.Sorted(slices.Values(r.Permissions)), ", "), "none")},
		{name: "max_staleness", value: staleness},
		{name: "rate_limit", value: limit},
		{name: "request_headers", value: fmt.Sprintf("%q", r.RequestHeaders), hidden: true},
		{name: "response_headers", value: fmt.Sprintf("%q", r.ResponseHeaders), hidden: true},
		{name: "forward_authorization", value: strconv.FormatBool(!r.WithholdAuthorization)},
		{name: "path_parameters", value: strconv.FormatBool(r.PathParameters)},
		{name: "compress", value: fmt.Sprintf("%q", r.Compress)},
		{name: "websocket", value: strconv.FormatBool(r.WebSocket)},
		{name: "end_at_expiry", value: strconv.FormatBool(r.EndAtExpiry)},
		{name: "max_body", value: fmt.Sprintf("%d bytes", r.MaxBody)},
		{name: "timeout", value: timeout},
		{name: "total_timeout", value: total},
		{name: "assertion", value: fmt.Sprintf("%q", r.Assertion)},
	}
}

// CompareUpstreams says in words, a line each, which upstreams that both
// tables have lead elsewhere or are used otherwise.
func CompareUpstreams(older, newer *Table) []string {
	before := make(map[string]Upstream)
	for _, u := range older.upstreams {
		before[u.Name] = u
	}
	var lines []string
	for _, u := range newer.upstreams {
		was, known := before[u.Name]
		if !known {
			continue
		}
		fields := [...]struct{ name, is, was string }{
			{"targets", fmt.Sprint(u.Targets), fmt.Sprint(was.Targets)},
			{"weights", inJSON(u.Weights), inJSON(was.Weights)},
			{"balance", u.Balance, was.Balance},
			{"protocol", u.Protocol, was.Protocol},
			{"tls", inJSON(u.TLS), inJSON(was.TLS)},
			{"health", u.Health.String(), was.Health.String()},
			{"ejection", inJSON(u.Ejection), inJSON(was.Ejection)},
			{"retries", inJSON(u.Retries), inJSON(was.Retries)},
			{"breaker", inJSON(u.Breaker), inJSON(was.Breaker)},
			{"failure_statuses", inJSON(u.Failing), inJSON(was.Failing)},
			{"max_requests", strconv.Itoa(u.MaxInFlight), strconv.Itoa(was.MaxInFlight)},
			{"timeout", u.Timeout.String(), was.Timeout.String()},
			{"connect_timeout", u.ConnectTimeout.String(), was.ConnectTimeout.String()},
			{"idle_timeout", u.IdleTimeout.String(), was.IdleTimeout.String()},
		}
		for _, f := range fields {
			if f.is != f.was {
				lines = append(lines, fmt.Sprintf("upstream %s: %s: %s, was %s", u.Name, f.name, f.is, f.was))
			}
		}
	}
	return lines
}

// inJSON gives a value as a text that shows all of it.
func inJSON(v any) string {
	text, _ := json.Marshal(v) // plain structs of plain values
	return string(text)
}

// String gives the probe in words.
func (h *Health) String() string {
	switch {
	case h == nil:
		return "none"
	case h.Timeout == 0 && h.Unhealthy == 0 && h.Healthy == 0 && h.Statuses == nil:
		return fmt.Sprintf("%s every %v", h.Path, h.Interval)
	}
	return inJSON(h)
}
