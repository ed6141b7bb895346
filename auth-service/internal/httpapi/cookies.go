package httpapi

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"gatehouse.internal/auth-service/internal/auth"
	"gatehouse.internal/shared/contract"
	"gatehouse.internal/shared/fault"
	"gatehouse.internal/shared/token"
)

// refreshPath is where browsers send the refresh cookie, and nowhere else.
const refreshPath = "/auth"

// wantsCookies reports whether the client asked for its tokens as cookies.
func wantsCookies(r *http.Request) (bool, error) {
	values := r.Header.Values(contract.HeaderTokenTransport)
	switch {
	case len(values) == 0:
		return false, nil
	case len(values) == 1 && strings.EqualFold(values[0], contract.TransportCookie):
		return true, nil
	case len(values) == 1 && strings.EqualFold(values[0], "body"):
		return false, nil
	}
	return false, fault.New(fault.Malformed, contract.HeaderTokenTransport+" must be cookie or body.")
}

// refreshCookie finds the refresh token's cookie. Two of them are refused: one
// may be planted (S-C2).
func refreshCookie(r *http.Request) (string, error) {
	found := r.CookiesNamed(contract.CookieRefresh)
	switch len(found) {
	case 0:
		return "", nil
	case 1:
		return found[0].Value, nil
	}
	return "", fault.New(fault.Malformed, "The request has the refresh token cookie more than once.")
}

// hasCookies reports whether the client keeps any token of ours in a cookie.
func hasCookies(r *http.Request) bool {
	return len(r.CookiesNamed(contract.CookieAccess))+len(r.CookiesNamed(contract.CookieRefresh)) > 0
}

// keepsCookies reports whether the client keeps the tokens of the caller's
// session in cookies, and so has the next one in a cookie, too. A gateway turns
// the access token's cookie into a header, so the refresh token tells as well;
// one of another session does not.
func (a *api) keepsCookies(r *http.Request, who auth.Caller) bool {
	if _, fromCookie, err := token.FromRequest(r, true); err == nil && fromCookie {
		return true
	}
	return slices.ContainsFunc(r.CookiesNamed(contract.CookieRefresh), func(c *http.Cookie) bool {
		return a.Service.OwnRefreshToken(who, c.Value)
	})
}

// setCookies gives the tokens of an answer as cookies. Without a refresh token
// in it, the one that the client has stays as it is.
func setCookies(c echo.Context, t tokenAnswer) {
	c.SetCookie(cookie(contract.CookieAccess, t.AccessToken, t.ExpiresIn))
	if t.RefreshToken != "" {
		c.SetCookie(cookie(contract.CookieRefresh, t.RefreshToken, t.RefreshExpiresIn))
	}
	if t.DeviceToken != "" {
		setDevice(c, t.DeviceToken)
	}
}

// setDevice has the browser remember that its owner was here.
func setDevice(c echo.Context, device string) {
	c.SetCookie(cookie(contract.CookieDevice, device, seconds(auth.DeviceTTL)))
}

// deviceOf finds the device token that a client kept. One that is given twice
// is none: it earns an allowance and nothing else, so there is nothing to refuse.
func deviceOf(r *http.Request) string {
	if values := r.Header.Values(contract.HeaderDeviceToken); len(values) == 1 {
		return values[0]
	}
	if found := r.CookiesNamed(contract.CookieDevice); len(found) == 1 {
		return found[0].Value
	}
	return ""
}

// clearCookies makes the browser forget both tokens. The device stays known:
// whoever signs out wants to sign in again.
func clearCookies(c echo.Context) {
	c.SetCookie(cookie(contract.CookieAccess, "", -1))
	c.SetCookie(cookie(contract.CookieRefresh, "", -1))
}

// cookie makes one of the cookies. The access token goes to every path and
// comes along when another site links to us; the others do neither.
func cookie(name, value string, seconds int64) *http.Cookie {
	made := &http.Cookie{
		Name: name, Value: value, Path: "/", MaxAge: int(seconds),
		Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	}
	if name != contract.CookieAccess {
		made.Path, made.SameSite = refreshPath, http.SameSiteStrictMode
	}
	return made
}

// seconds gives whole seconds, rounded down: a client that believes them is
// never late.
func seconds(d time.Duration) int64 { return int64(d / time.Second) }
