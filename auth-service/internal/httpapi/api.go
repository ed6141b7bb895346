// Package httpapi is auth-service over HTTP: it decodes a request, calls the
// rules of package auth, and encodes their answer. It decides where tokens
// travel (body or cookies), who may call what, and how an answer looks.
//
// It promises that no handler which needs a caller runs without a token that
// is good by the database's word, not only by its signature, that bodies are
// read strictly, that answers with tokens are never cached, and that a refused
// refresh takes the cookies only when the session is truly over. It refuses
// state changes by GET, cookies from foreign origins, and bodies over 64 KiB.
package httpapi

import (
	"context"
	"errors"
	"fmt"
	"html/template"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/labstack/echo/v4"
	"github.com/prometheus/client_golang/prometheus"

	"gatehouse.internal/auth-service/internal/auth"
	"gatehouse.internal/shared/contract"
	"gatehouse.internal/shared/httpx"
)

// MaxBody bounds the body of a request.
const MaxBody = 64 << 10

// timeLimit is how long an answer may take, but for the export of the audit
// trail. It is below the 30 s that a gateway gives: a caller is told when to try
// again, also where everybody waits for a database that does not answer.
const timeLimit = 25 * time.Second

const auditExportPath = "/admin/audit/export"

// Tokens checks the signature and the claims of access tokens. The claims may
// be shared and must not be changed.
type Tokens interface {
	Verify(ctx context.Context, raw string) (*contract.Claims, error)
}

// Nodes knows the live gateway nodes.
type Nodes interface {
	List() []contract.Report
}

// Config is what the API is made of. All fields are needed.
type Config struct {
	Service *auth.Service
	Tokens  Tokens
	Keys    Keys
	Nodes   Nodes
	// RoleTables tells gateways and services what roles permit.
	RoleTables RoleTables

	Issuer         string
	PublicURL      string   // the gateway's, for links and metadata
	AllowedOrigins []string // which may use cookies beside the public URL's own
	TrustedProxies []netip.Prefix

	Log      *slog.Logger
	Registry prometheus.Registerer
}

// api holds what the handlers share.
type api struct {
	Config
	origins *http.CrossOriginProtection
	metrics metrics
	pages   *template.Template
}

// New returns the handler of the whole API, or what is wrong with the settings.
func New(c Config) (http.Handler, error) {
	counts, metricsErr := newMetrics(c.Registry)
	pages, pagesErr := template.ParseFS(pageFiles, "pages/page.html")
	origins, originsErr := trustedOrigins(c.PublicURL, c.AllowedOrigins)
	if err := errors.Join(metricsErr, pagesErr, originsErr); err != nil {
		return nil, fmt.Errorf("set up the API: %w", err)
	}
	a := &api{Config: c, origins: origins, metrics: counts, pages: pages}
	a.PublicURL = strings.TrimRight(c.PublicURL, "/")
	e := httpx.New(httpx.Options{
		Log: c.Log, Service: "auth-service", MaxBody: MaxBody,
		TrustedProxies: c.TrustedProxies, Registry: c.Registry, TrustRequestID: true,
	})
	e.Use(httpx.TimeLimit(timeLimit, auditExportPath))
	a.publicRoutes(e)
	a.callerRoutes(e)
	a.adminRoutes(e)
	a.factorRoutes(e)
	a.passkeyRoutes(e)
	return e, nil
}

// trustedOrigins allows requests with cookies from pages of the public URL
// and of the origins that were configured.
func trustedOrigins(publicURL string, allowed []string) (*http.CrossOriginProtection, error) {
	public, err := url.Parse(publicURL)
	if err != nil || public.Host == "" {
		return nil, errors.New("the public URL has no host")
	}
	protection := http.NewCrossOriginProtection()
	for _, origin := range append([]string{public.Scheme + "://" + public.Host}, allowed...) {
		if err := protection.AddTrustedOrigin(origin); err != nil {
			return nil, err
		}
	}
	return protection, nil
}

func (a *api) publicRoutes(e *echo.Echo) {
	e.POST("/auth/register", a.open(a.register))
	e.POST("/auth/login", a.open(a.login))
	e.POST("/auth/refresh", a.open(a.refresh))
	e.POST("/auth/logout", a.open(a.logout))
	e.POST("/auth/password/forgot", a.open(a.forgotPassword))
	e.GET("/auth/password/reset", a.resetPage)
	e.POST("/auth/password/reset", a.open(a.resetPassword))
	e.GET("/auth/email/verify", a.verifyPage)
	e.POST("/auth/email/verify", a.open(a.verifyEmail))
	e.POST("/auth/token", a.issueToken)
	e.POST("/auth/introspect", a.client(a.introspect))
	e.POST("/auth/revoke", a.client(a.revoke))
	e.GET("/.well-known/jwks.json", a.keySet)
	e.GET("/.well-known/oauth-authorization-server", a.metadata)
	e.GET(contract.RolesPath, a.roleTable)
}

func (a *api) callerRoutes(e *echo.Echo) {
	e.GET("/auth/me", a.signedIn(a.me))
	e.GET("/auth/me/export", a.signedIn(a.exportAccount))
	e.DELETE("/auth/me", a.signedIn(a.deleteAccount))
	e.POST("/auth/logout/all", a.signedIn(a.logoutAll))
	e.GET("/auth/sessions", a.signedIn(a.sessions))
	e.DELETE("/auth/sessions", a.signedIn(a.endOtherSessions))
	e.DELETE("/auth/sessions/:id", a.signedIn(a.endSession))
	e.PUT("/auth/password", a.signedIn(a.changePassword))
	e.POST("/auth/email/resend", a.signedIn(a.resendVerification))
	e.PUT("/auth/email", a.signedIn(a.changeEmail))
}

func (a *api) adminRoutes(e *echo.Echo) {
	e.PUT("/admin/users/:id/roles", a.admin(a.setRoles))
	e.POST("/admin/users/:id/lock", a.admin(a.onUser(a.Service.LockUser)))
	e.POST("/admin/users/:id/unlock", a.admin(a.onUser(a.Service.UnlockUser)))
	e.POST("/admin/users/:id/logout", a.admin(a.onUser(a.Service.LogoutUser)))
	e.DELETE("/admin/users/:id", a.admin(a.onUser(a.Service.DeleteUser)))
	e.GET("/admin/users/:id/sessions", a.admin(a.userSessions))
	e.DELETE("/admin/sessions/:id", a.admin(a.endAnySession))
	e.GET("/admin/audit", a.admin(a.audit))
	e.GET("/admin/attempts", a.admin(a.attempts))
	e.DELETE("/admin/attempts", a.admin(a.clearAttempts))
	e.GET("/admin/roles", a.admin(a.listRoles))
	e.GET("/admin/service-accounts", a.admin(a.listServiceAccounts))
	e.POST("/admin/service-accounts", a.admin(a.createServiceAccount))
	e.GET("/admin/service-accounts/:id", a.admin(a.showServiceAccount))
	e.DELETE("/admin/service-accounts/:id", a.admin(a.onUser(a.Service.DeleteServiceAccount)))
	e.PUT("/admin/service-accounts/:id/roles", a.admin(a.setServiceRoles))
	e.POST("/admin/service-accounts/:id/secrets", a.admin(a.addServiceSecret))
	e.DELETE("/admin/service-accounts/:id/secrets/:secret", a.admin(a.revokeServiceSecret))
	e.GET("/admin/keys", a.admin(a.listKeys))
	e.GET(auditExportPath, a.admin(a.exportAudit))
	e.POST("/admin/keys/rotate", a.admin(a.rotateKeys))
	e.POST("/admin/keys/:kid/revoke", a.admin(a.revokeKey))
	e.GET("/admin/nodes", a.admin(a.listNodes))
}
