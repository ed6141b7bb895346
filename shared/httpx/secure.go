package httpx

import "net/http"

// secure sets the security headers of S-P18 where the answer does not have
// them: a handler that serves a page may know better, and an upstream's answer is its own.
func secure(header http.Header, https, foreign bool) {
	if https { // it must not be sent over an insecure connection (RFC 6797 section 7.2)
		setDefault(header, "Strict-Transport-Security", "max-age=31536000; includeSubDomains")
	}
	if foreign {
		return
	}
	setDefault(header, "X-Content-Type-Options", "nosniff")
	setDefault(header, "X-Frame-Options", "DENY")
	setDefault(header, "Referrer-Policy", "no-referrer")
	setDefault(header, "Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	setDefault(header, "Cross-Origin-Resource-Policy", "same-origin")
}

func setDefault(header http.Header, name, value string) {
	if _, given := header[name]; !given {
		header.Set(name, value)
	}
}
