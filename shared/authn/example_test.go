package authn_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"gatehouse.internal/shared/authn"
	"gatehouse.internal/shared/token"
	"gatehouse.internal/shared/token/tokentest"
)

// A service behind the gateway verifies the token that the gateway forwards,
// with the key set of the auth-service.
func Example() {
	issuer := tokentest.New(&testing.B{}, token.AlgEdDSA) // stands for the auth-service
	authService := httptest.NewServer(issuer)
	defer authService.Close()

	keys := token.NewRemoteKeys(token.RemoteKeysConfig{
		URLs: []string{authService.URL + "/.well-known/jwks.json"},
	})
	_ = keys.Refresh(context.Background()) // a service runs keys.Run, and is ready when keys.Ready says so
	verifier, err := token.NewVerifier(token.Settings{Issuer: tokentest.IssuerURL, Audience: tokentest.Audience}, keys, time.Now)
	if err != nil { // settings are incomplete
		fmt.Println(err)
		return
	}
	auth := &authn.Authenticator{Tokens: token.NewCache(verifier, 10_000)}

	orders := auth.Require(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		claims, _ := authn.ClaimsFrom(r.Context())
		_, _ = fmt.Fprintf(w, "the orders of %s", claims.Subject)
	}))

	request := httptest.NewRequest(http.MethodGet, "/orders", http.NoBody)
	answer := httptest.NewRecorder()
	orders.ServeHTTP(answer, request)
	fmt.Println(answer.Code, answer.Header().Get("WWW-Authenticate"))

	request.Header.Set("Authorization", "Bearer "+issuer.Token(tokentest.Claims(time.Now())))
	answer = httptest.NewRecorder()
	orders.ServeHTTP(answer, request)
	fmt.Println(answer.Code, answer.Body)
	// Output:
	// 401 Bearer
	// 200 the orders of 01890a5d-ac96-774b-bcce-b302099a8057
}
