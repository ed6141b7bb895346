package proxy

import (
	"net/http"
	"strings"
	"sync"

	"gatehouse.internal/gateway/internal/proxy/h1"
	"gatehouse.internal/gateway/internal/route"
	"gatehouse.internal/shared/contract"
)

// outHeader is the header of an outgoing request. It is used again and again,
// and what the gateway says stands beside the client's fields, so that it costs
// no memory and few look-ups.
type outHeader struct {
	http.Header
	said   [ownFields]h1.Field // what the gateway says
	n      int
	shared bool // somebody may still read it when the exchange is over
}

// ownFields is how many fields the gateway says at most.
const ownFields = 20

// fewFields is how many fields a map of Go holds without a table of hashes.
const fewFields = 8

var outHeaders = sync.Pool{New: func() any { return &outHeader{Header: make(http.Header, fewFields)} }}

func lendHeader() *outHeader {
	h, _ := outHeaders.Get().(*outHeader) // it holds nothing else
	return h
}

// giveBack lets others use the header.
func (h *outHeader) giveBack() {
	if h.shared {
		return
	}
	clear(h.Header)
	clear(h.said[:h.n])
	h.n = 0
	outHeaders.Put(h)
}

// say adds a field of which the header has no line: the client's were left
// behind.
func (h *outHeader) say(name, value string) {
	h.said[h.n] = h1.Field{Name: name, Value: value}
	h.n++
}

// share has all fields stand in the header, for transports that know of no
// others, and may look at it later.
func (h *outHeader) share() {
	if h.shared {
		return
	}
	h.shared = true
	values := make([]string, h.n)
	for i, f := range h.said[:h.n] {
		values[i] = f.Value
		h.Header[f.Name] = values[i : i+1 : i+1]
	}
	h.n = 0
}

// take copies what a client may say to an upstream: what belongs to the
// client's own hop and what only the gateway may say stays behind.
func (h *outHeader) take(from http.Header) {
	for name, values := range from {
		if !hop(name) && !route.IsOwnField(name) {
			h.Header[name] = values
		}
	}
	dropListed(h.Header, from["Connection"])
}

// apply changes the header as a route's rules say, which can set no field that
// only the gateway may say.
func (h *outHeader) apply(rules *route.HeaderRules) {
	if rules == nil || len(rules.Remove)+len(rules.Set) == 0 {
		return
	}
	rules.Apply(h.Header)
	for name := range h.Header {
		if route.IsOwnField(name) {
			delete(h.Header, name)
		}
	}
}

// setIdentity tells the upstream who is calling.
func (h *outHeader) setIdentity(call *Call) {
	given := h.Header["Authorization"]
	if call.WithholdAuthorization || !call.KeepAuthorization || call.Claims != nil {
		delete(h.Header, "Authorization")
	}
	h.say(contract.HeaderRequestID, call.RequestID)
	c := call.Claims
	if !call.WithholdAuthorization && call.Token != "" && (c != nil || len(h.Header["Authorization"]) == 0) {
		h.say("Authorization", bearer(call.Token, given))
	}
	if c == nil {
		return
	}
	verified := "false"
	if c.EmailVerified {
		verified = "true"
	}
	h.say(contract.HeaderUserID, c.Subject)
	h.say(contract.HeaderUserRoles, join(c.Roles))
	h.say(contract.HeaderEmailVerified, verified)
	h.say(contract.HeaderSessionID, c.SessionID)
	if call.Assertion != "" {
		h.say(contract.HeaderAssertion, call.Assertion)
	}
}

// bearer gives the credentials for a token: those that came with it, if they
// are the same, which costs no memory.
func bearer(token string, given []string) string {
	const scheme = "Bearer "
	if len(given) == 1 && len(given[0]) == len(scheme)+len(token) && given[0][:len(scheme)] == scheme && given[0][len(scheme):] == token {
		return given[0]
	}
	return scheme + token
}

func join(roles []string) string {
	if len(roles) == 1 {
		return roles[0]
	}
	return strings.Join(roles, ",")
}

// setPath tells the upstream which way the request came.
func (h *outHeader) setPath(call *Call, via string) {
	if call.Origin.Chain != "" {
		h.say("X-Forwarded-For", call.Origin.Chain)
	}
	if call.Taken != "" && call.Put == "" {
		h.say("X-Forwarded-Prefix", call.Taken)
	}
	h.say("X-Forwarded-Host", call.Origin.Host)
	h.say("X-Forwarded-Proto", call.Origin.Proto)
	delete(h.Header, "Traceparent")
	if call.TraceParent != "" {
		h.say("Traceparent", call.TraceParent)
	} else {
		delete(h.Header, "Tracestate")
	}
	if before := h.Header["Via"]; len(before) > 0 {
		h.Header["Via"] = append(before[:len(before):len(before)], via)
	} else {
		h.say("Via", via)
	}
}

// guardReplay keeps the transport from sending a request a second time that is
// not idempotent: net/http repeats a POST without a body on a fresh connection
// if it carries one of these fields, which it finds by their canonical
// spelling alone. To an upstream any spelling of a field's name is the same.
func guardReplay(h http.Header) {
	for _, name := range [...]string{"Idempotency-Key", "X-Idempotency-Key"} {
		if values, has := h[name]; has {
			delete(h, name)
			h[strings.ToLower(name)] = values
		}
	}
}

// wantsWebSocket reports whether a request asks to switch to WebSocket as RFC
// 6455 section 4.1 has it, and to nothing else. Upgrade counts only where
// Connection names it (RFC 9110 section 7.8): without that it may have come
// through a proxy that knows nothing of it, and takes what follows for HTTP.
func wantsWebSocket(r *http.Request) bool {
	return r.Method == http.MethodGet && r.ProtoMajor == 1 && r.ProtoMinor == 1 && r.ContentLength == 0 &&
		len(r.Header["Upgrade"]) == 1 && strings.EqualFold(r.Header["Upgrade"][0], "websocket") && hasToken(r.Header["Connection"], "upgrade") &&
		len(r.Header["Sec-Websocket-Key"]) == 1
}
