package routefile

import (
	_ "embed"

	"gatehouse.internal/gateway/internal/route"
)

//go:embed defaults.yaml
var defaults []byte

// builtInFile is how problems and the admin's view name the built-in routes.
const builtInFile = "built-in"

// Settings are what the built-in routes take from the environment.
type Settings struct {
	AuthTargets []string // GATEWAY_AUTH_URL
	UserTargets []string // GATEWAY_USER_URL
	// CredentialLimit is how many calls the credential endpoints take from one
	// address in 15 minutes; 0 for any number.
	CredentialLimit int
}

// builtIn adds the routes that come with the gateway.
func builtIn(s Settings, into *route.Definitions, problems *route.Problems) {
	d := document{file: builtInFile, definitions: into, problems: problems, builtIn: true}
	d.parse(defaults)
	for i := range into.Upstreams {
		switch u := &into.Upstreams[i]; u.Name {
		case "auth":
			fill(u, s.AuthTargets, "GATEWAY_AUTH_URL")
		case "users":
			fill(u, s.UserTargets, "GATEWAY_USER_URL")
		}
	}
	for i := range into.Routes {
		r := &into.Routes[i]
		switch {
		case r.RateLimit == nil:
		case s.CredentialLimit == 0:
			r.RateLimit = nil
		default:
			r.RateLimit.Requests = s.CredentialLimit
			r.At["rate_limit.requests"] = route.Place{Position: route.Position{File: "GATEWAY_CREDENTIAL_LIMIT"}}
		}
	}
}

// fill gives an upstream the targets of a variable, which problems will name.
func fill(u *route.UpstreamDefinition, targets []string, variable string) {
	u.Targets = targets
	u.At["targets"] = route.Place{Position: route.Position{File: variable}}
}
