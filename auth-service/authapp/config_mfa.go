package authapp

import (
	"fmt"
	"net/url"

	"gatehouse.internal/auth-service/internal/auth"
	"gatehouse.internal/auth-service/internal/auth/role"
	"gatehouse.internal/auth-service/internal/passkey"
	"gatehouse.internal/shared/contract"
)

// checkFactors judges the settings of second factors. The roles are nil if they
// cannot be read.
func (c *Config) checkFactors(p *problems, roles *role.Table) {
	p.refuse("AUTH_MAX_SESSIONS", c.MaxSessions < 0 || c.MaxSessions > 1000, "is not within 0 and 1000")
	const setting = "AUTH_MFA_REQUIRED_ROLES"
	for _, name := range c.MFARequiredRoles {
		if !role.IsName(name) {
			p.refuse(setting, true, fmt.Sprintf("%q is not the name of a role", name))
			continue
		}
		p.refuse(setting, name == contract.RoleUser, "names the role user, which everybody has: name the roles that need protection")
		if roles == nil || name == contract.RoleUser {
			continue
		}
		p.refuse(setting, !roles.Knows(name), fmt.Sprintf("names the role %s, which AUTH_ROLES does not define", name))
		p.refuse(setting, roles.Is(contract.RoleUser, name), fmt.Sprintf("names the role %s, which everybody has: the role user inherits from it", name))
	}
}

// siteName is what authenticator apps call this site: the host that people
// know it by.
func (a *App) siteName() string {
	u, err := url.Parse(a.cfg.PublicURL)
	if err != nil || u.Hostname() == "" {
		return a.cfg.Issuer // Validate has refused such a URL
	}
	return u.Hostname()
}

// ceremonies are those of passkeys, or nil where the public URL has no name.
func (a *App) ceremonies() (auth.Ceremonies, error) {
	c, err := passkey.New(a.cfg.PublicURL)
	if err != nil || c == nil {
		return nil, err
	}
	return c, nil
}
