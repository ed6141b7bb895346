package gatewayapp

import (
	"fmt"
	"strings"
	"time"

	"gatehouse.internal/gateway/internal/assertion"
	"gatehouse.internal/gateway/internal/route"
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

// applyRoutes serves a table. Where its routes ask for assertions and no key
// was given, that is said with every change: an upstream that asks another
// node for the key set, or this one after a restart, refuses what this node
// has signed.
func (a *App) applyRoutes(table *route.Table) error {
	if err := a.backends.apply(table); err != nil {
		return err
	}
	if roles, known := a.roles.Table(); known {
		a.warnOfPermissions(table, roles)
	}
	var asking []string
	for _, r := range table.Routes() {
		if r.Assertion != "" {
			asking = append(asking, r.Name)
		}
	}
	if len(asking) > 0 && a.cfg.AssertionKey == "" {
		a.log.Warn("routes ask for assertions, but GATEWAY_ASSERTION_KEY is not set: this node signs with a key that no other node knows and that ends with its process",
			"routes", asking[:min(len(asking), maxNamed)], "count", len(asking))
	}
	return nil
}

// maxNamed bounds how many routes one log record names.
const maxNamed = 20
