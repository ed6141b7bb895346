package authn_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gatehouse.internal/shared/authn"
	"gatehouse.internal/shared/contract"
	"gatehouse.internal/shared/fault"
	"gatehouse.internal/shared/token"
	"gatehouse.internal/shared/token/tokentest"
)

// revocations answers every check the same, and notes what it was asked.
type revocations struct {
	err       error
	staleness time.Duration
	subject   string
}

func (r *revocations) Check(_ context.Context, c *contract.Claims, maxStaleness time.Duration) error {
	r.staleness, r.subject = maxStaleness, c.Subject
	return r.err
}

// tokens refuses every token with an error.
type tokens struct{ err error }

func (t tokens) Verify(context.Context, string) (*contract.Claims, error) { return nil, t.err }

// service is a handler that notes who called it.
type service struct {
	called bool
	claims *contract.Claims
}

func (s *service) ServeHTTP(_ http.ResponseWriter, r *http.Request) {
	s.called = true
	s.claims, _ = authn.ClaimsFrom(r.Context())
}

// S-T18: nothing behind the middleware runs for a request that is refused.
func TestAuthenticator_Require(t *testing.T) {
	issuer := tokentest.New(t, token.AlgEdDSA)
	now := time.Now()
	good := "Bearer " + issuer.Token(tokentest.Claims(now))
	expired := tokentest.Claims(now.Add(-time.Hour))
	for _, c := range []struct {
		name          string
		authorization []string
		cookie        string
		query         string
		tokens        authn.Tokens // nil: those of the issuer
		revocations   error
		status        int
		code          fault.Kind
		challenge     string
	}{
		{name: "a good token", authorization: []string{good}, status: 200},
		{name: "S-B3 no token has no error code", status: 401, code: fault.TokenMissing, challenge: "Bearer"},
		{name: "S-B3 a bad token", authorization: []string{good + "x"}, status: 401, code: fault.TokenInvalid, challenge: `Bearer error="invalid_token"`},
		{name: "S-B4 an expired token", authorization: []string{"Bearer " + issuer.Token(expired)}, status: 401, code: fault.TokenExpired, challenge: `Bearer error="invalid_token"`},
		{name: "S-B2 two tokens", authorization: []string{good, good}, status: 400, code: fault.Malformed},
		{name: "S-B1 a token in the query", query: "?access_token=" + issuer.Token(tokentest.Claims(now)), status: 401, code: fault.TokenMissing, challenge: "Bearer"},
		{name: "a token in a cookie is the gateway's business", cookie: "__Host-access=" + issuer.Token(tokentest.Claims(now)), status: 401, code: fault.TokenMissing, challenge: "Bearer"},
		{name: "S-B4 a revoked token", authorization: []string{good}, revocations: fault.New(fault.TokenRevoked, ""), status: 401, code: fault.TokenRevoked, challenge: `Bearer error="invalid_token"`},
		{name: "a stale token", authorization: []string{good}, revocations: fault.New(fault.TokenStale, ""), status: 401, code: fault.TokenStale, challenge: `Bearer error="invalid_token"`},
		{name: "S-B7 revocations unknown", authorization: []string{good}, revocations: fault.New(fault.RevocationStateUnknown, ""), status: 503, code: fault.RevocationStateUnknown},
		{name: "S-B7 keys unknown", authorization: []string{good}, tokens: tokens{fault.New(fault.Unavailable, "")}, status: 503, code: fault.Unavailable},
		{name: "S-B6 an unclassified failure tells nothing", authorization: []string{good}, tokens: tokens{errors.New("secret cause")}, status: 500, code: fault.Internal},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := &authn.Authenticator{Tokens: c.tokens, Revocations: &revocations{err: c.revocations}}
			if a.Tokens == nil {
				a.Tokens = issuer.Verifier(t, time.Now)
			}
			r := httptest.NewRequest(http.MethodGet, "/"+c.query, http.NoBody)
			r.Header["Authorization"] = c.authorization
			r.Header.Set("Cookie", c.cookie)
			r.Header.Set(contract.HeaderUserID, "forged")
			var next service
			w := httptest.NewRecorder()
			a.Require(&next).ServeHTTP(w, r)
			mustAnswer(t, w, c.status, c.code)
			if got := w.Header().Get("WWW-Authenticate"); got != c.challenge {
				t.Errorf("challenge %q, want %q", got, c.challenge)
			}
			if next.called != (c.status == 200) {
				t.Errorf("S-T18 the handler ran: %v", next.called)
			}
			if next.called && (next.claims == nil || next.claims.Subject != tokentest.Claims(now).Subject) {
				t.Errorf("the handler saw claims %v", next.claims)
			}
		})
	}
}

// S-P7: with Assertions, nothing but the gateway's own header counts.
func TestAuthenticator_Assertions(t *testing.T) {
	issuer := tokentest.New(t, token.AlgEdDSA)
	claims := tokentest.Claims(time.Now())
	assertion := issuer.Sign(`{"typ":"`+contract.AssertionType+`","alg":"EdDSA","kid":"`+issuer.KeyID+`"}`, tokentest.Text(tokentest.Members(claims)))
	access := issuer.Token(claims)
	verifier, err := token.NewVerifier(token.Settings{
		Issuer: tokentest.IssuerURL, Audience: tokentest.Audience, Type: contract.AssertionType,
	}, issuer.Set(t), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	a := &authn.Authenticator{Tokens: verifier, Assertions: true}
	for _, c := range []struct {
		name   string
		header http.Header
		status int
		code   fault.Kind
	}{
		{"the gateway's word", http.Header{contract.HeaderAssertion: {assertion}}, 200, ""},
		{"an access token alone", http.Header{"Authorization": {"Bearer " + access}}, 401, fault.TokenMissing},
		{"an access token in its place", http.Header{contract.HeaderAssertion: {access}}, 401, fault.TokenInvalid},
		{"two of them", http.Header{contract.HeaderAssertion: {assertion, assertion}}, 400, fault.Malformed},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodGet, "/", http.NoBody)
			r.Header = c.header
			w := httptest.NewRecorder()
			a.Require(&service{}).ServeHTTP(w, r)
			mustAnswer(t, w, c.status, c.code)
		})
	}
}

func mustAnswer(t *testing.T, w *httptest.ResponseRecorder, status int, code fault.Kind) {
	t.Helper()
	if w.Code != status {
		t.Errorf("status %d, want %d", w.Code, status)
	}
	if status == http.StatusOK {
		return
	}
	var problem struct {
		Code   fault.Kind `json:"code"`
		Status int        `json:"status"`
	}
	if err := json.Unmarshal(w.Body.Bytes(), &problem); err != nil {
		t.Fatalf("the answer is no problem document: %s", w.Body)
	}
	if problem.Code != code || problem.Status != status {
		t.Errorf("problem %+v, want code %s", problem, code)
	}
}

func TestAuthenticator_RequireRole(t *testing.T) {
	issuer := tokentest.New(t, token.AlgEdDSA)
	a := &authn.Authenticator{Tokens: issuer.Verifier(t, time.Now)}
	for _, c := range []struct {
		name   string
		roles  []string
		status int
		code   fault.Kind
	}{
		{name: "the role", roles: []string{"user", "admin"}, status: 200},
		{name: "S-B4 not the role", roles: []string{"user"}, status: 403, code: fault.InsufficientRole},
		{name: "no role", status: 403, code: fault.InsufficientRole},
		{name: "a role in another case", roles: []string{"Admin"}, status: 403, code: fault.InsufficientRole},
		{name: "a role that begins like it", roles: []string{"administrator"}, status: 403, code: fault.InsufficientRole},
	} {
		t.Run(c.name, func(t *testing.T) {
			claims := tokentest.Claims(time.Now())
			claims.Roles = c.roles
			r := httptest.NewRequest(http.MethodGet, "/", http.NoBody)
			r.Header.Set("Authorization", "Bearer "+issuer.Token(claims))
			r.Header.Set(contract.HeaderUserRoles, "admin")
			var next service
			w := httptest.NewRecorder()
			a.RequireRole(contract.RoleAdmin, &next).ServeHTTP(w, r)
			mustAnswer(t, w, c.status, c.code)
			if next.called != (c.status == 200) {
				t.Errorf("the handler ran: %v", next.called)
			}
		})
	}
	t.Run("no token is 401, not 403", func(t *testing.T) {
		w := httptest.NewRecorder()
		a.RequireRole(contract.RoleAdmin, &service{}).ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", http.NoBody))
		mustAnswer(t, w, http.StatusUnauthorized, fault.TokenMissing)
	})
}

func TestAuthenticator_RequireSecondFactor(t *testing.T) {
	issuer := tokentest.New(t, token.AlgEdDSA)
	a := &authn.Authenticator{Tokens: issuer.Verifier(t, time.Now)}
	for _, c := range []struct {
		methods []string
		status  int
		code    fault.Kind
	}{
		{[]string{"pwd", "otp", "mfa"}, 200, ""}, {[]string{"pwd"}, 403, fault.MFARequired}, {nil, 403, fault.MFARequired},
	} {
		claims := tokentest.Claims(time.Now())
		claims.Methods = c.methods
		r := httptest.NewRequest(http.MethodGet, "/", http.NoBody)
		r.Header.Set("Authorization", "Bearer "+issuer.Token(claims))
		var next service
		w := httptest.NewRecorder()
		a.RequireSecondFactor(&next).ServeHTTP(w, r)
		mustAnswer(t, w, c.status, c.code)
		if next.called != (c.status == 200) {
			t.Errorf("%v: the handler ran: %v", c.methods, next.called)
		}
	}
}

func TestAuthenticator_Staleness(t *testing.T) {
	issuer := tokentest.New(t, token.AlgEdDSA)
	for _, c := range []struct{ set, want time.Duration }{{0, authn.DefaultMaxStaleness}, {2 * time.Second, 2 * time.Second}} {
		known := &revocations{}
		a := &authn.Authenticator{Tokens: issuer.Verifier(t, time.Now), Revocations: known, MaxStaleness: c.set}
		r := httptest.NewRequest(http.MethodGet, "/", http.NoBody)
		claims := tokentest.Claims(time.Now())
		r.Header.Set("Authorization", "Bearer "+issuer.Token(claims))
		a.Require(&service{}).ServeHTTP(httptest.NewRecorder(), r)
		if diff := cmp.Diff(revocations{staleness: c.want, subject: claims.Subject}, *known, cmp.AllowUnexported(revocations{})); diff != "" {
			t.Errorf("asked differently (-want +got):\n%s", diff)
		}
	}
}

func TestClaimsFrom_WithoutClaims(t *testing.T) {
	if claims, ok := authn.ClaimsFrom(t.Context()); ok || claims != nil {
		t.Errorf("got %v, %v from an empty context", claims, ok)
	}
	if claims, ok := authn.ClaimsFrom(authn.WithClaims(t.Context(), nil)); ok || claims != nil {
		t.Errorf("got %v, %v for nil claims", claims, ok)
	}
}
