package route

// View is a route as administrators see it.
type View struct {
	Name                 string           `json:"name"`
	Host                 string           `json:"host"`
	Path                 string           `json:"path"`
	Methods              []string         `json:"methods"`
	Upstream             string           `json:"upstream"`
	Rewrite              *RewriteView     `json:"rewrite"`
	Auth                 Auth             `json:"auth"`
	Roles                []string         `json:"roles"`
	Permissions          []string         `json:"permissions"`
	VerifiedEmail        bool             `json:"verified_email"`
	MFA                  bool             `json:"mfa"`
	MaxStaleness         string           `json:"max_staleness"` // empty where no token is looked at
	RateLimit            *RateLimitView   `json:"rate_limit"`
	RequestHeaders       *HeaderRulesView `json:"request_headers"`
	ResponseHeaders      *HeaderRulesView `json:"response_headers"`
	ForwardAuthorization bool             `json:"forward_authorization"`
	PathParameters       bool             `json:"path_parameters"`
	Compress             []string         `json:"compress"`
	WebSocket            bool             `json:"websocket"`
	EndAtExpiry          bool             `json:"end_at_expiry"`
	MaxBody              int64            `json:"max_body"`
	Timeout              string           `json:"timeout"`       // empty for the upstream's
	TotalTimeout         string           `json:"total_timeout"` // empty for none
	Assertion            string           `json:"assertion"`     // its audience; empty for none
	BuiltIn              bool             `json:"built_in"`
	Source               string           `json:"source"` // file:line:column
}

// RewriteView is a rewrite as administrators see it.
type RewriteView struct {
	StripPrefix   string `json:"strip_prefix"`
	ReplacePrefix string `json:"replace_prefix"`
}

// RateLimitView is a rate limit as administrators see it.
type RateLimitView struct {
	Requests int     `json:"requests"`
	Per      string  `json:"per"`
	By       LimitBy `json:"by"`
}

// HeaderRulesView are header rules as administrators see them: by name alone,
// as a value may be a credential for the upstream.
type HeaderRulesView struct {
	Set    []string `json:"set"`
	Remove []string `json:"remove"`
}

// View gives the effective table, ordered by name, ready to be written as
// JSON.
func (t *Table) View() []View {
	views := make([]View, 0, len(t.routes))
	for _, r := range t.routes {
		views = append(views, r.view())
	}
	return views
}

func (r *Route) view() View {
	v := View{
		Name: r.Name, Host: r.Match.Host, Path: r.Match.Path, Methods: r.Match.Methods, Upstream: r.Upstream,
		Auth: r.Auth, Roles: r.Roles, VerifiedEmail: r.VerifiedEmail, MFA: r.MFA,
		RequestHeaders: r.RequestHeaders.view(), ResponseHeaders: r.ResponseHeaders.view(),
		ForwardAuthorization: !r.WithholdAuthorization, PathParameters: r.PathParameters,
		WebSocket: r.WebSocket, EndAtExpiry: r.EndAtExpiry, MaxBody: r.MaxBody, Assertion: r.Assertion, BuiltIn: r.BuiltIn, Source: r.Source.String(),
	}
	if v.Roles == nil {
		v.Roles = []string{} // an empty list, not null
	}
	v.Permissions = append([]string{}, r.Permissions...)
	v.Compress = append([]string{}, r.Compress...)
	if r.Auth != AuthNone {
		v.MaxStaleness = r.MaxStaleness.String()
	}
	if r.Timeout > 0 {
		v.Timeout = r.Timeout.String()
	}
	if r.Total > 0 {
		v.TotalTimeout = r.Total.String()
	}
	if r.Rewrite != (Rewrite{}) {
		v.Rewrite = &RewriteView{StripPrefix: r.Rewrite.StripPrefix, ReplacePrefix: r.Rewrite.ReplacePrefix}
	}
	if l := r.RateLimit; l != nil {
		v.RateLimit = &RateLimitView{Requests: l.Requests, Per: l.Per.String(), By: l.By}
	}
	return v
}

func (rules *HeaderRules) view() *HeaderRulesView {
	if len(rules.Set) == 0 && len(rules.Remove) == 0 {
		return nil
	}
	v := &HeaderRulesView{Set: []string{}, Remove: append([]string{}, rules.Remove...)}
	for _, f := range rules.Set {
		v.Set = append(v.Set, f.Name)
	}
	return v
}
