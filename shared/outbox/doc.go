// Package outbox delivers messages that were committed together with the
// change that caused them, after the commit.
//
// It promises: a message is delivered at least once if, and only if, its
// transaction was committed, whatever crashes; delivery starts within
// milliseconds of a Wake; a message that cannot be delivered waits by itself
// with growing pauses and never holds up the others; several relays on one
// database share the work, and none delivers what another one is delivering.
//
// A message comes twice when a process dies, or loses its database, between
// the delivery and the note of it; so what Deliver does must bear repetition.
// Messages go out roughly in the order of their ids, and several at once.
// After MaxAttempts failures a message is parked: it stays in the table, is
// counted by Count, and waits for an operator. Failures of kind
// fault.Unavailable are not the message's fault and never park it.
package outbox

// Schema is the table that the owner's migrations must create. It is the same
// text on both dialects.
const Schema = `
CREATE TABLE outbox (
	id         TEXT PRIMARY KEY, -- UUIDv7, in the order of creation
	topic      TEXT NOT NULL,    -- tells Deliver what to do with it
	payload    BYTEA NOT NULL,
	created_at BIGINT NOT NULL,
	attempts   BIGINT NOT NULL,
	next_at    BIGINT NOT NULL,  -- not before this time; 0 for a new message
	last_error TEXT NOT NULL
);
CREATE INDEX outbox_due ON outbox (next_at, id);
`
