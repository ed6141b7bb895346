package proxy

import (
	"net/http"
	"strings"

	"gatehouse.internal/shared/contract"
)

// setIdentity tells the upstream who is calling.
func (p *Proxy) setIdentity(h http.Header, call *Call) {
	p.setCaller(h, call)
	if call.WithholdAuthorization {
		delete(h, "Authorization")
	}
}

func (p *Proxy) setCaller(h http.Header, call *Call) {
	if !call.KeepAuthorization || call.Claims != nil {
		delete(h, "Authorization")
	}
	h[contract.HeaderRequestID] = []string{call.RequestID}
	c := call.Claims
	if c == nil {
		if call.Token != "" && len(h["Authorization"]) == 0 {
			h["Authorization"] = []string{"Bearer " + call.Token}
		}
		return
	}
	verified := "false"
	if c.EmailVerified {
		verified = "true"
	}
	values := [...]string{"Bearer " + call.Token, c.Subject, strings.Join(c.Roles, ","), verified, c.SessionID}
	h["Authorization"] = values[0:1:1]
	h[contract.HeaderUserID] = values[1:2:2]
	h[contract.HeaderUserRoles] = values[2:3:3]
	h[contract.HeaderEmailVerified] = values[3:4:4]
	h[contract.HeaderSessionID] = values[4:5:5]
}

// setPath tells the upstream which way the request came.
func (p *Proxy) setPath(h http.Header, in *http.Request, call *Call) {
	values := [...]string{call.Origin.Chain, call.Origin.Host, call.Origin.Proto, call.TraceParent}
	if values[0] != "" {
		h["X-Forwarded-For"] = values[0:1:1]
	}
	h["X-Forwarded-Host"] = values[1:2:2]
	h["X-Forwarded-Proto"] = values[2:3:3]
	delete(h, "Traceparent")
	if values[3] != "" {
		h["Traceparent"] = values[3:4:4]
	} else {
		delete(h, "Tracestate")
	}
	h["Via"] = append(h["Via"], p.via[protocol(in)])
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
// 6455 section 4.1 has it, and to nothing else.
func wantsWebSocket(r *http.Request) bool {
	return r.Method == http.MethodGet && r.ProtoMajor == 1 && r.ProtoMinor == 1 && r.ContentLength == 0 &&
		len(r.Header["Upgrade"]) == 1 && strings.EqualFold(r.Header["Upgrade"][0], "websocket") &&
		len(r.Header["Sec-Websocket-Key"]) == 1
}
