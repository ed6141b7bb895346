// Package trail makes the audit trail evidence: events get consecutive numbers
// and are chained by their hashes, so that a row which is altered, removed, put
// in or put elsewhere is found, and named.
//
//	hash(n) = SHA-256(hash(n-1) ‖ n ‖ event n)
//
// Sign-ins do not wait for it. They add events as they always did; a Keeper
// links what was committed, in batches, one replica at a time. What was removed
// within the second or so before that is not found; whoever holds Keepers up to
// have more time leaves an event that tells of it, because the time when the
// trail was kept last is sealed, too.
//
// The newest hash, and the one that a trail which was shortened begins after,
// are sealed with a key that the database does not hold: whoever can write to
// the database alone cannot work out the chain anew. An old copy of the whole
// table with its seal is still one that was true once. That it is old is shown
// by a head that was told elsewhere: the Keeper logs one each minute in which
// the trail grew, and Verify takes those as anchors.
//
// Personal fields are in the hash by salted digests, one for each of actor,
// target and origin (session, address, user agent, request id). When an account
// is deleted its fields are replaced by a pseudonym, and their salts by the
// digests: the chain stays as it was, and the digest alone does not let anybody
// try out addresses. A pseudonym is good only if an event of the chain announces
// it, so that wiping a name is evidence itself, and only with a seal of that
// entry; and a Keeper carries out no order to erase that the service has not
// sealed.
package trail
