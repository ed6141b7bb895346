// Package workload is the clients of a system under test: people who sign in,
// call services through every gateway, refresh, sign out and change their
// passwords, and an administrator who locks them out and changes their roles.
// Everything they do is noted in a history; they judge nothing.
//
// What they do next is drawn from a seeded source, one for each client, so that
// a run with the same seed does the same in the same order, as far as the
// system's answers allow. Everything is bounded: the number of users, of tokens
// remembered, and the time of every request.
package workload
