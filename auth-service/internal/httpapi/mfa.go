package httpapi

import (
	"net/http"

	"github.com/labstack/echo/v4"

	"gatehouse.internal/auth-service/internal/auth"
	"gatehouse.internal/shared/fault"
)

func (a *api) factorRoutes(e *echo.Echo) {
	e.POST("/auth/login/mfa", a.open(a.loginMFA))
	e.GET("/auth/mfa", a.signedIn(a.factors))
	e.POST("/auth/mfa/totp", a.signedIn(a.enrolTOTP))
	e.POST("/auth/mfa/totp/confirm", a.signedIn(a.confirmTOTP))
	e.DELETE("/auth/mfa/totp", a.signedIn(a.removeTOTP))
	e.POST("/auth/mfa/recovery-codes", a.signedIn(a.newRecoveryCodes))
	e.POST("/auth/mfa/step-up", a.signedIn(a.stepUp))
	e.DELETE("/admin/users/:id/mfa", a.admin(a.onUser(a.Service.ResetFactors)))
}

// loginMFA is the second step of a sign-in.
func (a *api) loginMFA(c echo.Context, who auth.Caller) error {
	var body struct {
		MFAToken string `json:"mfa_token"`
		factorShown
	}
	if err := bind(c, &body); err != nil {
		return err
	}
	asCookies, err := wantsCookies(c.Request())
	if err != nil {
		return err
	}
	if err := required("mfa_token", body.MFAToken); err != nil {
		return err
	}
	if err := body.check(); err != nil {
		return err
	}
	var tokens auth.Tokens
	if body.byPasskey() {
		tokens, err = a.Service.CompleteLoginByPasskey(c.Request().Context(), who, body.MFAToken, body.Credential)
	} else {
		tokens, err = a.Service.CompleteLogin(c.Request().Context(), who, body.MFAToken, body.Code)
	}
	a.metrics.logins.count(err)
	if err != nil {
		return err
	}
	return answerTokens(c, tokens, asCookies)
}

// factorShown is a second factor in a body: a code, or what the browser says
// of a passkey.
type factorShown struct {
	Code       string        `json:"code"`
	Credential browserAnswer `json:"credential"`
}

func (f factorShown) byPasskey() bool { return len(f.Credential) > 0 }

// check makes sure that there is exactly one of the two.
func (f factorShown) check() error {
	switch {
	case f.byPasskey() && f.Code != "":
		return fault.Invalid(fault.Field{Field: "code", Message: "cannot be given together with credential"})
	case f.byPasskey():
		return nil
	}
	return required("code", f.Code)
}

// factorsAnswer is what a user may see of the account's second factors.
type factorsAnswer struct {
	MFAEnabled    bool     `json:"mfa_enabled"`
	TOTP          bool     `json:"totp"`
	Passkeys      int      `json:"passkeys"`
	RecoveryCodes int      `json:"recovery_codes_left"`
	RequiredFor   []string `json:"required_for_roles"`
}

func (a *api) factors(c echo.Context, who auth.Caller) error {
	f, err := a.Service.Factors(c.Request().Context(), who)
	if err != nil {
		return err
	}
	return answerJSON(c, http.StatusOK, factorsAnswer{
		MFAEnabled: f.Enabled, TOTP: f.TOTP, Passkeys: f.Passkeys, RecoveryCodes: f.RecoveryCodes, RequiredFor: list(f.RequiredFor),
	})
}

// enrolTOTP takes the password, too: it may be left out soon after the sign-in.
func (a *api) enrolTOTP(c echo.Context, who auth.Caller) error {
	var body struct {
		Password string `json:"password"`
	}
	if err := bindOptional(c, &body); err != nil {
		return err
	}
	e, err := a.Service.EnrolTOTP(c.Request().Context(), who, body.Password)
	if err != nil {
		return err
	}
	return answerJSON(c, http.StatusOK, struct {
		Secret string `json:"secret"`
		URL    string `json:"otpauth_url"`
	}{e.Secret, e.URL})
}

// recoveryAnswer shows recovery codes for the only time.
type recoveryAnswer struct {
	RecoveryCodes []string `json:"recovery_codes"`
}

// codeOf reads a body that holds a code and nothing else.
func codeOf(c echo.Context) (string, error) {
	var body struct {
		Code string `json:"code"`
	}
	if err := bind(c, &body); err != nil {
		return "", err
	}
	return body.Code, required("code", body.Code)
}

func (a *api) confirmTOTP(c echo.Context, who auth.Caller) error {
	code, err := codeOf(c)
	if err != nil {
		return err
	}
	codes, err := a.Service.ConfirmTOTP(c.Request().Context(), who, code)
	if err != nil {
		return err
	}
	return answerJSON(c, http.StatusOK, recoveryAnswer{codes})
}

// proofOf reads the password, and the code that a session needs which has not
// shown a second factor.
func proofOf(c echo.Context) (auth.Proof, error) {
	var body struct {
		Password string `json:"password"`
		Code     string `json:"code"`
	}
	if err := bind(c, &body); err != nil {
		return auth.Proof{}, err
	}
	return auth.Proof{Password: body.Password, Code: body.Code}, required("password", body.Password)
}

func (a *api) removeTOTP(c echo.Context, who auth.Caller) error {
	proof, err := proofOf(c)
	if err != nil {
		return err
	}
	if err := a.Service.RemoveTOTP(c.Request().Context(), who, proof); err != nil {
		return err
	}
	return c.NoContent(http.StatusNoContent)
}

func (a *api) newRecoveryCodes(c echo.Context, who auth.Caller) error {
	proof, err := proofOf(c)
	if err != nil {
		return err
	}
	codes, err := a.Service.NewRecoveryCodes(c.Request().Context(), who, proof)
	if err != nil {
		return err
	}
	return answerJSON(c, http.StatusOK, recoveryAnswer{codes})
}

// stepUp answers with an access token for the same session that tells of the
// second factor: as a cookie if the client keeps those of the session in
// cookies. The refresh token stays the one that the client has.
func (a *api) stepUp(c echo.Context, who auth.Caller) error {
	asCookies, err := wantsCookies(c.Request())
	if err != nil {
		return err
	}
	var body struct {
		PasskeyToken string `json:"passkey_token"`
		factorShown
	}
	if err := bind(c, &body); err != nil {
		return err
	}
	if err := body.check(); err != nil {
		return err
	}
	var tokens auth.Tokens
	if body.byPasskey() {
		if err := required("passkey_token", body.PasskeyToken); err != nil {
			return err
		}
		tokens, err = a.Service.StepUpByPasskey(c.Request().Context(), who, body.PasskeyToken, body.Credential)
	} else {
		tokens, err = a.Service.StepUp(c.Request().Context(), who, body.Code)
	}
	if err != nil {
		return err
	}
	return answerTokens(c, tokens, asCookies || a.keepsCookies(c.Request(), who))
}

// needsFactor tells a caller whose role waits for a second factor from one who
// does not have it.
func needsFactor(role string, withheld bool) error {
	if withheld {
		return fault.New(fault.MFARequired, "The role "+role+" counts with a second factor only: set one up at /auth/mfa/totp, or show it at /auth/mfa/step-up.")
	}
	return fault.New(fault.InsufficientRole, "This needs the role "+role+".")
}
