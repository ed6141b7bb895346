// Package keys makes, keeps, rotates and publishes the keys of the issuer: the
// ones that sign access tokens, and the Ed25519 key that signs revocation
// events (use "gatehouse-events"; a token signed with it is refused).
//
//	next ──► active ──► retiring ──► retired
//	  └─────────┴──────────┴──────► revoked
//
// A signing key is made as next and published at once, long before it signs.
// Rotation makes it active, and makes another next. The old one keeps
// verifying as retiring until the last token that it can have signed is no
// longer accepted anywhere: longest token life, clock leeway, the time for
// which key sets are cached, and the time another replica may need to hear of
// the rotation. Then it is retired and its private half is wiped. Revoking,
// for emergencies, takes a key out of the set at once, from any state.
//
// Private keys are stored encrypted (XChaCha20-Poly1305), bound to their id and
// use, so that rows cannot be exchanged. Public keys are always derived from
// them: who can write to the database but has not the encryption key cannot
// publish a key of his own. A wrong encryption key is an error at start and
// never leads to new keys. Ids are RFC 7638 thumbprints.
//
// Replicas share one Store. Each change is decided inside its transaction on
// what is there, so that two replicas rotating at once rotate once.
package keys
