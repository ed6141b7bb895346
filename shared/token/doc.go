// Package token decides whether an access token is one of ours: signed with a
// key of the issuer's own key set, meant for this API, of the right type, and
// within its time. It promises that exactly one spelling of a token is
// accepted, that no input makes it panic or costs more than a bounded amount
// of work, and that "I cannot know" (no key set) is never told as "no".
//
// It is stricter than the JWT library below it, which checks signatures only:
// compact form, header and claims are read by a parser of our own, because the
// usual one folds the case of member names, lets the last of two members win,
// takes null for absence and ignores crit and typ. Refused are therefore, among
// others: any crit, other types than at+jwt, key and URL headers (jku, jwk,
// x5u, x5c), duplicate members and case variants of known ones, invalid UTF-8,
// non-canonical base64, ids that are empty or not text, times that are not
// whole numbers, ES256 signatures with a high s, and RSA keys under 2048 bits.
//
// Algorithms are EdDSA, ES256 and RS256. RFC 9864 renames EdDSA over Ed25519
// to "Ed25519". A key is bound to exactly one spelling: a JWK without alg, or
// with alg EdDSA, verifies tokens whose header says EdDSA and no others; only
// a JWK whose own alg is Ed25519 verifies tokens that say Ed25519.
//
// What it does not decide is revocation. That is looked up by the claims'
// Refs on every request, after the token was verified, and no cache here ever
// stands in for it.
package token
