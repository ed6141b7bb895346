package httpx

import (
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"time"

	"gatehouse.internal/shared/fault"
)

// MediaTypeProblem is the media type of problem documents (RFC 9457).
const MediaTypeProblem = "application/problem+json"

// typePrefix begins the "type" of every problem document.
const typePrefix = "urn:gatehouse:problem:"

// Problem is a problem document (RFC 9457), and what its headers say.
type Problem struct {
	Type      string
	Title     string
	Status    int
	Detail    string
	Code      fault.Kind
	RequestID string
	Errors    []fault.Field
	Extra     map[string]any // further members; they never replace the ones above

	RetryAfter time.Duration // for the Retry-After header; 0 means none
}

// MarshalJSON writes the members of the document, Extra among them.
func (p Problem) MarshalJSON() ([]byte, error) {
	members := make(map[string]any, 7+len(p.Extra))
	maps.Copy(members, p.Extra)
	members["type"] = p.Type
	members["title"] = p.Title
	members["status"] = p.Status
	members["code"] = p.Code
	members["detail"] = p.Detail
	if p.RequestID != "" {
		members["request_id"] = p.RequestID
	}
	if len(p.Errors) > 0 {
		members["errors"] = p.Errors
	}
	return json.Marshal(members)
}

// ProblemFor is the only place where an error becomes an HTTP answer. What is
// not a classified failure, or has a kind that HTTP does not know, is an
// internal error, of which the caller learns nothing but the request id.
func ProblemFor(err error) Problem {
	err = fromEcho(err)
	kind := fault.KindOf(err)
	look, known := answers[kind]
	if !known {
		return Problem{
			Type: typePrefix + string(fault.Internal), Title: "Internal error", Status: http.StatusInternalServerError, Code: fault.Internal,
			Detail: "The server failed to answer; the request id finds the cause in its log.",
		}
	}
	f, _ := errors.AsType[*fault.Error](err)
	p := Problem{
		Type: typePrefix + string(kind), Title: look.title, Status: look.status, Code: kind,
		Detail: f.Detail, Errors: f.Fields, Extra: f.Extra, RetryAfter: f.RetryAfter,
	}
	if p.Detail == "" {
		p.Detail = look.title + "."
	}
	if p.RetryAfter <= 0 && defaultRetry(kind) {
		p.RetryAfter = time.Second
	}
	return p
}

// defaultRetry reports whether a kind always tells when to try again.
func defaultRetry(kind fault.Kind) bool {
	switch kind {
	case fault.RevocationStateUnknown, fault.Overloaded, fault.Unavailable, fault.RateLimited,
		fault.UpstreamUnavailable, fault.UpstreamTimeout, fault.UpstreamError:
		return true
	}
	return false
}

// WriteProblem answers with the problem document of err. Headers that the
// handler set for the answer it did not get to give are taken back; cookies
// and rate-limit headers stay. If the body of the request was too large, the
// connection is closed, but not before the client could see the answer.
func WriteProblem(w http.ResponseWriter, r *http.Request, err error) {
	noteAnswer(r.Context(), err)
	p := ProblemFor(err)
	p.RequestID = RequestID(r.Context())
	body, marshalErr := json.Marshal(p)
	if marshalErr != nil { // an Extra that JSON cannot hold
		p.Extra = nil
		body, _ = json.Marshal(p)
	}
	header := w.Header()
	for _, name := range []string{"Content-Length", "Content-Encoding", "Content-Disposition", "Etag", "Last-Modified"} {
		header.Del(name)
	}
	header.Set("Content-Type", MediaTypeProblem)
	header.Set("Cache-Control", "no-store")
	header.Set("Content-Length", strconv.Itoa(len(body))) // it is whole before a refused body has been read
	setChallenge(header, p)
	setRetry(header, p)
	if p.Status == http.StatusRequestEntityTooLarge {
		refuseBody(w, r, p.Status, body)
		return
	}
	boundRest(w, r)
	w.WriteHeader(p.Status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(body) // a caller who went away cannot be told
	}
}

// setChallenge puts the Bearer challenge on every 401 (RFC 9110 section
// 11.6.1). It has an error code only if a token was presented (RFC 6750
// section 3.1). Challenges of other schemes are kept beside it.
func setChallenge(header http.Header, p Problem) {
	if p.Status != http.StatusUnauthorized {
		return
	}
	for _, given := range header.Values("WWW-Authenticate") {
		if scheme, _, _ := strings.Cut(given, " "); strings.EqualFold(scheme, "Bearer") {
			return
		}
	}
	challenge := "Bearer"
	switch p.Code {
	case fault.TokenInvalid, fault.TokenExpired, fault.TokenRevoked, fault.TokenStale:
		challenge = `Bearer error="invalid_token"`
	}
	header.Add("WWW-Authenticate", challenge)
}

// setRetry says when to try again, in whole seconds and never too early. A
// limiter that has set the RateLimit headers itself knows better.
func setRetry(header http.Header, p Problem) {
	if p.RetryAfter <= 0 {
		return
	}
	seconds := strconv.FormatInt(int64((p.RetryAfter+time.Second-1)/time.Second), 10)
	header.Set("Retry-After", seconds)
	if p.Code == fault.RateLimited && header.Get("RateLimit-Reset") == "" {
		header.Set("RateLimit-Remaining", "0")
		header.Set("RateLimit-Reset", seconds)
	}
}
