package httpx

import (
	"net/http"

	"gatehouse.internal/shared/fault"
)

// answer is how a kind of failure looks over HTTP.
type answer struct {
	status int
	title  string
}

// answers is the one table from kinds of failure to HTTP (CONTRACT.md). A kind
// that is not in it is an internal error.
var answers = map[fault.Kind]answer{
	fault.TokenMissing:        {http.StatusUnauthorized, "Access token missing"},
	fault.TokenInvalid:        {http.StatusUnauthorized, "Access token invalid"},
	fault.TokenExpired:        {http.StatusUnauthorized, "Access token expired"},
	fault.TokenRevoked:        {http.StatusUnauthorized, "Access token revoked"},
	fault.TokenStale:          {http.StatusUnauthorized, "Access token out of date"},
	fault.InvalidCredentials:  {http.StatusUnauthorized, "Invalid credentials"},
	fault.InvalidRefreshToken: {http.StatusUnauthorized, "Invalid refresh token"},

	fault.InsufficientRole:  {http.StatusForbidden, "Insufficient role"},
	fault.EmailUnverified:   {http.StatusForbidden, "E-mail address not verified"},
	fault.CrossOriginDenied: {http.StatusForbidden, "Cross-origin request denied"},
	fault.MFARequired:       {http.StatusForbidden, "Second factor required"},
	fault.AccountLocked:     {http.StatusForbidden, "Account locked"},

	fault.ValidationFailed: {http.StatusUnprocessableEntity, "Validation failed"},
	fault.WeakPassword:     {http.StatusUnprocessableEntity, "Password too weak"},
	fault.PasswordReused:   {http.StatusUnprocessableEntity, "Password used before"},

	fault.Malformed:                 {http.StatusBadRequest, "Malformed request"},
	fault.NotFound:                  {http.StatusNotFound, "Not found"},
	fault.RouteNotFound:             {http.StatusNotFound, "Route not found"},
	fault.MethodNotAllowed:          {http.StatusMethodNotAllowed, "Method not allowed"},
	fault.PayloadTooLarge:           {http.StatusRequestEntityTooLarge, "Payload too large"},
	fault.UnsupportedMediaType:      {http.StatusUnsupportedMediaType, "Unsupported media type"},
	fault.HeadersTooLarge:           {http.StatusRequestHeaderFieldsTooLarge, "Header fields too large"},
	fault.URITooLong:                {http.StatusRequestURITooLong, "URI too long"},
	fault.UnsupportedTransferCoding: {http.StatusNotImplemented, "Transfer coding not supported"},
	fault.UnsupportedVersion:        {http.StatusHTTPVersionNotSupported, "HTTP version not supported"},

	fault.Conflict:           {http.StatusConflict, "Conflict"},
	fault.PreconditionFailed: {http.StatusPreconditionFailed, "Precondition failed"},

	fault.RateLimited: {http.StatusTooManyRequests, "Too many requests"},

	fault.UpstreamUnavailable: {http.StatusServiceUnavailable, "Upstream unavailable"},
	fault.UpstreamTimeout:     {http.StatusGatewayTimeout, "Upstream timeout"},
	fault.UpstreamError:       {http.StatusBadGateway, "Upstream error"},

	fault.RevocationStateUnknown: {http.StatusServiceUnavailable, "Revocation state unknown"},
	fault.Overloaded:             {http.StatusServiceUnavailable, "Overloaded"},
	fault.Unavailable:            {http.StatusServiceUnavailable, "Service unavailable"},
}
