package httpapi

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/labstack/echo/v4"

	"gatehouse.internal/auth-service/internal/auth"
	"gatehouse.internal/shared/contract"
	"gatehouse.internal/shared/fault"
	"gatehouse.internal/shared/httpx"
	"gatehouse.internal/shared/token"
)

// maxUserAgent bounds what is kept of a client's name for itself, in
// characters.
const maxUserAgent = 512

// handler is an endpoint that knows who is calling.
type handler func(c echo.Context, who auth.Caller) error

// open is for endpoints that need no access token.
func (a *api) open(next handler) echo.HandlerFunc {
	return func(c echo.Context) error { return next(c, callerOf(c)) }
}

// signedIn is for endpoints that need an access token which is good: signed,
// in time, and alive in the database.
func (a *api) signedIn(next handler) echo.HandlerFunc {
	return func(c echo.Context) error {
		who, err := a.authenticate(c)
		if err != nil {
			return err
		}
		return next(c, who)
	}
}

// admin is signedIn, for administrators alone.
func (a *api) admin(next handler) echo.HandlerFunc {
	return a.signedIn(func(c echo.Context, who auth.Caller) error {
		if !who.Claims.HasRole(contract.RoleAdmin) {
			return needsFactor(contract.RoleAdmin, slices.Contains(who.Claims.Withheld, contract.RoleAdmin))
		}
		return next(c, who)
	})
}

// authenticate finds and judges the access token. When the token is good but
// for the database's word, the caller is returned together with the failure.
func (a *api) authenticate(c echo.Context) (auth.Caller, error) {
	who, err := a.verify(c)
	if err != nil {
		return who, err
	}
	return who, a.Service.Check(c.Request().Context(), who.Claims)
}

// verify finds the access token and verifies it, without the database's word.
func (a *api) verify(c echo.Context) (auth.Caller, error) {
	who, r := callerOf(c), c.Request()
	raw, fromCookie, err := token.FromRequest(r, true)
	if err != nil {
		return who, err
	}
	if fromCookie {
		if err := a.checkOrigin(r); err != nil {
			return who, err
		}
	}
	claims, err := a.Tokens.Verify(r.Context(), raw)
	if err != nil {
		return who, err
	}
	httpx.LogUser(r.Context(), claims.Subject)
	who.Claims = claims
	return who, nil
}

// checkOrigin refuses an unsafe request that a foreign page could have made
// the browser send with its cookies (S-C3). The host that the browser asked for
// is the one that the gateway tells, because its own request has another.
func (a *api) checkOrigin(r *http.Request) error {
	asked := *r
	if hosts := r.Header.Values("X-Forwarded-Host"); len(hosts) == 1 && a.fromProxy(r) {
		asked.Host = hosts[0]
	}
	if err := a.origins.Check(&asked); err != nil {
		return fault.Wrap(fault.CrossOriginDenied, "Requests with cookies must come from an allowed origin.", err)
	}
	return nil
}

// fromProxy reports whether the other end of the connection is a trusted proxy.
func (a *api) fromProxy(r *http.Request) bool {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	return err == nil && slices.ContainsFunc(a.TrustedProxies, func(p netip.Prefix) bool {
		return p.Contains(peer.Addr().Unmap().WithZone(""))
	})
}

func callerOf(c echo.Context) auth.Caller {
	return auth.Caller{
		Address:   c.RealIP(),
		UserAgent: plainText(c.Request().UserAgent(), maxUserAgent),
		RequestID: httpx.RequestID(c.Request().Context()),
		Device:    deviceOf(c.Request()),
	}
}

// plainText keeps at most limit characters of a header that a stranger wrote,
// without those that could break a log line, a page or a database.
func plainText(text string, limit int) string {
	kept, count := strings.Builder{}, 0
	for _, r := range text {
		if count == limit {
			break
		}
		if r != utf8.RuneError && unicode.IsPrint(r) {
			kept.WriteRune(r)
			count++
		}
	}
	return kept.String()
}
