// Package auth decides who a caller is and whether that is still true: it
// registers, signs in, refreshes and signs out, keeps accounts and their
// sessions, and lets administrators do the same for others.
//
// It promises that
//
//   - a refresh token has one successor and never two, however many callers
//     present it at once, and that a retired token used again ends its session;
//   - whatever kills tokens (logout, a changed password, a lock, changed roles,
//     a deletion, a stolen refresh token) is written to the revocation log in
//     the transaction that causes it, and that the call answers once every live
//     gateway has applied it, or after a bounded wait;
//   - no token is made for a session that has ended, and none with a version
//     that was overtaken: every change of an account holds its row's lock;
//   - no answer, nor the work done for it, tells a stranger whether an address
//     has an account.
//
// It refuses weak, common and reused passwords, a flood of hashing (a bounded
// queue, then fault.Overloaded), and to lose the last administrator.
//
// It knows no transport and no database: Store, Signer, Verifier and Revoker
// say what it needs of them. The suite in authtest holds a Store to its word.
package auth
