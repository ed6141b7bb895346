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
// less than a minute, with one broker; "make chaos" runs all with three, with
// CHAOS_SEEDS (such as 1-20 or 3,7) and CHAOS_DURATION. A run that fails prints
// its seed, the violations, and the end of every process's log; CHAOS_KEEP names
// a folder in which everything is kept. Each run ends with a line "chaos-summary"
// and its figures in JSON, the last line is that of all runs together: times of
// healing are then the longest. What is interrupted (SIGINT, SIGTERM) removes
// its processes, databases and folders first.
//
// # What one machine cannot show
//
//   - F5, the power of a machine fails: a killed process loses nothing that the
//     kernel has. Old copies of the brokers' disks stand for it.
//   - F10, packets get lost: under TCP that is a delay, and a delay it is here.
//   - F15, events overtake each other: one connection keeps their order. The model
//     of the protocol in the sequencer's tests reorders them.
//   - F20 and F21, Redis fails over or a replica answers: there is one Redis. What
//     a failover loses is shown by emptying it and by starting it anew, and what an
//     earlier state of it counts for by a test of package revocation.
//   - F31, versions side by side: there is one version. Services start again one
//     after another.
//   - F32, a million entries: a test of package revocation holds them to their
//     bytes; F12 sends a hundred thousand through the whole system.
//   - F33, wrong clocks of Redis, NATS and PostgreSQL: libfaketime would do for
//     Redis and is not installed; views do not go by those clocks. Clocks of the
//     services themselves are set wrong, by a changed standard library.
//   - F37, a download of a gigabyte: the clients hold WebSockets and event
//     streams open; tests of the gateway's proxy hold other long answers to I13.
//   - F42, a file system that is full: would take one of its own, and the right to
//     mount it. PostgreSQL and Redis refuse to write with the errors they have then;
//     a broker that may store no more is a test of the sequencer.
//   - F43, connection tracking that drops packets: would break the machine for
//     others. Connections are reset and descriptors run out here; names that do not
//     resolve are a test of package bus.
//   - F44, certificates that expire: connections on loopback have none. A broker's
//     is a test of package bus; the rest is as F1 has it.
package chaos
