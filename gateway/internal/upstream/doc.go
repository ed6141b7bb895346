// Package upstream decides which backend is fit to answer. It balances over
// the targets of one upstream, keeps what is known of their health, and holds
// the number of calls under way at each of them within a bound.
//
// It promises that a target which cannot be reached, or which does not answer
// in HTTP, is left out for a while; that never more than half of the targets
// are left out for that reason, so that one bad request that kills whatever it
// reaches, or one mistake of ours, cannot take a service down; and that a
// target which its health check finds sick gets nothing.
//
// Two things leave targets alone, and they begin where the other ends. Ejection
// is about one target: calls to it fail, the others take its share. A breaker,
// which an upstream may have, is about all of them: so much fails that no call
// is made at all for a while. Retries are counted here as well, as a share of
// the calls, because only the set sees them all.
//
// It makes no network call: the probe is injected, and what became of a call
// is told to it. What a client did wrong must be told as Neutral, because a
// client must never be able to make a healthy target look sick.
package upstream
