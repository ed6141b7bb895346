package contract

// Uses of a key in the issuer's key set (RFC 7517 section 4.2).
const (
	// KeyUseSignature marks keys that sign access tokens.
	KeyUseSignature = "sig"
	// KeyUseEvents marks the Ed25519 keys that sign revocation batches and
	// heads. A token signed with one is refused: each key has one purpose.
	KeyUseEvents = "gatehouse-events"
)

// JWK is a public key (RFC 7517, RFC 7518 section 6, RFC 8037 section 2).
// There is no field for a private member, so none can be published.
type JWK struct {
	KeyType   string   `json:"kty"`
	Use       string   `json:"use,omitempty"`
	KeyOps    []string `json:"key_ops,omitempty"`
	Algorithm string   `json:"alg,omitempty"`
	KeyID     string   `json:"kid,omitempty"`
	Curve     string   `json:"crv,omitempty"`
	X         string   `json:"x,omitempty"`
	Y         string   `json:"y,omitempty"`
	N         string   `json:"n,omitempty"`
	E         string   `json:"e,omitempty"`
}

// JWKSet is a set of public keys (RFC 7517 section 5).
type JWKSet struct {
	Keys []JWK `json:"keys"`
}
