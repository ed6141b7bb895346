package contract

import "strings"

// DefaultPrefix is the first word of every subject, stream and key when none
// is configured.
const DefaultPrefix = "gatehouse"

// Subjects are the NATS subjects and streams under one prefix, so that several
// systems can share a server.
type Subjects struct{ Prefix string }

// Batches carries numbered revocations. It is kept by RevocationStream.
func (s Subjects) Batches() string { return s.Prefix + ".revocations.batch" }

// Heads carries the heads, which are not stored.
func (s Subjects) Heads() string { return s.Prefix + ".revocations.head" }

// Repair is where a node asks the auth-service for numbers it lacks.
func (s Subjects) Repair() string { return s.Prefix + ".revocations.repair" }

// Wake is where a replica tells the active sequencer of committed rows.
func (s Subjects) Wake() string { return s.Prefix + ".revocations.wake" }

// Report is where a node sends its nonces and its watermark.
func (s Subjects) Report(node string) string { return s.Prefix + ".nodes.report." + node }

// Reports matches the reports of all nodes.
func (s Subjects) Reports() string { return s.Prefix + ".nodes.report.*" }

// KeysChanged tells that the issuer's key set has changed; it has no body.
func (s Subjects) KeysChanged() string { return s.Prefix + ".keys.changed" }

// RolesChanged tells that the auth-service's role table has changed; it has no
// body.
func (s Subjects) RolesChanged() string { return s.Prefix + ".roles.changed" }

// Account is the subject of an account event of the given type
// ("account.registered" and so on).
func (s Subjects) Account(eventType string) string { return s.Prefix + ".events." + eventType }

// Accounts matches all account events. They are kept by AccountStream.
func (s Subjects) Accounts() string { return s.Prefix + ".events.account.*" }

// Dead is where messages go which the named consumer could not handle. They
// are kept by DeadStream.
func (s Subjects) Dead(consumer string) string { return s.Prefix + ".dead." + consumer }

// AllDead matches the dead letters of all consumers.
func (s Subjects) AllDead() string { return s.Prefix + ".dead.*" }

// RevocationStream keeps the batches for as long as any entry in them matters.
func (s Subjects) RevocationStream() string { return s.stream("REVOCATIONS") }

// AccountStream keeps the account events.
func (s Subjects) AccountStream() string { return s.stream("ACCOUNTS") }

// DeadStream keeps the dead letters.
func (s Subjects) DeadStream() string { return s.stream("DEAD") }

// stream makes a stream name, which must not hold a dot.
func (s Subjects) stream(name string) string {
	return strings.ToUpper(strings.ReplaceAll(s.Prefix, ".", "_")) + "_" + name
}
