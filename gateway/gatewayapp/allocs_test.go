package gatewayapp

import (
	"context"
	"testing"
	"time"

	"gatehouse.internal/gateway/internal/access"
	"gatehouse.internal/shared/contract"
	"gatehouse.internal/shared/token"
	"gatehouse.internal/shared/token/tokentest"
)

// nothingRevoked is a view in which nothing is; that of the real one allocates
// nothing either is shown by its benchmark (shared/revocation).
type nothingRevoked struct{}

func (nothingRevoked) Check(context.Context, *contract.Claims, time.Duration) error { return nil }

func TestGate_a_token_that_was_seen_before_allocates_nothing(t *testing.T) {
	issuer := tokentest.New(t, token.AlgES256)
	raw := issuer.Token(tokentest.Claims(time.Now()))
	gate := &access.Gate{
		Tokens:      &tokens{cache: token.NewCache(issuer.Verifier(t, time.Now), 100), metrics: new(metrics)},
		Revocations: nothingRevoked{},
	}
	demands, request := access.Demands{Roles: []string{contract.RoleUser}, VerifiedEmail: true}, &access.Request{Token: raw, Method: "GET"}
	if _, err := gate.Decide(t.Context(), demands, request); err != nil {
		t.Fatal(err)
	}
	if n := testing.AllocsPerRun(100, func() { _, _ = gate.Decide(t.Context(), demands, request) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
