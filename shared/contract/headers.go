package contract

// Headers in which the gateway tells an upstream who is calling. A client can
// never set them: the gateway drops every spelling of them from requests.
const (
	HeaderUserID        = "X-User-Id"
	HeaderUserRoles     = "X-User-Roles" // comma-separated
	HeaderEmailVerified = "X-User-Email-Verified"
	HeaderSessionID     = "X-Session-Id"
	HeaderAssertion     = "X-Gatehouse-Assertion"
	HeaderRequestID     = "X-Request-Id"
)

// HeaderTokenTransport asks login and refresh to answer with cookies instead
// of bodies when its value is TransportCookie.
const (
	HeaderTokenTransport = "X-Token-Transport"
	TransportCookie      = "cookie"
)

// Cookies of the cookie transport (RFC 6265bis prefixes).
const (
	CookieAccess  = "__Host-access"
	CookieRefresh = "__Secure-refresh"
)

// A client that signed in gets a device token, as a cookie with the cookie
// transport or as device_token in the body, and shows it at its next sign-in.
const (
	CookieDevice      = "__Secure-device"
	HeaderDeviceToken = "X-Device-Token"
)

// Roles that always exist.
const (
	RoleUser  = "user"
	RoleAdmin = "admin"
)
