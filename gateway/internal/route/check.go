package route

import (
	"slices"
	"strings"
	"time"

	"gatehouse.internal/shared/contract"
)

// The bounds of what a route may ask for.
const (
	minStaleness = 500 * time.Millisecond // views are renewed every 250 ms
	maxStaleness = 5 * time.Minute
	maxTimeout   = time.Hour
	maxBodyBound = 1 << 40
	maxAudience  = 255
	maxRequests  = 1_000_000
	// minSpacing is the finest rate that can be counted exactly.
	minSpacing = 100 * time.Microsecond
)

// check reports what is wrong with a route on its own, and fills in defaults.
func (d *Definition) check(c checker) pattern {
	c.name(d.Name)
	p := d.checkMatch(c)
	d.checkRewrite(c, p)
	d.checkCaller(c)
	d.checkLimit(c)
	d.RequestHeaders = headerCheck{c, "request_headers", reservedInRequests}.check(d.RequestHeaders)
	d.ResponseHeaders = headerCheck{c, "response_headers", reservedInResponses}.check(d.ResponseHeaders)
	if d.WebSocket && !slices.Contains(d.Match.Methods, methodNames()[getIndex]) {
		c.report("websocket", "an upgrade is a GET request, which the route does not allow")
	}
	if !c.written("max_body") {
		d.MaxBody = DefaultMaxBody
	} else if d.MaxBody < 1 || d.MaxBody > maxBodyBound {
		c.report("max_body", "%d bytes is not within 1 and 1TiB", d.MaxBody)
	}
	d.checkCompress(c)
	c.duration("timeout", d.Timeout, time.Millisecond, maxTimeout)
	c.duration("total_timeout", d.Total, time.Millisecond, 24*time.Hour)
	return p
}

// Codings are those in which answers may be sent, the better one first.
func Codings() []string { return []string{"zstd", "gzip"} }

func (d *Definition) checkCompress(c checker) {
	if c.written("compress") && !c.broken("compress") && d.Compress != nil && len(d.Compress) == 0 {
		c.report("compress", "names no coding; write false or leave it out for none")
	}
	for i, name := range d.Compress {
		if !slices.Contains(Codings(), name) {
			c.reportItem("compress", i, "%q is not one of %s", name, strings.Join(Codings(), ", "))
		}
		if slices.Contains(d.Compress[:i], name) {
			c.reportItem("compress", i, "%s appears twice", name)
		}
	}
}

func (d *Definition) checkMatch(c checker) pattern {
	if c.written("match.host") {
		host, ok := hostPattern(d.Match.Host)
		if !ok {
			c.report("match.host", "%q is not a host name, nor one behind *.", d.Match.Host)
		}
		d.Match.Host = host
	}
	d.checkMethods(c)
	if !c.written("match.path") {
		c.report("match.path", "missing")
		return pattern{}
	}
	p, wrong := parsePattern(d.Match.Path)
	if wrong != "" {
		c.report("match.path", "%q: %s", d.Match.Path, wrong)
	}
	return p
}

func (d *Definition) checkMethods(c checker) {
	if !c.written("match.methods") || c.broken("match.methods") {
		d.Match.Methods = Methods()
		return
	}
	if len(d.Match.Methods) == 0 {
		c.report("match.methods", "names no method; leave it out for all of them")
	}
	for i, m := range d.Match.Methods {
		if methodIndex(m) < 0 {
			c.reportItem("match.methods", i, "%q is not one of %s", m, strings.Join(Methods(), ", "))
		}
		if slices.Contains(d.Match.Methods[:i], m) {
			c.reportItem("match.methods", i, "%s appears twice", m)
		}
	}
}

// checkRewrite sees to it that the prefix is taken off every path that the
// pattern matches.
func (d *Definition) checkRewrite(c checker, p pattern) {
	replace, strip := d.Rewrite.ReplacePrefix, d.Rewrite.StripPrefix
	if c.written("rewrite.replace_prefix") {
		if r, wrong := parsePattern(replace); wrong != "" || !r.isPlain() {
			c.report("rewrite.replace_prefix", "%q is not a plain path without a slash at its end", replace)
		}
		if !c.written("rewrite.strip_prefix") {
			c.report("rewrite.replace_prefix", "needs strip_prefix, which it takes the place of")
		}
	}
	if !c.written("rewrite.strip_prefix") || c.broken("match.path") {
		return
	}
	s, wrong := parsePattern(strip)
	switch {
	case wrong != "" || !s.isPlain():
		c.report("rewrite.strip_prefix", "%q is not a plain path without a slash at its end", strip)
	case len(s.segments) > len(p.segments) || !slices.Equal(s.segments, p.segments[:len(s.segments)]):
		c.report("rewrite.strip_prefix", "%q is not the start of the path %q", strip, d.Match.Path)
	default:
		d.strip = len(s.segments)
	}
}

// isPlain reports whether the pattern is one path, not the root, that does not
// end in a slash.
func (p pattern) isPlain() bool {
	return !p.isPrefix && p.segments[len(p.segments)-1].literal != "" &&
		!slices.ContainsFunc(p.segments, func(s segment) bool { return s.isParam })
}

// checkCaller sees to it that the demands on the caller make sense together.
func (d *Definition) checkCaller(c checker) {
	if !c.written("auth") {
		c.report("auth", "missing; a route says none, optional or required")
	}
	c.oneOf("auth", string(d.Auth), string(AuthNone), string(AuthOptional), string(AuthRequired))
	if c.written("roles") && len(d.Roles) == 0 {
		c.report("roles", "names no role; leave it out if any caller may pass")
	}
	for i, role := range d.Roles {
		if !isName(role) {
			c.reportItem("roles", i, "%q is not a role's name", role)
		}
		if slices.Contains(d.Roles[:i], role) {
			c.reportItem("roles", i, "%s appears twice", role)
		}
	}
	d.checkPermissions(c)
	if d.Auth != AuthRequired && !c.broken("auth") {
		if len(d.Roles) > 0 {
			c.report("roles", "needs auth: required")
		}
		if len(d.Permissions) > 0 {
			c.report("permissions", "needs auth: required")
		}
		if d.VerifiedEmail {
			c.report("verified_email", "needs auth: required")
		}
		if d.MFA {
			c.report("mfa", "needs auth: required")
		}
	}
	if d.Auth == AuthNone && c.written("max_staleness") {
		c.report("max_staleness", "says nothing with auth: none, where tokens are not looked at")
	}
	if d.Auth == AuthNone && c.written("end_at_expiry") {
		c.report("end_at_expiry", "says nothing with auth: none, where tokens are not looked at")
	}
	if d.Auth == AuthNone && c.written("assertion") {
		c.report("assertion", "says nothing with auth: none, where nobody is known")
	}
	if c.written("assertion") && (d.Assertion == "" || len(d.Assertion) > maxAudience || strings.ContainsFunc(d.Assertion, func(r rune) bool { return r <= ' ' || r > '~' })) {
		c.report("assertion", "%q is not an audience of 1 to %d visible ASCII characters", d.Assertion, maxAudience)
	}
	d.decides = deciding{auth: c.at["auth"].Position, roles: c.at["roles"].Position, permissions: c.at["permissions"].Position, verified: c.at["verified_email"].Position, mfa: c.at["mfa"].Position}
	c.duration("max_staleness", d.MaxStaleness, minStaleness, maxStaleness)
	if !c.written("max_staleness") {
		d.MaxStaleness = DefaultMaxStaleness
	}
}

func (d *Definition) checkPermissions(c checker) {
	if c.written("permissions") && len(d.Permissions) == 0 {
		c.report("permissions", "names no permission; leave it out if none is needed")
	}
	for i, p := range d.Permissions {
		if !contract.IsPermission(p) {
			c.reportItem("permissions", i, "%q is not a permission such as orders:read", p)
		}
		if slices.Contains(d.Permissions[:i], p) {
			c.reportItem("permissions", i, "%s appears twice", p)
		}
	}
}

func (d *Definition) checkLimit(c checker) {
	if d.RateLimit == nil {
		return
	}
	l := *d.RateLimit
	for _, field := range []string{"rate_limit.requests", "rate_limit.per", "rate_limit.by"} {
		if !c.written(field) {
			c.report(field, "missing")
		}
	}
	if c.written("rate_limit.requests") && (l.Requests < 1 || l.Requests > maxRequests) {
		c.report("rate_limit.requests", "%d is not within 1 and %d", l.Requests, maxRequests)
	} else if l.Requests > 0 && l.Per > 0 && l.Per/time.Duration(l.Requests) < minSpacing {
		c.report("rate_limit.requests", "%d per %v is more than 10000 a second", l.Requests, l.Per)
	}
	c.duration("rate_limit.per", l.Per, time.Millisecond, 31*24*time.Hour)
	c.oneOf("rate_limit.by", string(l.By), string(LimitByUser), string(LimitByIP))
	if l.By == LimitByUser && d.Auth == AuthNone {
		c.report("rate_limit.by", "there is no user with auth: none")
	}
}
