package route

import "bytes"

// longestName is how much of a header's name is looked at. Longer names cannot
// equal one of ours, and prefixes are far shorter.
const longestName = 48

// IsOwnField reports whether a header field must come from the gateway alone:
// one that says who is calling, from where and for what, or that some server
// could read as one of these, in every spelling that any server behind the
// gateway could take for the same name (letter case, and underscore, dot or
// other signs in place of the dash). Such a field is dropped from requests of
// clients, and no header rule can set or remove it.
func IsOwnField(name string) bool {
	var buffer [longestName]byte
	plain, odd := plainName(buffer[:0], name)
	return owned(plain) || odd && (meant(plain) || owned(bytes.Trim(plain, "-")))
}

// plainName appends the name in lower case, with a dash for everything that is
// neither a letter nor a digit. odd says that there was something but dashes.
func plainName(into []byte, name string) (plain []byte, odd bool) {
	for i := 0; i < len(name) && i < longestName; i++ {
		c := name[i]
		switch {
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9', c == '-':
		case c >= 'A' && c <= 'Z':
			c += 'a' - 'A'
		default:
			c, odd = '-', true
		}
		into = append(into, c)
	}
	return into, odd
}

// owned reports whether a plain name is one that upstreams trust because the
// gateway sets it, or one that some framework takes for identity, for the
// client's address, or for another method or path than the one authorised.
func owned(name []byte) bool {
	switch string(name) {
	case "forwarded", "forwarded-for", "x-real-ip", "x-real-port", "true-client-ip", "client-ip", "x-client-ip", "x-remote-ip", "x-remote-addr",
		"x-cluster-client-ip", "cf-connecting-ip", "fastly-client-ip", "x-appengine-user-ip", "x-azure-clientip", "x-originating-ip",
		"remote-user", "x-remote-user", "remote-addr", "x-email-verified", "x-request-id", "x-host", "x-http-host-override", "x-proxyuser-ip",
		"x-http-method", "x-http-method-override", "x-method-override", "x-method", "http-method-override", "method-override",
		"x-original-url", "x-original-uri", "x-original-host", "x-original-method", "x-original-path", "x-rewrite-url", "x-rewrite-path",
		"x-waf-bypass", "proxy", "http2-settings", "x-ssl-client-cert", "ssl-client-cert", "x-client-cert", "client-cert":
		return true
	}
	if len(name) < 2 || name[0] != 'x' || name[1] != '-' {
		return false
	}
	for _, prefix := range [...]string{"user", "role", "session", "forward", "authenticated", "auth-request", "gatehouse"} {
		if len(name) >= 2+len(prefix) && string(name[2:2+len(prefix)]) == prefix {
			return true
		}
	}
	return false
}

// meant reports whether a plain name that was spelt oddly was meant to be read
// as one of the fields by which messages are framed and callers known. With
// its proper spelling each of them has a meaning of its own and stays.
func meant(name []byte) bool {
	switch string(name) {
	case "authorization", "proxy-authorization", "cookie", "host", "via", "content-length", "content-type", "content-encoding",
		"transfer-encoding", "connection", "keep-alive", "upgrade", "te", "trailer", "expect", "origin", "referer",
		"traceparent", "tracestate", "idempotency-key", "x-idempotency-key", "sec-websocket-key", "sec-fetch-site":
		return true
	}
	return false
}
