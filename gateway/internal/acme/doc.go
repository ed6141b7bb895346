// Package acme has the gateway's certificates issued by an authority that
// speaks ACME (RFC 8555), and renewed.
//
// It promises that nobody but Run asks the authority for anything: a handshake
// is answered from memory, whatever its client names, so clients can neither
// wait for the authority nor have it asked. The names are those configured.
// Control of them is proven by TLS-ALPN-01 (RFC 8737), on the port that serves
// requests. Account key, certificates and proofs are in a folder, which several
// nodes may share: then any of them can answer for a proof that another has
// asked for, and a certificate is issued once.
//
// The work is that of golang.org/x/crypto/acme/autocert.
package acme
