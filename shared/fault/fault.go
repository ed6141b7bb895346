// Package fault names the ways in which a call can fail, without knowing any
// transport. A failure has a kind; the kind is also the "code" of the problem
// document that a client sees (CONTRACT.md, RFC 9457), and it survives the way
// from one service to another. An error without a kind is internal: its text
// goes to the log and never to the caller.
package fault

import (
	"errors"
	"time"
)

// Kind classifies a failure. Its text is the "code" of problem documents.
type Kind string

// The kinds of failure that callers can tell apart.
const (
	Internal Kind = "internal_error"

	TokenMissing        Kind = "token_missing"
	TokenInvalid        Kind = "token_invalid"
	TokenExpired        Kind = "token_expired"
	TokenRevoked        Kind = "token_revoked"
	TokenStale          Kind = "token_stale"
	InvalidCredentials  Kind = "invalid_credentials"
	InvalidRefreshToken Kind = "invalid_refresh_token"

	InsufficientRole  Kind = "insufficient_role"
	EmailUnverified   Kind = "email_unverified"
	CrossOriginDenied Kind = "cross_origin_denied"
	MFARequired       Kind = "mfa_required"
	AccountLocked     Kind = "account_locked"

	ValidationFailed Kind = "validation_failed"
	WeakPassword     Kind = "weak_password"
	PasswordReused   Kind = "password_reused"
	Malformed        Kind = "malformed_request"

	NotFound             Kind = "not_found"
	RouteNotFound        Kind = "route_not_found"
	MethodNotAllowed     Kind = "method_not_allowed"
	PayloadTooLarge      Kind = "payload_too_large"
	UnsupportedMediaType Kind = "unsupported_media_type"
	HeadersTooLarge      Kind = "headers_too_large"
	URITooLong           Kind = "uri_too_long"
	// UnsupportedTransferCoding and UnsupportedVersion are said of requests that
	// are refused before anybody has read them.
	UnsupportedTransferCoding Kind = "unsupported_transfer_coding"
	UnsupportedVersion        Kind = "unsupported_http_version"

	Conflict           Kind = "conflict"
	PreconditionFailed Kind = "precondition_failed"

	RateLimited Kind = "rate_limited"

	UpstreamUnavailable Kind = "upstream_unavailable"
	UpstreamTimeout     Kind = "upstream_timeout"
	UpstreamError       Kind = "upstream_error"

	RevocationStateUnknown Kind = "revocation_state_unknown"
	Overloaded             Kind = "overloaded"
	// Unavailable says that a part this service needs (database, broker, key
	// set) is away. It is a 503 and never an answer about the caller.
	Unavailable Kind = "service_unavailable"
)

// Field is one problem of one field of a request.
type Field struct {
	Field   string `json:"field"`
	Message string `json:"message"`
}

// Error is a classified failure. Detail is written for the caller and holds
// nothing secret; the wrapped cause is for the log alone.
type Error struct {
	Kind       Kind
	Detail     string
	Fields     []Field        // per-field problems, for the validation kinds
	RetryAfter time.Duration  // when to try again; 0 says nothing about it
	Extra      map[string]any // further members of the problem document
	cause      error
}

// New returns a failure of the given kind with a text for the caller.
func New(kind Kind, detail string) *Error {
	return &Error{Kind: kind, Detail: detail}
}

// Wrap returns a failure of the given kind whose cause is kept for the log.
func Wrap(kind Kind, detail string, cause error) *Error {
	return &Error{Kind: kind, Detail: detail, cause: cause}
}

// Invalid returns a ValidationFailed failure which names the given fields.
func Invalid(fields ...Field) *Error {
	return &Error{Kind: ValidationFailed, Detail: "The request has invalid fields.", Fields: fields}
}

// Error gives kind, detail and cause, for the log.
func (e *Error) Error() string {
	text := string(e.Kind)
	if e.Detail != "" {
		text += ": " + e.Detail
	}
	if e.cause != nil {
		text += ": " + e.cause.Error()
	}
	return text
}

// Unwrap returns the cause, or nil.
func (e *Error) Unwrap() error { return e.cause }

// KindOf returns the kind of the first classified failure in err's chain, and
// Internal for every other error that is not nil.
func KindOf(err error) Kind {
	if f, ok := errors.AsType[*Error](err); ok {
		return f.Kind
	}
	if err == nil {
		return ""
	}
	return Internal
}

// Is reports whether err is a failure of the given kind.
func Is(err error, kind Kind) bool { return err != nil && KindOf(err) == kind }
