// Package figures measures the revocation protocol with real processes: eight
// gateways, two auth-services, three NATS servers, Redis and PostgreSQL on one
// machine, without proxies between them. It has benchmarks, which "make bench"
// prints, and a test that the measuring itself is right.
//
//	commit-to-all-*-below-ms  from the commit of a revocation until the reports of
//	                      all live gateways that they have applied it had reached
//	                      the auth-service which waits for them: the upper bound of
//	                      the bucket of gatehouse_sequencer_answer_seconds. A call
//	                      that no longer waits, after 250 ms, counts as 500.
//	written-to-last-*-ms  from the beginning of the transaction that writes it until
//	                      the report of the last gateway was received by an
//	                      observer on the bus; all by this machine's clock
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
//	handover-*-s          from the moment the active auth-service is killed or
//	                      stopped until the last gateway's report that it has
//	                      applied a revocation committed right after it, of which
//	                      no service is told
//	logout-answered-*-s   from the call of a logout at that moment to its answer; the
//	logout-applied-*-s    client waits 2 s and tries again ("logout-repeats"); and
//	                      until it is applied everywhere
//	views-*-s             from a loss until the last gateway's report that its view is
//	                      complete as of a moment after it, with a revocation
//	                      committed right after it; for an old copy of the stream
//	                      from the start of the brokers that have it
//	store-*-s             until Redis, or the stream, holds all that the database does
//	broker-*-s            until those brokers let a reader of the stream begin, not
//	                      before store
//	forbidden             calls that a gateway accepted with a token revoked before
//	                      the loss, or after its own report of the revocation or the
//	                      route's bound; must be 0
//	applied-s             from the commit of 100,000 revocations until the last gateway
//	                      reported them as applied ("insert-s" is the commit itself)
//	behind-max            numbers that a gateway knew of and lacked, by its reports,
//	                      which /admin/nodes shows; view-age-max-s likewise
package figures
