// Package assertion signs, for upstreams that want proof, who is calling: a JWT
// for one audience, by a key of the gateway, with the claims of the caller's
// access token and its ids, so that it can be judged and revoked like that.
//
// It promises that an assertion lives for a minute at most and never longer
// than the token it is made from; that it has a type of its own, so that it
// can never pass for an access token, nor one for it; and that those kept for the
// next request are bounded in number. It judges nobody: that is over before it
// is asked.
package assertion
