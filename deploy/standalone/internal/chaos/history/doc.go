// Package history is what clients saw of a system: every operation with the
// moments of its start and its end, by one monotonic clock, and its outcome. It
// judges nothing; package checker does, offline.
//
// It promises that an operation lies between its two moments: the start is
// taken before the first byte is sent, the end after the last was received.
package history
