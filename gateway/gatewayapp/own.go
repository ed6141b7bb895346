package gatewayapp

import (
	"encoding/json"
	"net/http"

	"gatehouse.internal/gateway/internal/route"
)

// ownAnswers are the answers which the gateway gives itself, by the names of
// their built-in routes. They come after the same checks as every other.
func ownAnswers(b *backends, keys []byte) map[string]http.HandlerFunc {
	return map[string]http.HandlerFunc{
		"gateway-keys": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/jwk-set+json")
			w.Header().Set("Cache-Control", "public, max-age=300")
			_, _ = w.Write(keys) // a caller who went away cannot be told
		},
		"admin-routes": func(w http.ResponseWriter, _ *http.Request) {
			writeJSON(w, struct {
				Items      []route.View `json:"items"`
				NextCursor *string      `json:"next_cursor"`
			}{Items: b.serving.Load().table.View()})
		},
	}
}

func writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_ = json.NewEncoder(w).Encode(v) // a caller who went away cannot be told
}
