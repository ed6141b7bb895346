// Package chaos starts the whole system from its real binaries, breaks parts of
// it on purpose, and lets an independent checker decide whether the promises of
// revocation were kept: a revoked token is refused by every gateway within the
// staleness its route declares, whatever has failed, and a gateway that cannot
// know says so.
//
//	cluster     the system: processes, and a proxy on every link between them
//	faultproxy  cuts, stalls and delays connections
//	nemesis     draws faults from a seeded source
//	workload    the clients, who note what they do and what they get
//	history     what they have noted
//	checker     decides offline which promises were broken
//
// The tests are the named faults of THREATS, each with the invariants that it
// is held to, and runs with random faults. "make test" runs a few of each for
// about a minute; "make chaos" runs all, with CHAOS_SEEDS (such as 1-20 or 3,7)
// and CHAOS_DURATION. A run that fails prints its seed, the violations, and the
// end of every process's log; CHAOS_KEEP names a folder in which everything is
// kept.
package chaos
