package auth

// Client is a program that may introspect tokens (RFC 7662) and revoke those
// that were issued to it (RFC 7009).
type Client struct {
	ID string
	// SecretHash is the SHA-256 of the client's secret, which must be random
	// with at least 128 bits: it is not stretched.
	SecretHash []byte
	// AnyClient lets it revoke tokens that were issued to others, too.
	AnyClient bool
}
