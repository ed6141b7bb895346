// Package authn lets a service behind the gateway know for itself who is
// calling. It decides whether a request carries an access token that is good,
// and promises that no handler behind it runs for one that is not. It trusts
// no X-User-* header: those are for services that trust the network instead.
//
// It takes tokens from Authorization alone (or, where it is told to, the
// gateway's assertions from their own header), where the gateway puts them also
// when they came to it in a cookie, and refuses cookies and queries. With
// Revocations it refuses revoked tokens too; without, a token that was revoked
// after the gateway let it pass is good until it expires.
package authn

import (
	"context"
	"net/http"
	"time"

	"gatehouse.internal/shared/contract"
	"gatehouse.internal/shared/fault"
	"gatehouse.internal/shared/httpx"
	"gatehouse.internal/shared/token"
)

// Tokens checks access tokens; token.Verifier and token.Cache do.
type Tokens interface {
	// Verify returns the claims of a good token. They may be shared and must
	// not be changed.
	Verify(ctx context.Context, raw string) (*contract.Claims, error)
}

// Revocations knows which tokens are no longer good; revocation.Checker does.
type Revocations interface {
	// Check returns a fault for a token that is revoked, and
	// revocation_state_unknown if its knowledge is older than maxStaleness.
	Check(ctx context.Context, claims *contract.Claims, maxStaleness time.Duration) error
}

// Roles knows what roles permit; RemoteRoles does.
type Roles interface {
	// Permit reports whether the roles together give all the permissions, and
	// fails if that is not known.
	Permit(roles, permissions []string) (bool, error)
}

// DefaultMaxStaleness is how old the knowledge of revocations may be when an
// Authenticator does not say.
const DefaultMaxStaleness = 30 * time.Second

// Authenticator is middleware that lets only verified callers through.
type Authenticator struct {
	Tokens       Tokens        // with Assertions, a verifier of contract.AssertionType for this service's audience
	Revocations  Revocations   // nil: revocation is left to the gateway
	MaxStaleness time.Duration // 0: DefaultMaxStaleness
	Roles        Roles         // for RequirePermission alone
	// Assertions has the caller known by the gateway's own word for this
	// service, X-Gatehouse-Assertion, in place of the access token: the request
	// has then passed the gateway within the last minute, and what this service
	// has seen is good for nobody else.
	Assertions bool
}

// Require answers requests without a good token with a problem document, and
// passes the others on to next with their claims in the context.
func (a *Authenticator) Require(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		claims, err := a.authenticate(r)
		if err != nil {
			httpx.WriteProblem(w, r, err)
			return
		}
		next.ServeHTTP(w, r.WithContext(WithClaims(r.Context(), claims)))
	})
}

// RequireRole is Require, and refuses callers without the role.
func (a *Authenticator) RequireRole(role string, next http.Handler) http.Handler {
	return a.Require(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if claims, ok := ClaimsFrom(r.Context()); !ok || !claims.HasRole(role) {
			httpx.WriteProblem(w, r, fault.New(fault.InsufficientRole, "This needs the role "+role+"."))
			return
		}
		next.ServeHTTP(w, r)
	}))
}

// RequireSecondFactor is Require, and refuses callers whose session has not
// shown a second factor ("amr" without "mfa", RFC 8176).
func (a *Authenticator) RequireSecondFactor(next http.Handler) http.Handler {
	return a.Require(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if claims, ok := ClaimsFrom(r.Context()); !ok || !claims.SecondFactor() {
			httpx.WriteProblem(w, r, fault.New(fault.MFARequired, "This needs a token of a session that has shown a second factor."))
			return
		}
		next.ServeHTTP(w, r)
	}))
}

// RequirePermission is Require, and refuses callers whose roles do not permit
// this. Without Roles it refuses everybody.
func (a *Authenticator) RequirePermission(permission string, next http.Handler) http.Handler {
	return a.Require(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := a.permit(r, permission); err != nil {
			httpx.WriteProblem(w, r, err)
			return
		}
		next.ServeHTTP(w, r)
	}))
}

func (a *Authenticator) permit(r *http.Request, permission string) error {
	claims, ok := ClaimsFrom(r.Context())
	if ok && a.Roles != nil {
		permitted, err := a.Roles.Permit(claims.Roles, []string{permission})
		if permitted || err != nil {
			return err
		}
	}
	return fault.New(fault.InsufficientRole, "This needs the permission "+permission+".")
}

func (a *Authenticator) authenticate(r *http.Request) (*contract.Claims, error) {
	raw, err := a.credential(r)
	if err != nil {
		return nil, err
	}
	claims, err := a.Tokens.Verify(r.Context(), raw)
	if err != nil {
		return nil, err
	}
	if a.Revocations == nil {
		return claims, nil
	}
	staleness := a.MaxStaleness
	if staleness == 0 {
		staleness = DefaultMaxStaleness
	}
	if err := a.Revocations.Check(r.Context(), claims, staleness); err != nil {
		return nil, err
	}
	return claims, nil
}

// credential takes what the caller is known by from the request.
func (a *Authenticator) credential(r *http.Request) (string, error) {
	if !a.Assertions {
		raw, _, err := token.FromRequest(r, false)
		return raw, err
	}
	switch lines := r.Header.Values(contract.HeaderAssertion); len(lines) {
	case 0:
		return "", fault.New(fault.TokenMissing, "This needs an assertion of the gateway.")
	case 1:
		return lines[0], nil
	}
	return "", fault.New(fault.Malformed, "The request carries two assertions.")
}

type claimsKey struct{}

// WithClaims returns a context that carries the claims of a verified caller.
func WithClaims(ctx context.Context, claims *contract.Claims) context.Context {
	return context.WithValue(ctx, claimsKey{}, claims)
}

// ClaimsFrom returns the claims that Require put into the context. They must
// not be changed.
func ClaimsFrom(ctx context.Context) (*contract.Claims, bool) {
	claims, ok := ctx.Value(claimsKey{}).(*contract.Claims)
	return claims, ok && claims != nil
}
