// Package revocation knows which access tokens are no longer valid, and how
// old that knowledge is. It decides every request in memory.
//
//	signed batches ──► Progress: what is missing? ──► repair by number
//	      │                 ▲
//	      ▼                 │ heads that echo our nonces
//	    View ◄── Check      │
//	                    Age: complete as of when?
//
// The promise: when the view's age is A, it holds every revocation that was
// committed more than A ago, whatever the network, the broker or a clock has
// done. The age is measured by this process's own monotonic clock, from the
// moment a nonce was sent which a signed head echoes; loss, delay, duplicates
// and reordering can only make it larger.
//
// What it refuses: a message without a valid signature of the issuer's events
// key, or one it does not understand, changes nothing but a counter; if that
// message held revocations, their numbers are missing, and the age grows until
// they are repaired.
package revocation
