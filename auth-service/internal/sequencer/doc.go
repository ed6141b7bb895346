// Package sequencer turns committed revocations into what every node knows. It
// gives the rows of the revocation log consecutive numbers in the database,
// signs and publishes them in batches, publishes heads that echo the nodes'
// nonces, answers nodes that lack numbers, keeps Redis in step, and tells a
// revoking call when every live node has applied its revocation.
//
// One replica of the auth-service is active at a time: the oldest one that is
// heard. That only saves work. Two active sequencers, or one that wakes from a
// long pause, can number only what the database lets them number, and publish
// what is true.
//
// A round, in the order on which correctness hangs: take the nonces received
// so far; number in the database whatever is committed; publish; publish the
// head with those nonces. Whoever holds every number up to the head's knows
// all that was committed before those nonces were sent.
package sequencer
