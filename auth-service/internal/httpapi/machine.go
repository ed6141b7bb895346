package httpapi

import (
	"net/http"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"gatehouse.internal/auth-service/internal/auth"
	"gatehouse.internal/shared/fault"
	"gatehouse.internal/shared/httpx"
)

// machineAnswer is the answer of RFC 6749 section 4.4.3.
type machineAnswer struct {
	AccessToken string `json:"access_token"`
	TokenType   string `json:"token_type"`
	ExpiresIn   int64  `json:"expires_in"`
	Scope       string `json:"scope"` // the roles of the token
}

// issueToken is the token endpoint: client credentials of service accounts
// (RFC 6749 section 4.4), with HTTP Basic. People sign in elsewhere.
func (a *api) issueToken(c echo.Context) error {
	who := callerOf(c)
	form, err := httpx.Form(c)
	if err != nil {
		return err
	}
	switch form.Get("grant_type") {
	case "client_credentials":
	case "":
		return oauthFault(fault.Malformed, "The parameter grant_type is missing.", "invalid_request")
	default:
		return oauthFault(fault.Malformed, "There is the grant type client_credentials, and no other.", "unsupported_grant_type")
	}
	id, secret, err := basicCredentials(c)
	if err == nil {
		var made auth.MachineTokens
		if made, err = a.Service.IssueMachineToken(c.Request().Context(), who, id, secret, strings.Fields(form.Get("scope"))); err == nil {
			return answerJSON(c, http.StatusOK, machineAnswer{
				AccessToken: made.AccessToken, TokenType: "Bearer", ExpiresIn: seconds(made.ExpiresIn), Scope: strings.Join(made.Roles, " "),
			})
		}
	}
	return refusedClient(c, err)
}

// secretAnswer is a secret of a service account. Its text is there once, when
// it was made.
type secretAnswer struct {
	ID        string     `json:"id"`
	Secret    string     `json:"client_secret,omitempty"`
	CreatedAt time.Time  `json:"created_at"`
	ExpiresAt *time.Time `json:"expires_at"`
}

func secretOf(x auth.ServiceSecret, text string) secretAnswer {
	return secretAnswer{ID: x.ID, Secret: text, CreatedAt: x.CreatedAt.UTC(), ExpiresAt: optional(x.ExpiresAt)}
}

// serviceAccountAnswer is a service account as administrators see it.
type serviceAccountAnswer struct {
	ID          string         `json:"id"` // also its client_id
	Name        string         `json:"name"`
	Description string         `json:"description"`
	Roles       []string       `json:"roles"`
	CreatedAt   time.Time      `json:"created_at"`
	UpdatedAt   time.Time      `json:"updated_at"`
	Secrets     []secretAnswer `json:"secrets,omitempty"`
}

func serviceAccountOf(a auth.ServiceAccount) serviceAccountAnswer {
	return serviceAccountAnswer{
		ID: a.ID, Name: a.Name, Description: a.Description, Roles: list(a.Roles), CreatedAt: a.CreatedAt.UTC(), UpdatedAt: a.UpdatedAt.UTC(),
	}
}

// secretBody is what a request says of a new secret. Times are in seconds.
type secretBody struct {
	ExpiresIn         int64  `json:"expires_in"`          // 0 or missing: never
	RetireOthersAfter *int64 `json:"retire_others_after"` // missing: the others stay
}

// maxSeconds keeps what a request says within what a duration can hold.
const maxSeconds = 100 * 365 * 24 * 3600

func (b secretBody) read() (auth.NewSecret, error) {
	if b.ExpiresIn < 0 || b.ExpiresIn > maxSeconds || b.RetireOthersAfter != nil && (*b.RetireOthersAfter < 0 || *b.RetireOthersAfter > maxSeconds) {
		return auth.NewSecret{}, fault.Invalid(fault.Field{Field: "expires_in", Message: "must be a number of seconds, at most 10 years"})
	}
	n := auth.NewSecret{Lifetime: time.Duration(b.ExpiresIn) * time.Second}
	if b.RetireOthersAfter != nil {
		n.RetireOthersAfter = new(time.Duration(*b.RetireOthersAfter) * time.Second)
	}
	return n, nil
}

func (a *api) createServiceAccount(c echo.Context, who auth.Caller) error {
	var body struct {
		Name        string   `json:"name"`
		Description string   `json:"description"`
		Roles       []string `json:"roles"`
		ExpiresIn   int64    `json:"expires_in"`
	}
	if err := bind(c, &body); err != nil {
		return err
	}
	if err := required("name", body.Name); err != nil {
		return err
	}
	wanted, err := secretBody{ExpiresIn: body.ExpiresIn}.read()
	if err != nil {
		return err
	}
	made, secret, err := a.Service.CreateServiceAccount(c.Request().Context(), who, auth.NewServiceAccount{
		Name: body.Name, Description: body.Description, Roles: body.Roles, Secret: wanted,
	})
	if err != nil {
		return err
	}
	answer := serviceAccountOf(made)
	answer.Secrets = []secretAnswer{secretOf(secret.ServiceSecret, secret.Text)}
	return answerJSON(c, http.StatusCreated, answer)
}

func (a *api) listServiceAccounts(c echo.Context, who auth.Caller) error {
	q := queryOf(c)
	wanted := q.page()
	if err := q.err(); err != nil {
		return err
	}
	page, err := a.Service.ServiceAccounts(c.Request().Context(), who, wanted)
	if err != nil {
		return err
	}
	return answerPage(c, page, serviceAccountOf)
}

func (a *api) showServiceAccount(c echo.Context, who auth.Caller) error {
	id, err := pathID(c)
	if err != nil {
		return err
	}
	found, secrets, err := a.Service.ServiceAccount(c.Request().Context(), who, id)
	if err != nil {
		return err
	}
	answer := serviceAccountOf(found)
	for _, x := range secrets {
		answer.Secrets = append(answer.Secrets, secretOf(x, ""))
	}
	return answerJSON(c, http.StatusOK, answer)
}

func (a *api) setServiceRoles(c echo.Context, who auth.Caller) error {
	id, roles, err := rolesOf(c)
	if err != nil {
		return err
	}
	changed, err := a.Service.SetServiceRoles(c.Request().Context(), who, id, roles)
	if err != nil {
		return err
	}
	return answerJSON(c, http.StatusOK, serviceAccountOf(changed))
}

func (a *api) addServiceSecret(c echo.Context, who auth.Caller) error {
	id, err := pathID(c)
	if err != nil {
		return err
	}
	var body secretBody
	if err := bindOptional(c, &body); err != nil {
		return err
	}
	wanted, err := body.read()
	if err != nil {
		return err
	}
	made, err := a.Service.AddServiceSecret(c.Request().Context(), who, id, wanted)
	if err != nil {
		return err
	}
	return answerJSON(c, http.StatusCreated, secretOf(made.ServiceSecret, made.Text))
}

func (a *api) revokeServiceSecret(c echo.Context, who auth.Caller) error {
	id, err := pathID(c)
	if err != nil {
		return err
	}
	secret, err := idParam(c, "secret")
	if err != nil {
		return err
	}
	if err := bindNothing(c); err != nil {
		return err
	}
	if err := a.Service.RevokeServiceSecret(c.Request().Context(), who, id, secret); err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}
