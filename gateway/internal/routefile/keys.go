package routefile

import "gatehouse.internal/gateway/internal/route"

// routeKeys are those of a route, with what editors show of them. Reading them
// fills in r.
func (d *document) routeKeys(r *route.Definition) keys {
	var limit route.RateLimit
	return keys{
		"name": text(&r.Name).must().about("Unique among all routes; labels metrics, logs and limits."),
		"match": d.inner("match.", r.At, keys{
			"host":    text(&r.Match.Host).about("A host name without port, or *.example.com for every name with one label before that; left out for every host."),
			"path":    text(&r.Match.Path).must().about("/exact, /with/{parameter}, or /prefix/* for a path and all below it."),
			"methods": d.list(&r.Match.Methods, r.At, "match.methods").of(route.Methods()...).about("GET brings HEAD along; left out for all methods."),
		}).must().about("Which requests the route is for."),
		"upstream": text(&r.Upstream).must().about("The name of an upstream, of this file or another."),
		"rewrite": d.inner("rewrite.", r.At, keys{
			"strip_prefix":   text(&r.Rewrite.StripPrefix).must().about("Whole segments that are taken off the front, such as /api."),
			"replace_prefix": text(&r.Rewrite.ReplacePrefix).about("What takes their place."),
		}).about("How the path changes on its way to the upstream."),
		"auth": word(&r.Auth).must().of("none", "optional", "required").
			about("Whether the caller needs an access token. There is no default: nothing is public by omission."),
		"roles":            d.list(&r.Roles, r.At, "roles").about("The caller needs any one of these roles."),
		"permissions":      d.list(&r.Permissions, r.At, "permissions").matching(`^[a-z0-9][a-z0-9._-]*(:[a-z0-9][a-z0-9._-]*){1,3}$`).about("The caller's roles must give all of these permissions, such as orders:read."),
		"verified_email":   flag(&r.VerifiedEmail).unless(false).about("The caller needs a verified e-mail address."),
		"mfa":              flag(&r.MFA).unless(false).about("The caller needs to have shown a second factor in this session; else 403 mfa_required."),
		"max_staleness":    duration(&r.MaxStaleness).unless("30s").about("How old this gateway's knowledge of revocations may be; 500ms to 5m."),
		"rate_limit":       given(d.limit(&limit, r.At), &r.RateLimit, &limit).about("How many requests one user or address may make."),
		"request_headers":  d.headerRules(&r.RequestHeaders, r.At, "request_headers").about("Changes to the header that the upstream gets."),
		"response_headers": d.headerRules(&r.ResponseHeaders, r.At, "response_headers").about("Changes to the header of the upstream's answers."),
		"forward_authorization": negated(&r.WithholdAuthorization).
			about("false keeps the access token from the upstream, which still gets the X-User headers."),
		"assertion":       text(&r.Assertion).about("The audience for which the gateway signs who is calling, in X-Gatehouse-Assertion; left out for none."),
		"path_parameters": flag(&r.PathParameters).unless(false).about("Whether the path may hold parameters, as in /a;b=c."),
		"compress":        d.compress(&r.Compress, r.At).about("Codings in which answers are sent to clients that take them, the better one first; true for all. Not for answers that hold a secret beside something a stranger chose."),
		"websocket":       flag(&r.WebSocket).unless(false).about("Whether the connection may become a WebSocket."),
		"end_at_expiry":   flag(&r.EndAtExpiry).unless(false).about("Long answers end with the caller's token, and not only with the session."),
		"max_body":        size(&r.MaxBody).unless("1MiB").about("The largest body of a request."),
		"timeout":         duration(&r.Timeout).about("Until an answer begins; left out for the upstream's."),
		"total_timeout":   duration(&r.Total).about("For a request and its answer together; WebSockets excepted. Left out for no limit."),
	}
}

func (d *document) limit(l *route.RateLimit, at route.Places) key {
	return d.inner("rate_limit.", at, keys{
		"requests": number(&l.Requests).must().about("How many requests within the time."),
		"per":      duration(&l.Per).must().about("The time, such as 1m."),
		"by":       word(&l.By).must().of("user", "ip").about("Whose requests are counted together."),
	})
}

func (d *document) headerRules(rules *route.HeaderRules, at route.Places, field string) key {
	return d.inner(field+".", at, keys{
		"set":    d.fields(&rules.Set, at, field+".set").about("Fields that are set, in place of what was there."),
		"remove": d.list(&rules.Remove, at, field+".remove").about("Fields that are taken out."),
	})
}
