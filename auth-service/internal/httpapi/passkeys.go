package httpapi

import (
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/labstack/echo/v4"

	"gatehouse.internal/auth-service/internal/auth"
	"gatehouse.internal/shared/fault"
)

func (a *api) passkeyRoutes(e *echo.Echo) {
	e.POST("/auth/login/passkey/options", a.open(a.askPasskeyLogin))
	e.POST("/auth/login/passkey", a.open(a.passkeyLogin))
	e.POST("/auth/login/mfa/passkey", a.open(a.askPasskeyMFA))
	e.POST("/auth/mfa/step-up/options", a.signedIn(a.askPasskeyStepUp))
	e.GET("/auth/passkeys", a.signedIn(a.passkeys))
	e.POST("/auth/passkey-options", a.signedIn(a.beginPasskey))
	e.POST("/auth/passkeys", a.signedIn(a.addPasskey))
	e.PATCH("/auth/passkeys/:id", a.signedIn(a.renamePasskey))
	e.DELETE("/auth/passkeys/:id", a.signedIn(a.removePasskey))
}

// passkeyAnswer is a passkey as its owner sees it.
type passkeyAnswer struct {
	ID         string     `json:"id"`
	Name       string     `json:"name"`
	Synced     bool       `json:"synced"`
	Suspect    bool       `json:"clone_suspected"`
	CreatedAt  time.Time  `json:"created_at"`
	LastUsedAt *time.Time `json:"last_used_at"`
}

func passkeyOf(p auth.Passkey) passkeyAnswer {
	return passkeyAnswer{ID: p.ID, Name: p.Name, Synced: p.Synced, Suspect: p.Cloned,
		CreatedAt: p.CreatedAt.UTC(), LastUsedAt: optional(p.LastUsedAt)}
}

// answerQuestion gives the first half of a ceremony: a token to be shown with
// the answer, and what the page hands to navigator.credentials.
func answerQuestion(c echo.Context, q auth.Question, err error) error {
	if err != nil {
		return err
	}
	return answerJSON(c, http.StatusOK, struct {
		Token     string          `json:"passkey_token"`
		PublicKey json.RawMessage `json:"public_key"`
	}{q.Token, q.Options})
}

func (a *api) passkeys(c echo.Context, who auth.Caller) error {
	all, err := a.Service.Passkeys(c.Request().Context(), who)
	if err != nil {
		return err
	}
	return answerPage(c, auth.Page[auth.Passkey]{Items: all}, passkeyOf)
}

func (a *api) beginPasskey(c echo.Context, who auth.Caller) error {
	proof, err := proofOf(c)
	if err != nil {
		return err
	}
	q, err := a.Service.BeginPasskey(c.Request().Context(), who, proof)
	return answerQuestion(c, q, err)
}

// browserAnswer is what navigator.credentials gives: a JSON object, which
// package passkey reads.
type browserAnswer []byte

var errNoObject = errors.New("is not a JSON object")

// UnmarshalJSON takes any object as it is.
func (b *browserAnswer) UnmarshalJSON(data []byte) error {
	if len(data) == 0 || data[0] != '{' {
		return errNoObject
	}
	*b = append((*b)[:0], data...)
	return nil
}

// missingCredential refuses a body without the browser's answer.
func missingCredential(credential browserAnswer) error {
	if len(credential) == 0 {
		return fault.Invalid(fault.Field{Field: "credential", Message: "is required"})
	}
	return nil
}

func (a *api) addPasskey(c echo.Context, who auth.Caller) error {
	var body struct {
		Token      string        `json:"passkey_token"`
		Name       string        `json:"name"`
		Credential browserAnswer `json:"credential"`
	}
	if err := bind(c, &body); err != nil {
		return err
	}
	if err := required("passkey_token", body.Token, "name", body.Name); err != nil {
		return err
	}
	if err := missingCredential(body.Credential); err != nil {
		return err
	}
	made, codes, err := a.Service.AddPasskey(c.Request().Context(), who, body.Token, body.Name, body.Credential)
	if err != nil {
		return err
	}
	return answerJSON(c, http.StatusCreated, struct {
		passkeyAnswer
		RecoveryCodes []string `json:"recovery_codes,omitempty"` // with the account's first factor
	}{passkeyOf(made), codes})
}

func (a *api) renamePasskey(c echo.Context, who auth.Caller) error {
	id, err := pathID(c)
	if err != nil {
		return err
	}
	var body struct {
		Name string `json:"name"`
	}
	if err := bind(c, &body); err != nil {
		return err
	}
	renamed, err := a.Service.RenamePasskey(c.Request().Context(), who, id, body.Name)
	if err != nil {
		return err
	}
	return answerJSON(c, http.StatusOK, passkeyOf(renamed))
}

func (a *api) removePasskey(c echo.Context, who auth.Caller) error {
	id, err := pathID(c)
	if err != nil {
		return err
	}
	proof, err := proofOf(c)
	if err != nil {
		return err
	}
	if err := a.Service.RemovePasskey(c.Request().Context(), who, id, proof); err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}

func (a *api) askPasskeyLogin(c echo.Context, _ auth.Caller) error {
	if err := bindNothing(c); err != nil {
		return err
	}
	q, err := a.Service.BeginPasskeyLogin(c.Request().Context())
	return answerQuestion(c, q, err)
}

func (a *api) passkeyLogin(c echo.Context, who auth.Caller) error {
	var body struct {
		Token      string        `json:"passkey_token"`
		Credential browserAnswer `json:"credential"`
	}
	if err := bind(c, &body); err != nil {
		return err
	}
	asCookies, err := wantsCookies(c.Request())
	if err != nil {
		return err
	}
	if err := required("passkey_token", body.Token); err != nil {
		return err
	}
	if err := missingCredential(body.Credential); err != nil {
		return err
	}
	tokens, err := a.Service.PasskeyLogin(c.Request().Context(), who, body.Token, body.Credential)
	a.metrics.logins.count(err)
	if err != nil {
		return err
	}
	return answerTokens(c, tokens, asCookies)
}

func (a *api) askPasskeyMFA(c echo.Context, who auth.Caller) error {
	var body struct {
		MFAToken string `json:"mfa_token"`
	}
	if err := bind(c, &body); err != nil {
		return err
	}
	if err := required("mfa_token", body.MFAToken); err != nil {
		return err
	}
	q, err := a.Service.AskPasskey(c.Request().Context(), who, body.MFAToken)
	return answerQuestion(c, q, err)
}

func (a *api) askPasskeyStepUp(c echo.Context, who auth.Caller) error {
	if err := bindNothing(c); err != nil {
		return err
	}
	q, err := a.Service.AskStepUp(c.Request().Context(), who)
	return answerQuestion(c, q, err)
}
