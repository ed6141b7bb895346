// Package figures measures the revocation protocol with real processes: eight
// gateways, two auth-services, three NATS servers, Redis and PostgreSQL on one
// machine, without proxies between them. It has benchmarks, which "make bench"
// prints, and a test that the measuring itself is right.
//
//	commit-to-last-*-ms   from the moment a revocation's row is written, in the
//	                      transaction that is about to commit, until the report
//	                      of the last gateway that has applied it was received by
//	                      an observer on the bus; all by this machine's clock. Both
//	                      ends make it longer than from commit to application.
//	logout-*-ms           from the call of a logout to its answer
//	accepted-after        probes with the token that a gateway accepted, of those
//	                      begun after the answer ("probes", one for each gateway)
//	accepted-in-time      those of them whose logout was answered within the 250 ms
//	                      for which a logout waits; must be 0
//	view-age-*-s          gatehouse_revocation_view_age_seconds of every gateway,
//	                      sampled four times a second
//	requests/s            calls of the load that were answered with 200, checked
//	                      token and all; "refused" counts all other answers
//	request-*-ms          how long those calls took
package figures
