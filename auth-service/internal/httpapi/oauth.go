package httpapi

import (
	"net/http"
	"net/url"
	"time"

	"github.com/labstack/echo/v4"

	"gatehouse.internal/auth-service/internal/auth"
	"gatehouse.internal/shared/fault"
	"gatehouse.internal/shared/httpx"
)

// clientHandler is an endpoint for programs that sign in with credentials of
// their own.
type clientHandler func(c echo.Context, who auth.Caller, client auth.Client) error

// client is for endpoints that need client credentials (HTTP Basic, RFC 6749
// section 2.3.1). Its refusals also carry the error code of that RFC.
func (a *api) client(next clientHandler) echo.HandlerFunc {
	return func(c echo.Context) error {
		who := callerOf(c)
		client, err := a.authenticateClient(c, who)
		if err != nil {
			return refusedClient(c, err)
		}
		return next(c, who, client)
	}
}

// refusedClient gives the answer to wrong client credentials (RFC 6749 section
// 5.2), and every other failure as it is.
func refusedClient(c echo.Context, err error) error {
	if !fault.Is(err, fault.InvalidCredentials) {
		return err
	}
	c.Response().Header().Add("WWW-Authenticate", `Basic realm="gatehouse", charset="UTF-8"`)
	return oauthFault(fault.InvalidCredentials, "The client credentials are missing or wrong.", "invalid_client")
}

func (a *api) authenticateClient(c echo.Context, who auth.Caller) (auth.Client, error) {
	id, secret, err := basicCredentials(c)
	if err != nil {
		return auth.Client{}, err
	}
	return a.Service.AuthenticateClient(c.Request().Context(), who, id, secret)
}

// basicCredentials reads the credentials of a client from HTTP Basic.
func basicCredentials(c echo.Context) (id, secret string, err error) {
	r := c.Request()
	if len(r.Header.Values("Authorization")) > 1 {
		return "", "", fault.New(fault.Malformed, "The request has more than one Authorization field.")
	}
	id, secret, ok := r.BasicAuth()
	if !ok {
		return "", "", fault.New(fault.InvalidCredentials, "")
	}
	// RFC 6749 has both parts form-encoded before they go into Basic.
	id, idErr := url.QueryUnescape(id)
	secret, secretErr := url.QueryUnescape(secret)
	if idErr != nil || secretErr != nil {
		return "", "", fault.New(fault.InvalidCredentials, "")
	}
	return id, secret, nil
}

// formToken reads the parameter token. The hint beside it says nothing that
// the token does not say better (RFC 7009 section 2.1 lets us ignore it).
func formToken(c echo.Context) (string, error) {
	form, err := httpx.Form(c)
	if err != nil {
		return "", err
	}
	raw := form.Get("token")
	if raw == "" {
		return "", oauthFault(fault.Malformed, "The parameter token is missing.", "invalid_request")
	}
	return raw, nil
}

func oauthFault(kind fault.Kind, detail, code string) error {
	f := fault.New(kind, detail)
	f.Extra = map[string]any{"error": code}
	return f
}

// introspection is the answer of RFC 7662 section 2.2.
type introspection struct {
	Active    bool     `json:"active"`
	TokenType string   `json:"token_type,omitempty"`
	TokenUse  string   `json:"token_use,omitempty"`
	ClientID  string   `json:"client_id,omitempty"`
	Subject   string   `json:"sub,omitempty"`
	SessionID string   `json:"sid,omitempty"`
	TokenID   string   `json:"jti,omitempty"`
	Issuer    string   `json:"iss,omitempty"`
	Audience  []string `json:"aud,omitempty"`
	Roles     []string `json:"roles,omitempty"`
	IssuedAt  int64    `json:"iat,omitempty"`
	NotBefore int64    `json:"nbf,omitempty"`
	ExpiresAt int64    `json:"exp,omitempty"`
}

func (a *api) introspect(c echo.Context, _ auth.Caller, client auth.Client) error {
	raw, err := formToken(c)
	if err != nil {
		return err
	}
	found, err := a.Service.Introspect(c.Request().Context(), client, raw)
	if err != nil {
		return err
	}
	answer := introspection{
		Active: found.Active, TokenUse: found.TokenUse, ClientID: found.ClientID, Subject: found.Subject,
		SessionID: found.SessionID, TokenID: found.TokenID, Issuer: found.Issuer, Audience: found.Audience,
		Roles: found.Roles, IssuedAt: unix(found.IssuedAt), NotBefore: unix(found.NotBefore), ExpiresAt: unix(found.ExpiresAt),
	}
	if found.TokenUse == auth.TokenUseAccess {
		answer.TokenType = "Bearer"
	}
	return answerJSON(c, http.StatusOK, answer)
}

// revoke answers 200 also for a token that it does not know (RFC 7009 section
// 2.2). A token of another client is refused there, with the code that section
// 2.2.1 has for it.
func (a *api) revoke(c echo.Context, who auth.Caller, client auth.Client) error {
	raw, err := formToken(c)
	if err != nil {
		return err
	}
	err = a.Service.Revoke(c.Request().Context(), who, client, raw)
	if fault.Is(err, fault.InvalidCredentials) {
		return oauthFault(fault.InvalidCredentials, "The token was not issued to this client.", "invalid_client")
	}
	if err != nil {
		return err
	}
	c.Response().Header().Set("Cache-Control", "no-store")
	return c.NoContent(http.StatusOK)
}

func unix(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.Unix()
}

// keySetAge is how long others may keep the key set. It is below the time for
// which package keys publishes a key before it signs with it.
const keySetAge = "public, max-age=300"

func (a *api) keySet(c echo.Context) error {
	c.Response().Header().Set("Cache-Control", keySetAge)
	return c.JSON(http.StatusOK, a.Keys.Set(c.Request().Context()))
}

// serverMetadata is the metadata of RFC 8414. People sign in through the API
// of CONTRACT.md, so there is no authorization endpoint, and the token endpoint
// is for service accounts.
type serverMetadata struct {
	Issuer                       string   `json:"issuer"`
	JWKSURI                      string   `json:"jwks_uri"`
	TokenEndpoint                string   `json:"token_endpoint"`
	TokenEndpointMethods         []string `json:"token_endpoint_auth_methods_supported"`
	IntrospectionEndpoint        string   `json:"introspection_endpoint"`
	IntrospectionEndpointMethods []string `json:"introspection_endpoint_auth_methods_supported"`
	RevocationEndpoint           string   `json:"revocation_endpoint"`
	RevocationEndpointMethods    []string `json:"revocation_endpoint_auth_methods_supported"`
	ResponseTypes                []string `json:"response_types_supported"`
	GrantTypes                   []string `json:"grant_types_supported"`
}

func (a *api) metadata(c echo.Context) error {
	basic := []string{"client_secret_basic"}
	c.Response().Header().Set("Cache-Control", keySetAge)
	return c.JSON(http.StatusOK, serverMetadata{
		Issuer:        a.Issuer,
		JWKSURI:       a.at("/.well-known/jwks.json"),
		TokenEndpoint: a.at("/auth/token"), TokenEndpointMethods: basic,
		IntrospectionEndpoint: a.at("/auth/introspect"), IntrospectionEndpointMethods: basic,
		RevocationEndpoint: a.at("/auth/revoke"), RevocationEndpointMethods: basic,
		ResponseTypes: []string{"none"}, // the member is required and must not be empty
		GrantTypes:    []string{"client_credentials", "refresh_token"},
	})
}

// at gives the public address of a path.
func (a *api) at(path string) string { return a.PublicURL + path }
