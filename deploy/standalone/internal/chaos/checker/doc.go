// Package checker decides offline, from a history alone, whether a system kept
// the promises of its revocations (I1, I2, I5, I6, I10, I12 and I13 of THREATS). It
// knows nothing of how the system works and shares no code with it.
//
// What it takes as given is only what a client can know: an operation happened
// between its start and its end if it was acknowledged, not at all if it was
// refused, and maybe, up to a minute later, if there was no answer. Whatever
// follows from none of these it does not judge; so every violation it reports
// is one.
//
//	I1   a token is accepted later than the route's max_staleness after its
//	     revocation was acknowledged; later than a second if no fault was active
//	I2   a gateway that could hear nobody accepts a token after max_staleness
//	I5   a token is accepted after it was refused as revoked: by the same
//	     gateway at all, by another one after max_staleness
//	I6   a token that nobody revoked is refused with 401, or one is given that a
//	     key has signed which had been revoked long before
//	I10  a dead session is refreshed, a living one is not, or a refresh token has
//	     two successors
//	I12  after all has settled a revoked token is not refused, or a good one is
//	     not accepted, or a revoked one was not tried on every gateway
//	I13  a live connection goes on later than a request with its token may be
//	     accepted, a WebSocket is closed as revoked (4401) although nobody
//	     revoked its token or with another status although somebody did, or any
//	     ends although nothing has happened to it
package checker
