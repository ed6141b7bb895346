// Package limit decides whether a caller has had enough: so many requests at
// once, and as they are used up, new ones evenly over the period (the generic
// cell rate algorithm, a token bucket that is one number).
//
// The count is kept in Redis, in one atomic step, and so shared by all nodes:
// of N requests at once exactly as many pass as are left. When Redis is away
// or slow, a node counts on its own from what it last knew, and asks again
// after a short while, so that callers do not wait for a server which does
// not answer. A limit is never a reason to fail: Allow always has an answer.
//
// Memory is bounded: a fallback forgets the oldest counts first.
package limit
