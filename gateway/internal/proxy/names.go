package proxy

import (
	"net/http"

	"gatehouse.internal/gateway/internal/route"
)

// dropForged removes what only the gateway may say from a client's header.
func dropForged(h http.Header) {
	for name := range h {
		if route.IsOwnField(name) {
			delete(h, name)
		}
	}
}
