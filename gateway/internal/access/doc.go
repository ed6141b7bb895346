// Package access decides whether a caller may pass.
//
// The order of questions is fixed: is the token good, is it still true (not
// revoked, as far as knowledge no older than the route allows can tell), does
// the request come from where it should (if a cookie vouches for it), has the
// caller one of the roles, is the e-mail address verified, was a second factor
// shown. The first question
// that is answered with no is the answer of the whole.
//
// It promises that no request passes whose token was not both verified and
// checked for revocation for this very request; that what cannot be decided is
// refused as such (503) and never let through; and that passing costs no
// allocation of its own.
//
// It refuses to look at tokens where the route says none: a bad one there
// neither harms nor helps, and no identity comes of it.
package access
