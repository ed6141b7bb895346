// Package faultproxy carries TCP connections from one part of a system to
// another, and breaks them on purpose: it cuts, resets, stalls (both ways or
// one way) and delays them, until it is told to heal.
//
// What passes is passed unchanged and in order, as TCP would; a packet that is
// lost shows in TCP as a delay, so loss is a delay here, too. A stalled
// connection stays open and swallows what its buffers hold, as behind a
// firewall that drops everything: what was swallowed arrives after healing.
//
// Everything is bounded: a connection holds at most 16 chunks of 16 KiB each
// way, and Close waits for all that was begun.
package faultproxy
