package gatewayapp

import (
	"fmt"
	"strings"
	"time"

	"gatehouse.internal/gateway/internal/assertion"
	"gatehouse.internal/shared/config"
)

// assertionIssuer is how the gateway names itself in assertions: it must not be
// the issuer of access tokens, whose keys are others.
func assertionIssuer(issuer string) string { return strings.TrimSuffix(issuer, "/") + "/gateway" }

// assertionKeys reads the keys that sign assertions, or makes one.
func assertionKeys(text config.Secret) (*assertion.Keys, error) {
	if text == "" {
		return assertion.Generate()
	}
	keys, err := assertion.Parse(string(text))
	if err != nil {
		return nil, fmt.Errorf("GATEWAY_ASSERTION_KEY: %w", err)
	}
	return keys, nil
}

func checkAssertionKey(text config.Secret) error {
	_, err := assertionKeys(text)
	return err
}

// openAssertions makes what signs assertions. A key made here is unknown to the
// other nodes, whose key set an upstream may get.
func (a *App) openAssertions() (*assertion.Signer, *assertion.Keys, error) {
	keys, err := assertionKeys(a.cfg.AssertionKey)
	if err != nil {
		return nil, nil, err
	}
	signer, err := assertion.NewSigner(keys, assertionIssuer(a.cfg.Issuer), time.Now)
	if err != nil {
		return nil, nil, err
	}
	return signer, keys, nil
}
