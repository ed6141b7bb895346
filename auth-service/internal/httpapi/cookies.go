package httpapi

import (
	"net/http"
	"strings"
	"time"

	"github.com/labstack/echo/v4"

	"gatehouse.internal/shared/contract"
	"gatehouse.internal/shared/fault"
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

func setCookies(c echo.Context, t tokenAnswer) {
	c.SetCookie(cookie(contract.CookieAccess, t.AccessToken, t.ExpiresIn))
	c.SetCookie(cookie(contract.CookieRefresh, t.RefreshToken, t.RefreshExpiresIn))
}

// clearCookies makes the browser forget both tokens.
func clearCookies(c echo.Context) {
	c.SetCookie(cookie(contract.CookieAccess, "", -1))
	c.SetCookie(cookie(contract.CookieRefresh, "", -1))
}

// cookie makes one of the two cookies. The access token goes to every path and
// comes along when another site links to us; the refresh token does neither.
func cookie(name, value string, seconds int64) *http.Cookie {
	made := &http.Cookie{
		Name: name, Value: value, Path: "/", MaxAge: int(seconds),
		Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	}
	if name == contract.CookieRefresh {
		made.Path, made.SameSite = refreshPath, http.SameSiteStrictMode
	}
	return made
}

// seconds gives whole seconds, rounded down: a client that believes them is
// never late.
func seconds(d time.Duration) int64 { return int64(d / time.Second) }
