// Package password decides which passwords are fit to be chosen, and turns them
// into what may be stored.
//
// It promises that every password is compared in Unicode form NFKC, so that the
// same password typed on two keyboards is the same; that length is counted in
// code points and nothing is cut off (NIST SP 800-63B-4); that hashes are
// Argon2id in PHC strings; and that hashing costs at most a fixed number of
// cores and buffers at once, however many ask.
//
// It refuses passwords that are too short or too long, common (a list of 17,950
// from @zxcvbn-ts/language-common 4.1.3, see common.LICENSE), mere repetitions
// or sequences, or that need words which a guesser knows of the owner to reach
// the least length. It has no rules of composition.
package password
