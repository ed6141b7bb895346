// Package nemesis breaks a running cluster, as a seeded source of chance says:
// processes are killed, stopped and started again with what they had on disk,
// with nothing, or with an old copy; links are cut, stalled, made one-way and
// slow; Redis is flushed, the stream purged and deleted; wall clocks are set five
// minutes ahead and back, if the binaries let them.
//
// The same seed gives the same faults in the same order, each for the same
// time. At most three are active at once, and never two on the same part, so that
// the end of one does not heal the other. Run leaves nothing broken behind that
// cluster.Heal does not heal.
package nemesis
