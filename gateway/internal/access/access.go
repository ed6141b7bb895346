package access

import (
	"context"
	"slices"
	"time"

	"gatehouse.internal/shared/contract"
	"gatehouse.internal/shared/fault"
)

// Tokens tells good access tokens from bad ones.
type Tokens interface {
	// Verify returns the claims of a good token. For a bad one it returns a
	// fault of kind TokenInvalid or TokenExpired, and if it cannot tell, of
	// kind Unavailable.
	Verify(ctx context.Context, raw string) (*contract.Claims, error)
}

// Revocations know which tokens are no longer true.
type Revocations interface {
	// Check returns nil only if the token was not revoked as of a moment no
	// longer ago than maxStaleness. Otherwise it returns a fault of kind
	// TokenRevoked, TokenStale or RevocationStateUnknown.
	Check(ctx context.Context, c *contract.Claims, maxStaleness time.Duration) error
}

// Permissions know what roles permit.
type Permissions interface {
	// Permit reports whether the roles together give all the permissions. It
	// returns a fault of kind Unavailable if that is not known.
	Permit(roles, permissions []string) (bool, error)
}

// Refusals counts refused requests. It must not block.
type Refusals interface {
	Refused(kind fault.Kind)
}

// Identity says whether a route needs to know its caller. The zero value is
// the strict one.
type Identity uint8

// The values of Identity.
const (
	Required Identity = iota
	Optional          // nobody is fine; somebody must be real
	None              // tokens are not looked at
)

// Demands are what a route asks of its caller.
type Demands struct {
	Identity      Identity
	Roles         []string // any of them; empty for no role
	Permissions   []string // all of them, by whatever roles
	VerifiedEmail bool
	SecondFactor  bool
	MaxStaleness  time.Duration
}

// Request is what the decision needs to know of a request.
type Request struct {
	Token         string // empty if there is none
	FromCookie    bool   // the token came in a cookie
	CredentialErr error  // why no token could be taken from the request (token.FromRequest)

	// RefreshCookie says that the upstream will get the refresh cookie, which
	// may vouch for the request as an access token in a cookie does.
	RefreshCookie bool

	Method string
	// Upgrade says that the request asks to switch protocols. Another site
	// could read and write what follows, so it is not safe, although a GET.
	Upgrade      bool
	SecFetchSite string // the Sec-Fetch-Site field
	Origin       string // the Origin field
	Host         string
}

// Gate decides. Its fields must not change once it is in use.
type Gate struct {
	Tokens      Tokens
	Revocations Revocations
	Permissions Permissions
	Refusals    Refusals // may be nil
	Origins     Origins  // which other origins may act for their users
}

// Decide returns the claims of a caller who may pass; nil claims without an
// error mean that nobody in particular passes. The error is a fault that says
// why the request is refused.
func (g *Gate) Decide(ctx context.Context, d Demands, r *Request) (*contract.Claims, error) {
	claims, err := g.decide(ctx, d, r)
	if err != nil {
		if g.Refusals != nil {
			g.Refusals.Refused(fault.KindOf(err))
		}
		return nil, err
	}
	return claims, nil
}

func (g *Gate) decide(ctx context.Context, d Demands, r *Request) (*contract.Claims, error) {
	claims, err := g.identify(ctx, d, r)
	if err != nil {
		return nil, err
	}
	byCookie := r.RefreshCookie || claims != nil && r.FromCookie
	if byCookie && !g.Origins.permit(r) {
		return nil, fault.New(fault.CrossOriginDenied, "A request from another site cannot use this site's cookies.")
	}
	if claims == nil {
		return nil, nil
	}
	return claims, g.authorise(claims, d)
}

// identify finds out who is calling, or that nobody needs to be.
func (g *Gate) identify(ctx context.Context, d Demands, r *Request) (*contract.Claims, error) {
	if d.Identity == None {
		return nil, nil
	}
	if r.CredentialErr != nil && !fault.Is(r.CredentialErr, fault.TokenMissing) {
		return nil, r.CredentialErr
	}
	if r.Token == "" {
		if d.Identity == Optional {
			return nil, nil
		}
		return nil, fault.New(fault.TokenMissing, "This request needs an access token.")
	}
	claims, err := g.Tokens.Verify(ctx, r.Token)
	if err != nil {
		return nil, err
	}
	if err := g.Revocations.Check(ctx, claims, d.MaxStaleness); err != nil {
		return nil, err
	}
	return claims, nil
}

// authorise holds the caller to the route's demands.
func (g *Gate) authorise(c *contract.Claims, d Demands) error {
	if !hasAny(c, d.Roles) {
		if slices.ContainsFunc(d.Roles, func(role string) bool { return slices.Contains(c.Withheld, role) }) {
			return fault.New(fault.MFARequired, "The caller's role counts with a second factor only: set one up at /auth/mfa/totp, or show it at /auth/mfa/step-up.")
		}
		return fault.New(fault.InsufficientRole, "This request needs a role which the caller does not have.")
	}
	if len(d.Permissions) > 0 {
		permitted, err := g.Permissions.Permit(c.Roles, d.Permissions)
		if err != nil {
			return err
		}
		if !permitted {
			return fault.New(fault.InsufficientRole, "This request needs a permission which the caller's roles do not give.")
		}
	}
	if d.VerifiedEmail && !c.EmailVerified {
		return fault.New(fault.EmailUnverified, "This request needs a verified e-mail address.")
	}
	if d.SecondFactor && !c.SecondFactor() {
		return fault.New(fault.MFARequired, "This request needs a token of a session that has shown a second factor: show it at /auth/mfa/step-up.")
	}
	return nil
}

func hasAny(c *contract.Claims, roles []string) bool {
	for _, role := range roles {
		if c.HasRole(role) {
			return true
		}
	}
	return len(roles) == 0
}
